/** Storages and their volumes: files on this machine under the names that Proxmox VE gives them. */

import {
  closeSync,
  existsSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readSync,
  renameSync,
  rmSync,
  statfsSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import path from "node:path";

import { run } from "../../run";
import type { StorageConfig } from "../config";
import { fault } from "../errors";

const IMAGE_LIMIT = 1800;

export interface Volume {
  readonly volid: string;
  readonly content: string;
  readonly format: string;
  readonly size: number;
  readonly used: number;
  readonly ctime: number;
  readonly vmid?: number;
}

export interface VolumeInfo {
  readonly format: string;
  readonly size: number;
  readonly used: number;
  /** Where it is for the API: a device path on storages that have no files. */
  readonly path: string;
}

/** Folders of a directory storage by content, as Proxmox VE has them. */
const FOLDERS: Readonly<Record<string, string>> = {
  iso: "template/iso",
  vztmpl: "template/cache",
  snippets: "snippets",
  import: "import",
  backup: "dump",
  images: "images",
};

export class Storages {
  constructor(
    readonly all: readonly StorageConfig[],
    readonly nodes: readonly string[],
  ) {
    for (const one of all) {
      const folders =
        one.type === "dir"
          ? one.content.map((content) => FOLDERS[content] as string)
          : this.nodes.map(String);
      for (const folder of folders) {
        mkdirSync(path.join(one.path, folder), { recursive: true, mode: 0o755 });
      }
    }
  }

  /** @throws ApiError when there is no such storage */
  get(id: string): StorageConfig {
    const found = this.all.find((storage) => storage.id === id);
    if (found === undefined) throw fault(`storage '${id}' does not exist`);
    return found;
  }

  supports(id: string, content: string): boolean {
    return (this.get(id).content as readonly string[]).includes(content);
  }

  private parse(volid: string): { storage: StorageConfig; name: string } {
    const [, id, name] = /^([^:]+):(.+)$/.exec(volid) ?? [];
    if (id === undefined || name === undefined) throw fault(`unable to parse volume ID '${volid}'`);
    if (name.split("/").includes("..")) throw fault(`unable to parse volume ID '${volid}'`);
    return { storage: this.get(id), name };
  }

  /** Kind of content that a volume is. */
  contentOf(volid: string): string {
    const { storage, name } = this.parse(volid);
    if (storage.type === "lvmthin" || /^\d+\//.test(name)) return "images";
    const [kind] = name.split("/");
    if (kind === undefined || FOLDERS[kind] === undefined) {
      throw fault(`unable to parse directory volume name '${name}'`);
    }
    return kind;
  }

  /** VM that a volume belongs to. */
  ownerOf(volid: string): number | undefined {
    const [, owner] = /(?:^|[:/])(?:vm|base)-(\d+)-/.exec(volid) ?? [];
    return owner === undefined ? undefined : Number(owner);
  }

  /** The file of a volume, whether or not it exists. */
  file(node: string, volid: string): string {
    const { storage, name } = this.parse(volid);
    if (storage.type === "lvmthin") return path.join(storage.path, node, path.basename(name));
    if (/^\d+\//.test(name)) return path.join(storage.path, "images", name);
    const [kind = "", ...rest] = name.split("/");
    const folder = FOLDERS[kind];
    if (folder === undefined) throw fault(`unable to parse directory volume name '${name}'`);
    return path.join(storage.path, folder, ...rest);
  }

  exists(node: string, volid: string): boolean {
    return existsSync(this.file(node, volid));
  }

  /** @throws ApiError when the volume does not exist */
  info(node: string, volid: string): VolumeInfo {
    const { storage, name } = this.parse(volid);
    const file = this.file(node, volid);
    if (!existsSync(file)) throw fault(`volume '${volid}' does not exist`);
    if (storage.type === "lvmthin") {
      const { size, used } = imageInfo(file);
      return { format: "raw", size, used, path: `/dev/pve/${name}` };
    }
    const publicPath = file.replace(storage.path, storage.publicPath ?? storage.path);
    if (/^\d+\//.test(name)) return { ...imageInfo(file), path: publicPath };
    const { size, blocks } = statSync(file);
    return { format: formatOf(name), size, used: blocks * 512, path: publicPath };
  }

  /** Format of the file behind a volume: what QEMU and qemu-img have to be told. */
  fileFormat(node: string, volid: string): string {
    return imageInfo(this.file(node, volid)).format;
  }

  /** Format of new images. */
  defaultFormat(id: string): "raw" | "qcow2" {
    return this.get(id).type === "dir" ? "qcow2" : "raw";
  }

  /** A volume id that is free. */
  private freeName(node: string, id: string, vmid: number, format: string): string {
    const dir = this.get(id).type === "dir";
    for (let index = 0; ; index++) {
      const name = dir ? `${vmid}/vm-${vmid}-disk-${index}.${format}` : `vm-${vmid}-disk-${index}`;
      const base = name.replace("/vm-", "/base-").replace(/^vm-/, "base-");
      if (!this.exists(node, `${id}:${name}`) && !this.exists(node, `${id}:${base}`)) {
        return `${id}:${name}`;
      }
    }
  }

  /**
   * Makes an empty volume.
   *
   * @param name the name without storage; a disk's name that is free otherwise
   * @returns its volume id
   */
  async allocate(
    node: string,
    id: string,
    vmid: number,
    format: string,
    bytes: number,
    name?: string,
  ): Promise<string> {
    const storage = this.get(id);
    if (!this.supports(id, "images")) throw fault(`storage '${id}' does not support vm images`);
    if (storage.type === "lvmthin" && format !== "raw")
      throw fault("unsupported format '" + format + "'");
    const volid =
      name === undefined
        ? this.freeName(node, id, vmid, format)
        : `${id}:${storage.type === "dir" ? `${vmid}/` : ""}${name}`;
    const file = this.file(node, volid);
    if (existsSync(file)) throw fault(`disk image '${file}' already exists`);
    mkdirSync(path.dirname(file), { recursive: true, mode: 0o755 });
    if (format === "raw") {
      writeFileSync(file, "", { mode: 0o600, flag: "wx" });
      truncateSync(file, bytes);
    } else {
      await run("qemu-img", ["create", "-q", "-f", format, file, String(bytes)], { limit: 60 });
    }
    return volid;
  }

  /** Copies an image into a new volume. */
  async copy(
    node: string,
    volid: string,
    target: { node: string; storage: string; vmid: number; format?: string },
  ): Promise<string> {
    const wanted =
      this.get(target.storage).type === "lvmthin"
        ? "raw"
        : (target.format ?? this.info(node, volid).format);
    const source = this.file(node, volid);
    const copy = this.freeName(target.node, target.storage, target.vmid, wanted);
    const file = this.file(target.node, copy);
    mkdirSync(path.dirname(file), { recursive: true, mode: 0o755 });
    const from = this.fileFormat(node, volid);
    try {
      await run("qemu-img", ["convert", "-p", "-f", from, "-O", wanted, source, file], {
        limit: IMAGE_LIMIT,
      });
    } catch (error) {
      rmSync(file, { force: true });
      throw error;
    }
    return copy;
  }

  async resize(node: string, volid: string, bytes: number): Promise<void> {
    const format = this.fileFormat(node, volid);
    const file = this.file(node, volid);
    if (format === "raw") truncateSync(file, bytes);
    else await run("qemu-img", ["resize", "-q", "-f", format, file, String(bytes)], { limit: 60 });
  }

  remove(node: string, volid: string): void {
    const file = this.file(node, volid);
    rmSync(file, { force: true });
    // Proxmox leaves no empty folder of a VM either.
    const folder = path.dirname(file);
    if (/^\d+$/.test(path.basename(folder)) && readdirSync(folder).length === 0) {
      rmSync(folder, { recursive: true });
    }
  }

  /** Takes a volume of a storage that is not shared to another node. */
  move(volid: string, from: string, to: string): void {
    if (this.get(this.parse(volid).storage.id).type !== "lvmthin") return;
    const target = this.file(to, volid);
    if (existsSync(target)) throw fault(`volume '${volid}' already exists on target node '${to}'`);
    renameSync(this.file(from, volid), target);
  }

  /** Renames a disk of a template, which nothing may write to any more. */
  makeBase(node: string, volid: string): string {
    const base = volid.replace(/([:/])vm-/, "$1base-");
    if (base !== volid) renameSync(this.file(node, volid), this.file(node, base));
    return base;
  }

  list(node: string, id: string, content?: string): Volume[] {
    const storage = this.get(id);
    const volumes: Volume[] = [];
    for (const kind of storage.content) {
      if (content !== undefined && content !== kind) continue;
      if (kind === "images") volumes.push(...this.listImages(node, storage));
      else if (storage.type === "dir") volumes.push(...listFiles(storage, kind));
    }
    return volumes.sort((a, b) => (a.volid < b.volid ? -1 : 1));
  }

  private listImages(node: string, storage: StorageConfig): Volume[] {
    const folder = storage.type === "dir" ? "images" : node;
    const root = path.join(storage.path, folder);
    return readdirSync(root, { recursive: true, encoding: "utf8" })
      .filter((name) => /(^|\/)(vm|base)-\d+-/.test(name))
      .map((name) => {
        const volid = `${storage.id}:${name}`;
        const { size, used, format } = this.info(node, volid);
        const ctime = Math.floor(lstatSync(path.join(root, name)).ctimeMs / 1000);
        return { volid, content: "images", format, size, used, ctime, vmid: this.ownerOf(volid) };
      });
  }

  /** Bytes of the file system behind a storage. */
  usage(id: string): { total: number; used: number; avail: number } {
    const { blocks, bavail, bfree, bsize } = statfsSync(this.get(id).path);
    return { total: blocks * bsize, avail: bavail * bsize, used: (blocks - bfree) * bsize };
  }
}

function listFiles(storage: StorageConfig, kind: string): Volume[] {
  const folder = path.join(storage.path, FOLDERS[kind] as string);
  return readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isFile() && !entry.name.startsWith("."))
    .map(({ name }) => {
      const { size, blocks, ctimeMs } = statSync(path.join(folder, name));
      return {
        volid: `${storage.id}:${kind}/${name}`,
        content: kind,
        format: kind === "snippets" ? "snippet" : formatOf(name),
        size,
        used: blocks * 512,
        ctime: Math.floor(ctimeMs / 1000),
      };
    });
}

function formatOf(name: string): string {
  const ending = path.extname(name).slice(1);
  return ending === "" ? "raw" : ending;
}

/** A qcow2 image begins with this, and has its size as 8 bytes from 24 on; all others are raw. */
const QCOW2 = Buffer.from([0x51, 0x46, 0x49, 0xfb]);

function imageInfo(file: string): { format: string; size: number; used: number } {
  const { size, blocks } = statSync(file);
  const used = blocks * 512;
  const header = Buffer.alloc(32);
  const handle = openSync(file, "r");
  try {
    readSync(handle, header, 0, header.length, 0);
  } finally {
    closeSync(handle);
  }
  if (!header.subarray(0, QCOW2.length).equals(QCOW2)) return { format: "raw", size, used };
  return { format: "qcow2", size: Number(header.readBigUInt64BE(24)), used };
}
