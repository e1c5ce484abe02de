/** Makes, takes off and removes the drives of a VM. */

import { IMAGE_BYTES } from "../cloudinit/image";
import { badParameters, fault } from "../errors";
import {
  type Drive,
  isCdrom,
  isCloudInit,
  isDrive,
  parseDrive,
  printDrive,
} from "../schema/drives";
import { formatSize } from "../schema/formats";
import type { Storages } from "../storage/storages";
import { isNewCloudInit, NEW_DISK } from "./permissions";

const GIB = 1024 ** 3;

/** Options that are drives, in their order. */
export function drivesOf(options: ReadonlyMap<string, string>): [string, Drive][] {
  return [...options]
    .filter(([name]) => isDrive(name))
    .sort(([a], [b]) => a.localeCompare(b, "en", { numeric: true }))
    .map(([name, value]) => [name, parseDrive(name, value)]);
}

/** Whether a drive is an image of this lab's storages, and no medium or nothing. */
export const hasVolume = ({ file }: Drive) => file !== "none" && file !== "cdrom";

/** Volumes that belong to the VM: its disks, its cloud-init image and what was taken off it. */
export function volumesOf(options: ReadonlyMap<string, string>): string[] {
  const attached = drivesOf(options)
    .filter(([, drive]) => hasVolume(drive) && (!isCdrom(drive) || isCloudInit(drive)))
    .map(([, { file }]) => file);
  const unused = [...options].filter(([name]) => name.startsWith("unused")).map(([, file]) => file);
  return [...new Set([...attached, ...unused])];
}

/** Makes what a drive's new value asks for. @returns the value that the configuration gets */
export async function makeDrive(
  storages: Storages,
  node: string,
  vmid: number,
  name: string,
  value: string,
  current: ReadonlyMap<string, string>,
): Promise<string> {
  const drive = parseDrive(name, value);
  const { file } = drive;
  if (file === "none" || file === "cdrom") {
    delete drive.size;
    return printDrive(name, drive);
  }
  if (isNewCloudInit(file)) return makeCloudInit(storages, node, vmid, name, drive, current);
  const [, storage, gigabytes] = NEW_DISK.exec(file) ?? [];
  if (storage !== undefined) {
    if (!storages.supports(storage, "images")) {
      throw badParameters({ storage: `storage '${storage}' does not support vm images` });
    }
    const format = String(drive.format ?? storages.defaultFormat(storage));
    const bytes = Math.trunc((Number(gigabytes) * GIB) / 1024) * 1024;
    drive.file = await storages.allocate(node, storage, vmid, format, bytes);
    drive.size = formatSize(bytes);
    delete drive.format;
    return printDrive(name, drive);
  }
  if (drive["import-from"] !== undefined) {
    throw badParameters({ [name]: "the lab imports no disks" });
  }
  const { size } = storages.info(node, file);
  drive.size = formatSize(size);
  return printDrive(name, drive);
}

async function makeCloudInit(
  storages: Storages,
  node: string,
  vmid: number,
  name: string,
  drive: Drive,
  current: ReadonlyMap<string, string>,
): Promise<string> {
  const attached = drivesOf(current).find(([other, one]) => other !== name && isCloudInit(one));
  if (attached !== undefined) {
    throw fault(`${name} - cloud-init drive is already attached at '${attached[0]}'`);
  }
  const storage = drive.file.split(":")[0] as string;
  const directory = storages.get(storage).type === "dir";
  const format = directory ? String(drive.format ?? "qcow2") : "raw";
  const volume = `vm-${vmid}-cloudinit${directory ? `.${format}` : ""}`;
  drive.file = await storages.allocate(node, storage, vmid, format, IMAGE_BYTES, volume);
  drive.media = "cdrom";
  delete drive.format;
  return printDrive(name, drive);
}

/**
 * What becomes of a drive that a VM no longer has: the cloud-init image is removed, a disk is kept
 * as unused.
 */
export function dropDrive(
  storages: Storages,
  node: string,
  vmid: number,
  values: Map<string, string>,
  name: string,
): void {
  const value = values.get(name);
  values.delete(name);
  if (value === undefined) return;
  if (name.startsWith("unused")) {
    storages.remove(node, value);
    return;
  }
  const drive = parseDrive(name, value);
  if (!hasVolume(drive) || storages.ownerOf(drive.file) !== vmid) return;
  if (isCloudInit(drive)) {
    storages.remove(node, drive.file);
  } else if (!isCdrom(drive)) {
    let index = 0;
    while (values.has(`unused${index}`)) index += 1;
    values.set(`unused${index}`, drive.file);
  }
}
