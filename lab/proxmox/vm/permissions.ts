/** Which right each option of a VM needs. */

import type { Access, Caller } from "../access/access";
import type { Privilege } from "../access/privileges";
import { fault } from "../errors";
import { isCdrom, isCloudInit, isDrive, parseDrive } from "../schema/drives";
import { type Nic, parseNic } from "../schema/vm-options";
import type { Storages } from "../storage/storages";

const set = (text: string) => new Set(text.split(" "));

const GROUPS: readonly (readonly [Privilege, ReadonlySet<string>])[] = [
  ["VM.Config.CPU", set("cores cpu cpulimit cpuunits numa smp sockets vcpus")],
  ["VM.Config.Memory", set("memory balloon shares allow-ksm")],
  [
    "VM.Config.HWType",
    set("acpi audio0 hotplug kvm machine rng0 scsihw smbios1 tablet vga watchdog"),
  ],
  [
    "VM.Config.Options",
    set(
      "agent autostart bios description keyboard localtime migrate_downtime migrate_speed name " +
        "onboot ostype protection reboot spice_enhancements startdate startup tags tdf template " +
        "vmgenid",
    ),
  ],
  ["VM.PowerMgmt", set("freeze")],
  ["VM.Config.Disk", set("boot bootdisk vmstatestorage")],
];
const CLOUD_INIT = set(
  "cicustom cipassword citype ciupgrade ciuser nameserver searchdomain sshkeys",
);

/** @throws ApiError 403 for the first option that the caller may not set or remove */
export function checkOptions(
  access: Access,
  caller: Caller,
  vmid: number,
  names: readonly string[],
): void {
  const vm = `/vms/${vmid}`;
  for (const name of names) {
    if (isDrive(name) || name.startsWith("unused")) continue;
    const group = GROUPS.find(([, options]) => options.has(name));
    if (group !== undefined) {
      access.check(caller, vm, [group[0]]);
      if (name === "startup") access.check(caller, "/", ["Sys.Modify"]);
    } else if (/^numa\d+$/.test(name)) {
      access.check(caller, vm, ["VM.Config.CPU"]);
    } else if (/^net\d+$/.test(name)) {
      access.check(caller, vm, ["VM.Config.Network"]);
    } else if (/^serial\d+$/.test(name)) {
      access.check(caller, vm, ["VM.Config.HWType"]);
    } else if (CLOUD_INIT.has(name) || /^ipconfig\d+$/.test(name)) {
      access.checkAny(caller, vm, ["VM.Config.Cloudinit", "VM.Config.Network"]);
    } else if (!access.isRoot(caller)) {
      throw rootOnly(name);
    }
  }
}

function rootOnly(name: string) {
  return fault(`only root can set '${name}' config`);
}

/** @throws ApiError 403 unless the caller may change that drive */
export function checkDriveChange(
  access: Access,
  caller: Caller,
  vmid: number,
  name: string,
  values: readonly (string | undefined)[],
): void {
  const vm = `/vms/${vmid}`;
  if (name.startsWith("unused")) return access.check(caller, vm, ["VM.Config.Disk"]);
  for (const value of values) {
    if (value === undefined) continue;
    const drive = parseDrive(name, value);
    if (isCloudInit(drive)) access.check(caller, vm, ["VM.Config.Cloudinit", "VM.Config.CDROM"]);
    else if (isCdrom(drive)) access.check(caller, vm, ["VM.Config.CDROM"]);
    else access.check(caller, vm, ["VM.Config.Disk"]);
  }
}

/** A new disk, written `STORAGE:GIGABYTES`. */
export const NEW_DISK = /^([^/:\s]+):(\d+(?:\.\d+)?)$/;

/** @throws ApiError 403 unless the caller may use what a drive's new value names */
export function checkDriveVolume(
  access: Access,
  caller: Caller,
  vmid: number,
  storages: Storages,
  name: string,
  value: string,
): void {
  const drive = parseDrive(name, value);
  const { file } = drive;
  if (file === "none" || isNewCloudInit(file)) return;
  if (file === "cdrom") {
    if (isCdrom(drive)) access.check(caller, "/", ["Sys.Console"]);
    return;
  }
  const [, storage] = NEW_DISK.exec(file) ?? [];
  if (storage !== undefined) {
    access.check(caller, `/storage/${storage}`, ["Datastore.AllocateSpace"]);
    return;
  }
  if (file.startsWith("/")) {
    if (!access.isRoot(caller)) throw fault("Only root can pass arbitrary filesystem paths.");
    return;
  }
  checkVolume(access, caller, vmid, storages, file);
}

export const isNewCloudInit = (file: string) => /^(?:[^/:\s]+:)?cloudinit$/.test(file);

/** @throws ApiError 403 unless the caller may use an existing volume for a VM */
export function checkVolume(
  access: Access,
  caller: Caller,
  vmid: number | undefined,
  storages: Storages,
  volid: string,
): void {
  const id = volid.split(":")[0] ?? "";
  const content = storages.contentOf(volid);
  if (content === "iso" || content === "vztmpl" || content === "import") {
    access.checkAny(caller, `/storage/${id}`, ["Datastore.AllocateSpace", "Datastore.Audit"]);
    return;
  }
  const owner = storages.ownerOf(volid);
  if (content === "images" && owner !== undefined && owner === vmid) return;
  if (content === "images" && owner !== undefined) {
    access.check(caller, `/vms/${owner}`, ["VM.Config.Disk"]);
    access.check(caller, `/storage/${id}`, ["Datastore.AllocateSpace"]);
    return;
  }
  access.check(caller, `/storage/${id}`, ["Datastore.Allocate"]);
}

/** @throws ApiError 403 unless the caller may put a network device on its bridge */
export function checkBridge(access: Access, caller: Caller, nic: Nic): void {
  if (nic.bridge === undefined) return;
  const path = `/sdn/zones/localnetwork/${nic.bridge}`;
  access.checkAny(caller, nic.tag === undefined ? path : `${path}/${nic.tag}`, ["SDN.Use"]);
}

export function checkBridges(
  access: Access,
  caller: Caller,
  options: ReadonlyMap<string, string>,
): void {
  for (const [name, value] of options) {
    if (/^net\d+$/.test(name)) checkBridge(access, caller, parseNic(name, value));
  }
}
