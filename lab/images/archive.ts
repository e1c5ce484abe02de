/** Turns a root file system into an image that Docker can load and skopeo can push. */

import { createHash } from "node:crypto";
import { createReadStream, linkSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";

import { run } from "../run";

/** What runs in a container that says nothing else. */
export interface ImageConfig {
  readonly command: readonly string[];
  readonly entrypoint?: readonly string[];
}

export const IMAGE_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** Part of every image's digest: the same content is the same image, whenever it is built. */
const CREATED = "2026-01-01T00:00:00Z";
const PACK_LIMIT = 120;

/** The SHA-256 of a file, in hexadecimal. */
export async function hashFile(file: string): Promise<string> {
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(file)) hash.update(chunk as Buffer);
  return hash.digest("hex");
}

/**
 * An image's configuration, whose SHA-256 is the image's id.
 *
 * @param layer hash of its only layer
 */
export function imageConfig(config: ImageConfig, layer: string): string {
  return JSON.stringify({
    architecture: "amd64",
    os: "linux",
    created: CREATED,
    config: {
      Env: [`PATH=${IMAGE_PATH}`],
      Cmd: config.command,
      ...(config.entrypoint && { Entrypoint: config.entrypoint }),
    },
    rootfs: { type: "layers", diff_ids: [`sha256:${layer}`] },
    history: [{ created: CREATED, created_by: "lab/images" }],
  });
}

export interface Archive {
  /** tar of the root file system. */
  readonly layer: string;
  readonly config: ImageConfig;
  /** Names with tags. */
  readonly names: readonly string[];
}

/**
 * Writes a `docker save` archive, the same bytes for the same input.
 *
 * @param target file to write, on the file system of the layer
 * @returns the image's id
 */
export async function writeArchive(archive: Archive, target: string): Promise<string> {
  const hash = await hashFile(archive.layer);
  const config = imageConfig(archive.config, hash);
  const id = createHash("sha256").update(config).digest("hex");
  mkdirSync(path.dirname(target), { recursive: true });
  const work = mkdtempSync(`${target}.`);
  try {
    const layer = `${hash}.tar`;
    linkSync(archive.layer, path.join(work, layer));
    writeFileSync(path.join(work, `${id}.json`), config);
    const manifest = [{ Config: `${id}.json`, RepoTags: archive.names, Layers: [layer] }];
    writeFileSync(path.join(work, "manifest.json"), JSON.stringify(manifest));
    const files = ["manifest.json", `${id}.json`, layer];
    await run(
      "tar",
      ["-C", work, "--mtime=@0", "--owner=0", "--group=0", "--mode=0644", "-cf", target, ...files],
      { limit: PACK_LIMIT },
    );
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  return id;
}
