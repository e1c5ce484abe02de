/** What the API tells of a VM's state. */

import { isCdrom } from "../schema/drives";
import { formatSize, parseSize } from "../schema/formats";
import { agentEnabled } from "../schema/vm-options";
import type { World } from "../world";
import { withPending } from "./config-file";
import { drivesOf } from "./disks";
import { isTemplate, memoryOf, vcpus } from "./options";
import type { Vm } from "./store";

const MIB = 1024 ** 2;

/** Bytes of the disk that the VM boots from. */
function bootDiskSize(options: ReadonlyMap<string, string>): number {
  const [, first] = /order=(\w+)/.exec(options.get("boot") ?? "") ?? [];
  const disks = drivesOf(options).filter(([, drive]) => !isCdrom(drive));
  const [, drive] = disks.find(([name]) => name === first) ?? disks[0] ?? [];
  return parseSize(String(drive?.size ?? formatSize(0))) ?? 0;
}

/** What lists and `status/current` have in common. */
export function vmSummary(world: World, { vmid, config }: Vm) {
  const { values } = config;
  const pid = world.guests.pid(vmid);
  const usage = world.guests.usage(vmid);
  const uptime = world.guests.uptime(vmid);
  const cpus = vcpus(values);
  const lock = values.get("lock");
  const tags = values.get("tags");
  return {
    vmid,
    name: values.get("name") ?? `VM ${vmid}`,
    status: pid === undefined ? "stopped" : "running",
    cpus,
    cpu: uptime === 0 ? 0 : Math.min(1, usage.cpu / uptime / cpus),
    mem: usage.memory,
    memhost: usage.memory,
    maxmem: memoryOf(values) * MIB,
    disk: 0,
    maxdisk: bootDiskSize(values),
    diskread: 0,
    diskwrite: 0,
    netin: 0,
    netout: 0,
    uptime,
    ...(pid === undefined ? {} : { pid }),
    ...(lock === undefined ? {} : { lock }),
    ...(tags === undefined ? {} : { tags }),
    ...(isTemplate(values) ? { template: 1 } : {}),
    ...([...values.keys()].some((name) => /^serial\d+$/.test(name)) ? { serial: 1 } : {}),
  };
}

export function vmStatus(world: World, vm: Vm) {
  const { values } = vm.config;
  const summary = vmSummary(world, vm);
  const ha = world.ha.get(`vm:${vm.vmid}`);
  return {
    ...summary,
    ...(agentEnabled(values.get("agent")) ? { agent: 1 } : {}),
    clipboard: null,
    ha: ha === undefined ? { managed: 0 } : { managed: 1, ...ha },
    qmpstatus: summary.status,
  };
}

/** An entry of `cluster/resources`. */
export function vmResource(world: World, vm: Vm) {
  const { cpus, status, name, template, tags, lock, ...usage } = vmSummary(world, vm);
  const pool = world.pools.of(vm.vmid);
  return {
    id: `qemu/${vm.vmid}`,
    type: "qemu",
    node: vm.node,
    vmid: vm.vmid,
    name,
    status,
    template: template ?? 0,
    maxcpu: cpus,
    cpu: usage.cpu,
    mem: usage.mem,
    memhost: usage.memhost,
    maxmem: usage.maxmem,
    disk: usage.disk,
    maxdisk: usage.maxdisk,
    diskread: 0,
    diskwrite: 0,
    netin: 0,
    netout: 0,
    uptime: usage.uptime,
    ...(pool === undefined ? {} : { pool }),
    ...(tags === undefined ? {} : { tags }),
    ...(lock === undefined ? {} : { lock }),
  };
}

/** Options as they are now, or as they will be after the next start. */
export const optionsOf = ({ config }: Vm, current: boolean) =>
  current ? config.values : withPending(config);
