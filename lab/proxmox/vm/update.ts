/** Changes the options of a VM: `PUT …/config` and, as a task, `POST …/config`. */

import type { Caller } from "../access/access";
import { badParameters, fault } from "../errors";
import { isDrive, parseDrive } from "../schema/drives";
import type { Value } from "../schema/types";
import { parseNic, printNic } from "../schema/vm-options";
import type { World } from "../world";
import { copyConfig, type VmConfig } from "./config-file";
import { drivesOf, dropDrive, hasVolume, makeDrive } from "./disks";
import { drawMac } from "./mac";
import { memoryOf, normaliseTags, printValue } from "./options";
import { checkBridge, checkDriveChange, checkDriveVolume, checkOptions } from "./permissions";
import { hashPassword, requirePublicKeys } from "./secrets";
import type { Vm } from "./store";

const LOCK_LIMIT = 10;

/** Options that a running machine takes at once. */
const AT_ONCE = new Set(
  (
    "description hookscript lock migrate_downtime migrate_speed name onboot protection shares " +
    "startup tags vmstatestorage cicustom cipassword citype ciupgrade ciuser nameserver " +
    "searchdomain sshkeys"
  ).split(" "),
);

export interface Update {
  readonly node: string;
  readonly vmid: number;
  /** Checked options by name. */
  readonly set: Readonly<Record<string, Value>>;
  readonly remove: readonly string[];
  readonly revert: readonly string[];
  /** With `remove`: a disk is removed for good, not kept as unused. */
  readonly force: boolean;
  readonly digest: string | undefined;
  readonly skipLock: boolean;
}

/** @throws ApiError 403 or 400 for what the caller may not do, before anything is done */
export function checkUpdate(world: World, caller: Caller, update: Update): void {
  const { access, storages } = world;
  const { vmid, node, set, remove } = update;
  for (const name of remove) {
    if (set[name] !== undefined) {
      throw badParameters({
        delete: `you can't use '-${name}' and '-delete ${name}' at the same time`,
      });
    }
  }
  checkOptions(access, caller, vmid, [...remove, ...update.revert]);
  checkOptions(access, caller, vmid, Object.keys(set));
  const { config } = world.vms.load(node, vmid);
  const drive = (name: string) => isDrive(name) || /^unused\d+$/.test(name);
  for (const name of remove.filter(drive)) {
    checkDriveChange(access, caller, vmid, name, [config.values.get(name)]);
  }
  for (const [name, value] of Object.entries(set)) {
    if (isDrive(name)) {
      checkDriveChange(access, caller, vmid, name, [config.values.get(name), String(value)]);
      checkDriveVolume(access, caller, vmid, storages, name, String(value));
    }
    if (/^net\d+$/.test(name)) checkBridge(access, caller, parseNic(name, String(value)));
    if (/^serial\d+$/.test(name) && value !== "socket" && !access.isRoot(caller)) {
      throw fault(`only root can modify '${name}' config for real devices`);
    }
  }
}

export async function applyUpdate(
  world: World,
  update: Update,
  warn: (line: string) => void,
): Promise<void> {
  const set = await prepare(update.set);
  await world.locks.run(update.vmid, LOCK_LIMIT, async () => {
    const vm = world.vms.load(update.node, update.vmid);
    if (update.digest !== undefined && update.digest !== vm.digest) {
      throw fault("detected modified configuration - file changed by other user? Try again.");
    }
    if (!update.skipLock) requireUnlocked(vm);
    checkMemory(vm, set);
    const config = copyConfig(vm.config);
    for (const name of update.revert) {
      config.pending.delete(name);
      config.pendingDelete.delete(name);
    }
    removeOptions(vm, config, update.remove, warn);
    await setOptions(world, vm, config, set);
    const running = world.guests.pid(vm.vmid) !== undefined;
    applyPending(world, vm.node, vm.vmid, config, running ? AT_ONCE : undefined, update.force);
    world.vms.save(vm.node, vm.vmid, config);
  });
}

/** @throws ApiError while something is being done to the VM */
export function requireUnlocked({ config, vmid }: Pick<Vm, "config" | "vmid">): void {
  const lock = config.values.get("lock");
  if (lock !== undefined) throw fault(`VM is locked (${lock})`);
  void vmid;
}

/** Values as they are kept. */
async function prepare(set: Update["set"]): Promise<Map<string, string>> {
  const prepared = new Map<string, string>();
  for (const [name, value] of Object.entries(set)) {
    let printed = printValue(value);
    if (name === "tags") printed = normaliseTags(printed);
    if (name === "sshkeys") await requirePublicKeys(decodeURIComponent(printed));
    if (name === "cipassword") printed = await hashPassword(printed);
    if (/^net\d+$/.test(name)) {
      const nic = parseNic(name, printed);
      printed = printNic({ ...nic, macaddr: nic.macaddr ?? drawMac() });
    }
    prepared.set(name, printed);
  }
  return prepared;
}

function checkMemory(vm: Vm, set: ReadonlyMap<string, string>): void {
  if (!set.has("memory") && !set.has("balloon")) return;
  const options = new Map([...vm.config.values, ...vm.config.pending, ...set]);
  const balloon = options.get("balloon");
  if (balloon !== undefined && Number(balloon) > memoryOf(options)) {
    throw badParameters({
      balloon: "balloon value too large (must be smaller than assigned memory)",
    });
  }
}

function removeOptions(
  { config: before }: Vm,
  config: VmConfig,
  names: readonly string[],
  warn: (line: string) => void,
): void {
  const absent = names.filter((name) => !before.values.has(name) && !before.pending.has(name));
  if (absent.length > 0) {
    warn(`cannot delete '${absent.join(", ")}' - not set in current configuration!`);
  }
  for (const name of names) {
    config.pending.delete(name);
    if (!before.values.has(name)) continue;
    if (isDrive(name) && before.values.get("protection") === "1") {
      const drive = parseDrive(name, before.values.get(name) as string);
      if (hasVolume(drive) && drive.media !== "cdrom") {
        throw fault("can't remove drive '" + name + "' - protection mode enabled");
      }
    }
    config.pendingDelete.add(name);
  }
}

async function setOptions(
  world: World,
  { node, vmid }: Vm,
  config: VmConfig,
  set: ReadonlyMap<string, string>,
): Promise<void> {
  for (const [name, value] of set) {
    const current = new Map([...config.values, ...config.pending]);
    for (const gone of config.pendingDelete) current.delete(gone);
    const made = isDrive(name)
      ? await makeDrive(world.storages, node, vmid, name, value, current)
      : value;
    config.pendingDelete.delete(name);
    if (config.values.get(name) === made) config.pending.delete(name);
    else config.pending.set(name, made);
  }
}

/**
 * Lets what waits take effect.
 *
 * @param only the options that may: all of them when absent
 */
export function applyPending(
  world: World,
  node: string,
  vmid: number,
  config: VmConfig,
  only: ReadonlySet<string> | undefined,
  force = false,
): void {
  const { values, pending, pendingDelete } = config;
  for (const name of [...pendingDelete]) {
    if (only !== undefined && !only.has(name) && !/^(unused|ipconfig)\d+$/.test(name)) continue;
    if (isDrive(name) || name.startsWith("unused")) {
      const before = new Set(values.keys());
      dropDrive(world.storages, node, vmid, values, name);
      const unused = [...values.keys()].find((key) => !before.has(key));
      if (force && unused !== undefined) dropDrive(world.storages, node, vmid, values, unused);
    } else {
      values.delete(name);
    }
    pendingDelete.delete(name);
  }
  for (const [name, value] of [...pending]) {
    if (only !== undefined && !only.has(name) && !/^ipconfig\d+$/.test(name)) continue;
    const old = values.get(name);
    if (old !== undefined && isDrive(name)) {
      const kept = parseDrive(name, value).file === parseDrive(name, old).file;
      if (!kept) dropDrive(world.storages, node, vmid, values, name);
    }
    values.set(name, value);
    adopt(values, name, value);
    pending.delete(name);
  }
}

/** A disk that was unused and is attached again is not unused any more. */
function adopt(values: Map<string, string>, name: string, value: string): void {
  if (!isDrive(name)) return;
  const { file } = parseDrive(name, value);
  for (const [key, unused] of values) {
    if (key.startsWith("unused") && unused === file) values.delete(key);
  }
}

/** Names of drives whose volume is the given one. */
export const drivesWith = (config: VmConfig, volid: string) =>
  drivesOf(config.values)
    .filter(([, { file }]) => file === volid)
    .map(([name]) => name);
