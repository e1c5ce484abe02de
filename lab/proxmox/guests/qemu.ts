/** QEMU guests: a kernel of their own, disks and devices as Proxmox VE gives them. */

import { spawn } from "node:child_process";
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
} from "node:fs";
import os from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

import { run } from "../../run";
import { startTime } from "../../services/process";
import type { ProxmoxConfig } from "../config";
import { fault } from "../errors";
import type { GuestAgent, GuestKindDriver, GuestNic, GuestPlan } from "./guest";
import { networkDevices, processUsage, shortName } from "./proc";
import { QemuAgent } from "./qemu-agent";
import { qemuArgs, type QemuFiles } from "./qemu-args";
import { qmp } from "./qmp";

const START_LIMIT = 30;

/** A unix socket's path may have 107 characters: a state folder can lie deep. */
const SOCKETS = "/run/gitlab-runners-lab-pve";

export class QemuGuests implements GuestKindDriver {
  private readonly sockets: string;

  /** @param dir the state folder */
  constructor(
    dir: string,
    private readonly config: Pick<ProxmoxConfig, "acceleration" | "limits">,
  ) {
    this.sockets = `${SOCKETS}-${shortName(dir)}`;
  }

  private files(vmid: number, folder: string): QemuFiles {
    return {
      qmp: path.join(this.sockets, `${vmid}.qmp`),
      agent: path.join(this.sockets, `${vmid}.agent`),
      console: path.join(folder, "console.log"),
    };
  }

  async start(plan: GuestPlan, folder: string): Promise<number> {
    const files = this.files(plan.vmid, folder);
    mkdirSync(path.dirname(files.qmp), { recursive: true, mode: 0o700 });
    for (const nic of plan.nics) await addTap(plan.vmid, nic);
    const args = qemuArgs(plan, files, {
      acceleration: this.config.acceleration,
      processors: Math.min(plan.cores, os.cpus().length),
      memory: Math.min(plan.memory, this.config.limits.memory),
    });
    const logFile = path.join(folder, "qemu.log");
    const log = openSync(logFile, "w", 0o600);
    const child = spawn("qemu-system-x86_64", args, {
      stdio: ["ignore", log, log],
      detached: true,
      cwd: folder,
    });
    closeSync(log);
    child.on("error", () => undefined);
    child.unref();
    const { pid } = child;
    if (pid === undefined) throw fault("qemu-system-x86_64 cannot be started: is it installed?");
    const deadline = Date.now() + START_LIMIT * 1000;
    while (!existsSync(files.qmp)) {
      const gone = startTime(pid) === undefined;
      if (gone || Date.now() > deadline) {
        if (!gone) process.kill(pid, "SIGKILL");
        await this.release(plan.vmid, folder);
        throw fault(`start failed: QEMU exited: ${readFileSync(logFile, "utf8").trim()}`);
      }
      await sleep(20);
    }
    return pid;
  }

  async release(vmid: number, folder: string): Promise<void> {
    for (const device of this.devices(vmid)) {
      await run("ip", ["link", "delete", device], { limit: 20, accept: [0, 1] });
    }
    const { qmp: monitor, agent } = this.files(vmid, folder);
    for (const socket of [monitor, agent]) rmSync(socket, { force: true });
    if (existsSync(this.sockets) && readdirSync(this.sockets).length === 0) {
      rmSync(this.sockets, { recursive: true });
    }
  }

  agent(vmid: number, folder: string): GuestAgent {
    return new QemuAgent(this.files(vmid, folder).agent);
  }

  async powerButton(vmid: number, folder: string): Promise<void> {
    await qmp(this.files(vmid, folder).qmp, "system_powerdown");
  }

  async reset(vmid: number, folder: string): Promise<void> {
    await qmp(this.files(vmid, folder).qmp, "system_reset");
  }

  /** QEMU grows the file itself, and lets nobody else at it. */
  async grow(
    vmid: number,
    folder: string,
    slot: string,
    _file: string,
    bytes: number,
  ): Promise<void> {
    await qmp(this.files(vmid, folder).qmp, "block_resize", {
      device: `drive-${slot}`,
      size: bytes,
    });
  }

  devices(vmid: number): readonly string[] {
    return networkDevices().filter((name) => name.startsWith(`tap${vmid}i`));
  }

  usage(pid: number): { memory: number; cpu: number } {
    return processUsage(pid);
  }
}

async function addTap(vmid: number, nic: GuestNic): Promise<void> {
  const device = `tap${vmid}i${nic.index}`;
  const mtu = nic.mtu === undefined ? "" : ` mtu ${nic.mtu}`;
  const commands = [
    `tuntap add dev ${device} mode tap`,
    `link set ${device} master ${nic.bridge}${mtu} ${nic.linkDown ? "down" : "up"}`,
  ];
  await run("ip", ["-batch", "-"], { limit: 20, input: `${commands.join("\n")}\n` });
}
