/** Builds the cloud-init image of a VM, as Proxmox VE does at each start. */

import { mkdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { rename } from "node:fs/promises";
import path from "node:path";

import { run } from "../../run";
import { fault } from "../errors";
import type { Storages } from "../storage/storages";
import { type HostResolver, type Options, renderSeed, type Snippets } from "./render";

export const IMAGE_BYTES = 4 * 1024 * 1024;
const SNIPPET_LIMIT = 1024 * 1024;

/** Reads the files that `cicustom` names. @throws ApiError when one is not there */
function readSnippets(storages: Storages, node: string, custom: string | undefined): Snippets {
  const snippets: Snippets = {};
  for (const part of (custom ?? "").split(",").filter(Boolean)) {
    const [kind, volid = ""] = part.split(/=(.*)/s);
    if (storages.contentOf(volid) !== "snippets") {
      throw fault(`${kind}: ${volid} is not in the snippets directory`);
    }
    const file = storages.file(node, volid);
    let content: Buffer;
    try {
      content = readFileSync(file);
    } catch {
      throw fault(`volume '${volid}' does not exist`);
    }
    if (content.length > SNIPPET_LIMIT) {
      throw fault(`${kind}: ${volid} is larger than ${SNIPPET_LIMIT} bytes`);
    }
    snippets[kind as keyof Snippets] = content.toString("utf8");
  }
  return snippets;
}

export interface ImageRequest {
  readonly storages: Storages;
  readonly node: string;
  readonly vmid: number;
  readonly options: Options;
  readonly host: HostResolver;
  /** Volume that the image is written to. */
  readonly volid: string;
  /** Folder that gets the files too. */
  readonly folder: string;
}

/** @throws ApiError when a snippet is missing */
export async function buildCloudInit(request: ImageRequest): Promise<void> {
  const { storages, node, vmid, options, host, volid, folder } = request;
  const snippets = readSnippets(storages, node, options.get("cicustom"));
  const files = renderSeed(options, vmid, host, snippets);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  for (const [name, content] of Object.entries(files)) {
    writeFileSync(path.join(folder, name), content, { mode: 0o600 });
  }
  const target = storages.file(node, volid);
  const made = `${target}.new`;
  rmSync(made, { force: true });
  await run(
    "xorriso",
    ["-as", "genisoimage", "-quiet", "-iso-level", "3", "-R", "-V", "cidata", "-o", made, folder],
    { limit: 60 },
  );
  if (statSync(made).size > IMAGE_BYTES) throw fault("cloud-init image is larger than 4 MiB");
  truncateSync(made, IMAGE_BYTES);
  const format = storages.fileFormat(node, volid);
  if (format === "raw") {
    await rename(made, target);
    return;
  }
  await run("qemu-img", ["convert", "-f", "raw", "-O", format, made, target], { limit: 60 });
  rmSync(made);
}
