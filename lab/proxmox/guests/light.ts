/** Light guests: containers of systemd-nspawn that look like machines. See light.sh. */

import { spawn } from "node:child_process";
import {
  closeSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

import { ROOT } from "../../paths";
import { output, run } from "../../run";
import { startTime } from "../../services/process";
import { fault } from "../errors";
import type { GuestAgent, GuestKindDriver, GuestPlan } from "./guest";
import { raiseInotifyLimit, restoreInotifyLimit } from "./inotify";
import { LightAgent } from "./light-agent";
import {
  childrenOf,
  descendantsOf,
  namespacePids,
  networkDevices,
  processUsage,
  sendSignal,
  shortName,
} from "./proc";

const FILES = path.join(ROOT, "lab", "proxmox", "guests");
const SCRIPT = path.join(FILES, "light.sh");
const SOURCES = path.join(FILES, "light-root");
const START_LIMIT = 60;
const RELEASE_LIMIT = 20;
/** SIGRTMIN+4 and SIGRTMIN+5: power off and reboot, for systemd as process 1. */
const POWER_OFF = 38;
const REBOOT = 39;

export class LightGuests implements GuestKindDriver {
  private readonly layer: string;
  private readonly name: string;
  private readonly leaders = new Map<number, { pid: number; leader: number; started: string }>();

  /** @param dir the state folder */
  constructor(private readonly dir: string) {
    this.name = `gitlab-runners-lab-${shortName(dir)}`;
    this.layer = path.join(dir, "light-layer");
    writeLayer(this.layer);
  }

  async start(plan: GuestPlan, folder: string): Promise<number> {
    if (plan.disks.length === 0) throw fault("a light guest needs a disk");
    const wrong = plan.disks.find(({ format }) => format !== "raw");
    if (wrong !== undefined) {
      throw fault(`${wrong.slot} is ${wrong.format}: light guests need raw images`);
    }
    raiseInotifyLimit(this.dir);
    const group = controlGroup(`${this.name}-${plan.vmid}`);
    mkdirSync(group, { recursive: true });
    mkdirSync(path.join(folder, "seed"), { recursive: true });
    writeFileSync(path.join(folder, "plan"), this.planText(plan, group), { mode: 0o600 });
    const logFile = path.join(folder, "start.log");
    const log = openSync(logFile, "w", 0o600);
    const child = spawn(SCRIPT, [folder], { stdio: ["ignore", log, log], detached: true });
    closeSync(log);
    child.on("error", () => undefined);
    child.unref();
    const { pid } = child;
    if (pid === undefined) throw fault(`${SCRIPT} cannot be started`);
    const deadline = Date.now() + START_LIMIT * 1000;
    while (this.leader(pid) === undefined) {
      if (startTime(pid) === undefined) {
        await this.release(plan.vmid, folder);
        throw fault(`start failed: ${readFileSync(logFile, "utf8").trim()}`);
      }
      if (Date.now() > deadline) {
        sendSignal(pid, "SIGKILL");
        throw fault(`start failed: no process 1 after ${START_LIMIT} s`);
      }
      await sleep(20);
    }
    return pid;
  }

  private planText(plan: GuestPlan, group: string): string {
    const quote = (text: string) => `'${text.replaceAll("'", `'\\''`)}'`;
    const nics = plan.nics.map(({ index, mac, bridge, mtu, linkDown }) =>
      quote(
        [
          `eth${index}`,
          mac.toLowerCase(),
          device(plan.vmid, index),
          bridge,
          mtu ?? 1500,
          linkDown ? "down" : "up",
        ].join("="),
      ),
    );
    return [
      `NAME=vm${plan.vmid}`,
      `UUID=${quote(plan.uuid)}`,
      `ROOT=${quote(path.join(plan.template, "root"))}`,
      `EXTRA=${quote(this.layer)}`,
      `CGROUP=${quote(group)}`,
      `DISKS=(${plan.disks.map(({ slot, file }) => quote(`${slot}=${file}`)).join(" ")})`,
      `NICS=(${nics.join(" ")})`,
      "",
    ].join("\n");
  }

  /** Process 1 of the container, for this machine. */
  private leader(pid: number): number | undefined {
    const known = this.leaders.get(pid);
    if (known !== undefined && startTime(known.leader) === known.started) return known.leader;
    // unshare, then bash as process 1 of a namespace, then systemd-nspawn, then process 1 of another.
    const leader = descendantsOf(pid).find((candidate) => {
      const pids = namespacePids(candidate);
      return pids.length >= 3 && pids.at(-1) === 1;
    });
    if (leader === undefined) return undefined;
    this.leaders.set(pid, { pid, leader, started: startTime(leader) ?? "" });
    return leader;
  }

  async release(vmid: number, folder: string): Promise<void> {
    const deadline = Date.now() + RELEASE_LIMIT * 1000;
    const images = existsSync(path.join(folder, "plan"))
      ? [...readFileSync(path.join(folder, "plan"), "utf8").matchAll(/'scsi\d+=([^']+)'/g)]
      : [];
    for (const [, image] of images) {
      while (image !== undefined && (await loopDevices(image)) !== "") {
        if (Date.now() > deadline) throw fault(`${image} is still in use by a loop device`);
        await sleep(50);
      }
    }
    while (existsSync(`/sys/class/net/${device(vmid, 0)}`) && Date.now() < deadline)
      await sleep(50);
    for (const group of controlGroups(`${this.name}-${vmid}`)) removeGroup(group);
    for (const name of ["root", "disk"]) {
      if (existsSync(path.join(folder, name))) rmdirSync(path.join(folder, name));
    }
    rmSync(path.join(folder, "plan"), { force: true });
    const others = path.dirname(folder);
    if (!readdirSync(others).some((vm) => existsSync(path.join(others, vm, "plan")))) {
      restoreInotifyLimit(this.dir);
    }
  }

  agent(_vmid: number, _folder: string, pid: number): GuestAgent {
    const leader = this.leader(pid);
    if (leader === undefined) throw fault("QEMU guest agent is not running");
    return new LightAgent(leader, () => sendSignal(leader, POWER_OFF));
  }

  powerButton(_vmid: number, _folder: string, pid: number): Promise<void> {
    const leader = this.leader(pid);
    if (leader !== undefined) sendSignal(leader, POWER_OFF);
    return Promise.resolve();
  }

  reset(_vmid: number, _folder: string, pid: number): Promise<void> {
    const leader = this.leader(pid);
    if (leader !== undefined) sendSignal(leader, REBOOT);
    return Promise.resolve();
  }

  /**
   * A guest that may not grow a mounted file system sees its larger disk after its next start,
   * which grows it; before that it could only fail.
   */
  async grow(
    _vmid: number,
    _folder: string,
    _slot: string,
    file: string,
    bytes: number,
  ): Promise<void> {
    truncateSync(file, bytes);
    if (!mayGrowMounted()) return;
    const loop = await loopDevices(file);
    if (loop !== "") await run("losetup", ["--set-capacity", loop], { limit: 20 });
  }

  devices(vmid: number): readonly string[] {
    return networkDevices().filter((name) => name.startsWith(`veth${vmid}i`));
  }

  usage(pid: number): { memory: number; cpu: number } {
    return childrenOf(pid).length === 0 ? { memory: 0, cpu: 0 } : processUsage(pid);
  }
}

/** CAP_SYS_RESOURCE: machines that are containers or sandboxes themselves often lack it. */
const SYS_RESOURCE = 24n;

function mayGrowMounted(): boolean {
  const status = readFileSync("/proc/self/status", "utf8");
  const bounds = BigInt(`0x${/^CapBnd:\s*(\w+)$/m.exec(status)?.[1] ?? "0"}`);
  return ((bounds >> SYS_RESOURCE) & 1n) === 1n;
}

const device = (vmid: number, index: number) => `veth${vmid}i${index}`;

async function loopDevices(file: string): Promise<string> {
  return output("losetup", ["--noheadings", "--output", "NAME", "--associated", file], {
    limit: 20,
    accept: [0, 1],
  });
}

/** The second version of control groups, alone or beside the first. */
function groupRoots(): string[] {
  const mounts = readFileSync("/proc/self/mounts", "utf8")
    .split("\n")
    .map((line) => line.split(" "));
  const second = mounts.filter(([, , type]) => type === "cgroup2");
  const named = mounts.filter(
    ([, , type, flags]) => type === "cgroup" && flags?.includes("name=systemd"),
  );
  return [...second, ...named].map(([, folder]) => folder as string);
}

function controlGroup(name: string): string {
  const [root] = groupRoots();
  if (root === undefined) throw fault("light guests need a mounted cgroup2 file system");
  return path.join(root, name);
}

function controlGroups(name: string): string[] {
  return groupRoots()
    .map((root) => path.join(root, name))
    .filter((group) => existsSync(group));
}

/** Control groups are folders that only rmdir removes, the inner ones first. */
function removeGroup(group: string): void {
  for (const entry of readdirSync(group, { withFileTypes: true })) {
    if (entry.isDirectory()) removeGroup(path.join(group, entry.name));
  }
  rmdirSync(group);
}

/** What a light guest has besides the template: a layer over it that all of them share. */
function writeLayer(layer: string): void {
  const put = (file: string, content: string) => {
    const target = path.join(layer, file);
    mkdirSync(path.dirname(target), { recursive: true, mode: 0o755 });
    if (!existsSync(target) || readFileSync(target, "utf8") !== content) {
      writeFileSync(target, content, { mode: 0o644 });
    }
  };
  put("etc/fstab", "# The root file system of a light guest is mounted for it.\n");
  // An interface of a container has no permanent address, which netplan wants to see.
  for (let index = 0; index < 4; index++) {
    put(
      `usr/lib/systemd/network/10-netplan-eth${index}.network.d/light.conf`,
      "[Match]\nPermanentMACAddress=\n",
    );
  }
  const units = path.join(layer, "usr", "lib", "systemd", "system");
  const wants = path.join(units, "sysinit.target.wants");
  const programs = path.join(layer, "usr", "lib", "pve-lab");
  mkdirSync(wants, { recursive: true, mode: 0o755 });
  mkdirSync(programs, { recursive: true, mode: 0o755 });
  copyFileSync(path.join(SOURCES, "pve-disks.service"), path.join(units, "pve-disks.service"));
  copyFileSync(path.join(SOURCES, "pve-disks.sh"), path.join(programs, "pve-disks.sh"));
  rmSync(path.join(wants, "pve-disks.service"), { force: true });
  symlinkSync("../pve-disks.service", path.join(wants, "pve-disks.service"));
}
