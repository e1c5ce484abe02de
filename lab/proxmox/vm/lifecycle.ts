/** Starts, stops, makes and removes VMs: the work of the tasks. */

import { buildCloudInit } from "../cloudinit/image";
import { fault, messageOf } from "../errors";
import type { GuestPlan } from "../guests/guest";
import { type Drive, isCdrom, isCloudInit, parseDrive, printDrive } from "../schema/drives";
import { formatSize } from "../schema/formats";
import { agentEnabled, parseNic, printNic } from "../schema/vm-options";
import type { TaskContext } from "../tasks/tasks";
import type { World } from "../world";
import { copyConfig, emptyConfig, type VmConfig } from "./config-file";
import { drivesOf, hasVolume, volumesOf } from "./disks";
import { drawMac } from "./mac";
import { isTemplate, memoryOf, newSmbios, uuidOf, vcpus } from "./options";
import type { Vm } from "./store";
import { applyPending, requireUnlocked } from "./update";

const LOCK_LIMIT = 10;
/** A source or target that somebody else works on is not waited for. */
const CLONE_LOCK_LIMIT = 1;
/** Seconds that a shutdown may take unless the request says otherwise. */
const SHUTDOWN_LIMIT = 60;

// --- Start ---------------------------------------------------------------------------------------

export async function startVm(
  world: World,
  node: string,
  vmid: number,
  task: TaskContext,
): Promise<void> {
  await world.locks.run(vmid, LOCK_LIMIT, async () => {
    const vm = world.vms.load(node, vmid);
    if (isTemplate(vm.config.values)) throw fault("you can't start a vm if it's a template");
    requireUnlocked(vm);
    if (world.guests.pid(vmid) !== undefined) throw fault(`VM ${vmid} already running`);
    const config = copyConfig(vm.config);
    applyPending(world, node, vmid, config, undefined);
    world.vms.save(node, vmid, config);
    await rebuildCloudInit(world, { ...vm, config }, task.log);
    await world.guests.start(planOf(world, { ...vm, config }));
  });
}

/** Makes the cloud-init image anew, when the VM has one. */
export async function rebuildCloudInit(
  world: World,
  { node, vmid, config }: Vm,
  log: (line: string) => void,
): Promise<void> {
  const found = drivesOf(config.values).find(([, drive]) => isCloudInit(drive));
  if (found === undefined) return;
  log("generating cloud-init ISO");
  await buildCloudInit({
    storages: world.storages,
    node,
    vmid,
    options: config.values,
    host: world.resolver,
    volid: found[1].file,
    folder: world.guests.seedFolder(vmid),
  });
}

function planOf(world: World, { node, vmid, config }: Vm): GuestPlan {
  const { values } = config;
  const { storages } = world;
  const claimed = world.config.nodes.find(({ name }) => name === node)?.cpus ?? 1;
  const cores = vcpus(values);
  if (cores > claimed) throw fault(`MAX ${claimed} vcpus allowed per VM on this node`);
  const drives = drivesOf(values).filter(([, drive]) => hasVolume(drive));
  const seed = drives.find(([, drive]) => isCloudInit(drive));
  const disks = drives.filter(([, drive]) => !isCdrom(drive));
  return {
    vmid,
    name: values.get("name") ?? `VM${vmid}`,
    uuid: uuidOf(values) ?? "",
    cores,
    memory: memoryOf(values),
    agent: agentEnabled(values.get("agent")),
    disks: disks.map(([slot, drive]) => {
      if (!storages.exists(node, drive.file)) throw fault(`volume '${drive.file}' does not exist`);
      return {
        slot,
        file: storages.file(node, drive.file),
        format: storages.fileFormat(node, drive.file),
        serial: drive.serial === undefined ? undefined : String(drive.serial),
        readOnly: drive.ro === true,
        discard: drive.discard === "on",
      };
    }),
    nics: [...values]
      .filter(([name]) => /^net\d+$/.test(name))
      .map(([name, value]) => {
        const nic = parseNic(name, value);
        const bridge = String(nic.bridge ?? "");
        if (bridge !== world.config.network.bridge)
          throw fault(`bridge '${bridge}' does not exist`);
        return {
          index: Number(name.slice("net".length)),
          mac: String(nic.macaddr),
          model: nic.model,
          bridge,
          mtu: nic.mtu === undefined || nic.mtu === 1 ? undefined : Number(nic.mtu),
          linkDown: nic.link_down === true,
        };
      }),
    seed:
      seed === undefined
        ? undefined
        : {
            image: storages.file(node, seed[1].file),
            slot: seed[0],
            folder: world.guests.seedFolder(vmid),
          },
    template: world.guests.origin(vmid).template,
  };
}

// --- Stop ----------------------------------------------------------------------------------------

export async function stopVm(world: World, node: string, vmid: number): Promise<void> {
  requireUnlocked(world.vms.load(node, vmid));
  await world.guests.stop(vmid);
}

export interface Shutdown {
  /** Seconds. */
  readonly timeout: number | undefined;
  readonly forceStop: boolean;
}

/** Asks the guest to power off: its agent when it has one, its power button otherwise. */
export async function shutdownVm(
  world: World,
  node: string,
  vmid: number,
  { timeout, forceStop }: Shutdown,
  task: TaskContext,
): Promise<void> {
  const vm = world.vms.load(node, vmid);
  requireUnlocked(vm);
  if (world.guests.pid(vmid) === undefined) return;
  try {
    if (agentEnabled(vm.config.values.get("agent"))) await world.guests.agent(vmid).shutdown();
    else await world.guests.powerButton(vmid);
  } catch (error) {
    if (!forceStop) throw fault(`VM quit/powerdown failed - ${messageOf(error)}`);
    task.log(`VM quit/powerdown failed - ${messageOf(error)}`);
  }
  if (await world.guests.off(vmid, timeout ?? SHUTDOWN_LIMIT, task.signal)) return;
  task.signal.throwIfAborted();
  if (!forceStop) throw fault("VM quit/powerdown failed - got timeout");
  task.log("VM still running - terminating now with SIGTERM");
  await world.guests.stop(vmid);
}

export async function rebootVm(
  world: World,
  node: string,
  vmid: number,
  timeout: number | undefined,
  task: TaskContext,
): Promise<void> {
  await shutdownVm(world, node, vmid, { timeout, forceStop: false }, task);
  await startVm(world, node, vmid, task);
}

// --- Clone ---------------------------------------------------------------------------------------

export interface Clone {
  readonly node: string;
  readonly vmid: number;
  readonly newid: number;
  readonly name: string | undefined;
  readonly description: string | undefined;
  readonly pool: string | undefined;
  readonly storage: string | undefined;
  readonly format: string | undefined;
  readonly target: string;
}

export async function cloneVm(world: World, clone: Clone, task: TaskContext): Promise<void> {
  const { node, vmid, newid } = clone;
  await world.locks.run(newid, CLONE_LOCK_LIMIT, () =>
    world.locks.run(vmid, CLONE_LOCK_LIMIT, async () => {
      const source = world.vms.load(node, vmid);
      requireUnlocked(source);
      const placeholder = emptyConfig();
      placeholder.values.set("lock", "clone");
      world.vms.create(node, newid, placeholder);
      const made: string[] = [];
      try {
        if (clone.pool !== undefined) world.pools.addVm(clone.pool, newid);
        world.guests.setOrigin(newid, world.guests.origin(vmid));
        world.firewalls.copy(vmid, newid);
        const config = await cloneConfig(world, source, clone, made, task);
        world.vms.save(node, newid, config);
        if (clone.target !== node) moveToNode(world, newid, node, clone.target);
      } catch (error) {
        for (const volid of made) world.storages.remove(node, volid);
        forgetVm(world, node, newid);
        throw fault(`clone failed: ${messageOf(error)}`);
      }
    }),
  );
}

async function cloneConfig(
  world: World,
  source: Vm,
  clone: Clone,
  made: string[],
  task: TaskContext,
): Promise<VmConfig> {
  const config = emptyConfig();
  const { values } = config;
  for (const [name, value] of source.config.values) {
    if (/^(unused\d+|template|lock|parent|snaptime|vmstate)$/.test(name)) continue;
    if (/^net\d+$/.test(name)) {
      values.set(name, printNic({ ...parseNic(name, value), macaddr: drawMac() }));
    } else {
      values.set(name, value);
    }
  }
  for (const [name, drive] of drivesOf(source.config.values)) {
    if (!hasVolume(drive) || (isCdrom(drive) && !isCloudInit(drive))) continue;
    task.signal.throwIfAborted();
    const volid = await cloneVolume(world, source, clone, name, drive.file, task);
    made.push(volid);
    const { size } = world.storages.info(source.node, volid);
    const copy: Drive = { ...drive, file: volid, size: formatSize(size) };
    delete copy.format;
    values.set(name, printDrive(name, copy));
  }
  values.set("smbios1", newSmbios());
  if (values.has("vmgenid")) values.set("vmgenid", crypto.randomUUID());
  const original = source.config.values.get("name") ?? String(source.vmid);
  values.set("name", clone.name ?? `Copy-of-VM-${original}`);
  if (clone.description !== undefined) values.set("description", clone.description);
  return config;
}

async function cloneVolume(
  world: World,
  { node, config }: Vm,
  clone: Clone,
  name: string,
  volid: string,
  task: TaskContext,
): Promise<string> {
  const { storages, guests } = world;
  const storage = clone.storage ?? (volid.split(":")[0] as string);
  const { size } = storages.info(node, volid);
  if (isCloudInit(parseDrive(name, config.values.get(name) as string))) {
    const directory = storages.get(storage).type === "dir";
    const format = directory ? "qcow2" : "raw";
    const volume = `vm-${clone.newid}-cloudinit${directory ? ".qcow2" : ""}`;
    return storages.allocate(node, storage, clone.newid, format, size, volume);
  }
  task.log(`create full clone of drive ${name} (${volid})`);
  // A light guest reads the template's files where they are: its disk starts empty.
  if (guests.origin(clone.vmid).kind === "light" && isTemplate(config.values)) {
    return storages.allocate(node, storage, clone.newid, "raw", size);
  }
  const target = { node, storage, vmid: clone.newid, format: clone.format };
  const copy = await storages.copy(node, volid, target);
  task.log(`transferred ${formatSize(size)} of ${formatSize(size)} (100.00%)`);
  return copy;
}

// --- Remove --------------------------------------------------------------------------------------

export interface Destroy {
  readonly purge: boolean;
  readonly unreferenced: boolean;
}

/** @throws ApiError when a VM must not be removed */
export function checkDestroy(world: World, node: string, vmid: number, purge: boolean): void {
  const { config } = world.vms.load(node, vmid);
  if (config.values.get("protection") === "1") {
    throw fault(`can't remove VM ${vmid} - protection mode enabled`);
  }
  if (!purge && world.ha.has(`vm:${vmid}`)) {
    throw fault(`unable to remove VM ${vmid} - used in HA resources and purge parameter not set.`);
  }
  if (world.guests.pid(vmid) !== undefined) throw fault(`VM ${vmid} is running - destroy failed`);
}

export async function destroyVm(
  world: World,
  node: string,
  vmid: number,
  { purge, unreferenced }: Destroy,
  task: TaskContext,
): Promise<void> {
  await world.locks.run(vmid, LOCK_LIMIT, async () => {
    const vm = world.vms.load(node, vmid);
    requireUnlocked(vm);
    checkDestroy(world, node, vmid, purge);
    const volumes = new Set(volumesOf(vm.config.values));
    if (unreferenced) {
      for (const { id } of world.storages.all) {
        for (const volume of world.storages.list(node, id, "images")) {
          if (volume.vmid === vmid) volumes.add(volume.volid);
        }
      }
    }
    for (const volid of volumes) {
      if (world.storages.ownerOf(volid) !== vmid || !world.storages.exists(node, volid)) continue;
      task.log(`removing volume '${volid}'`);
      world.storages.remove(node, volid);
    }
    if (purge) {
      task.log(`purging VM ${vmid} from related configurations..`);
      world.ha.remove(`vm:${vmid}`);
    }
    forgetVm(world, node, vmid);
  });
}

function forgetVm(world: World, node: string, vmid: number): void {
  world.firewalls.remove(vmid);
  world.pools.removeVm(vmid);
  world.guests.forget(vmid);
  world.vms.remove(node, vmid);
}

// --- Move ----------------------------------------------------------------------------------------

function moveToNode(world: World, vmid: number, from: string, to: string): void {
  const { config } = world.vms.load(from, vmid);
  for (const volid of volumesOf(config.values)) world.storages.move(volid, from, to);
  world.vms.move(vmid, from, to);
}

export interface Migration {
  readonly target: string;
  readonly withLocalDisks: boolean;
}

/** Takes a stopped VM to another node, its local disks too. */
export async function migrateVm(
  world: World,
  node: string,
  vmid: number,
  { target, withLocalDisks }: Migration,
  task: TaskContext,
): Promise<void> {
  await world.locks.run(vmid, LOCK_LIMIT, () => {
    const vm = world.vms.load(node, vmid);
    requireUnlocked(vm);
    task.log(`starting migration of VM ${vmid} to node '${target}'`);
    const local = volumesOf(vm.config.values).filter((volid) => isLocal(world, volid));
    for (const volid of local) task.log(`found local disk '${volid}' (attached)`);
    const disks = local.filter((volid) => !volid.endsWith("-cloudinit"));
    if (disks.length > 0 && !withLocalDisks && isTemplate(vm.config.values)) {
      throw fault("can't migrate a template with local disks");
    }
    moveToNode(world, vmid, node, target);
    task.log("migration finished successfully (duration 00:00:00)");
  });
}

const isLocal = (world: World, volid: string) =>
  !world.storages.get(volid.split(":")[0] as string).shared;
