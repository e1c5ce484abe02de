/**
 * The guests that run: started apart from this server, so that they outlive it, and found again by
 * process id and start time.
 */

import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import path from "node:path";

import { bootId, startTime } from "../../services/process";
import type { GuestKind } from "../config";
import { fault, messageOf } from "../errors";
import type { GuestAgent, GuestKindDriver, GuestPlan } from "./guest";
import { processEnded, sendSignal } from "./proc";

/** What a VM is besides its configuration: kept beside it, and handed on to its clones. */
export interface Origin {
  readonly kind: GuestKind;
  /** Folder of the template that it was cloned from, directly or not. */
  readonly template: string;
}

interface Run {
  readonly pid: number;
  readonly started: string;
  readonly boot: string;
  /** Milliseconds since the epoch. */
  readonly since: number;
}

const SWEEP_MS = 2000;
const KILL_LIMIT = 20;

export class Guests {
  private readonly root: string;
  private readonly sweeper: NodeJS.Timeout;
  private readonly busy = new Set<number>();

  constructor(
    dir: string,
    private readonly drivers: Readonly<Record<GuestKind, GuestKindDriver>>,
    private readonly log: (line: string) => void,
  ) {
    this.root = path.join(dir, "guests");
    mkdirSync(this.root, { recursive: true, mode: 0o700 });
    this.sweeper = setInterval(() => void this.sweep(), SWEEP_MS).unref();
  }

  folder(vmid: number): string {
    return path.join(this.root, String(vmid));
  }

  /** Where the files of a guest's cloud-init image are. */
  seedFolder(vmid: number): string {
    return path.join(this.folder(vmid), "seed");
  }

  setOrigin(vmid: number, origin: Origin): void {
    mkdirSync(this.folder(vmid), { recursive: true, mode: 0o700 });
    writeFileSync(path.join(this.folder(vmid), "origin.json"), JSON.stringify(origin));
  }

  /** @throws ApiError for a VM that was not made here */
  origin(vmid: number): Origin {
    const file = path.join(this.folder(vmid), "origin.json");
    if (!existsSync(file)) {
      throw fault(`VM ${vmid} was not cloned from a template: the lab cannot run it`);
    }
    return JSON.parse(readFileSync(file, "utf8")) as Origin;
  }

  private runFile(vmid: number): string {
    return path.join(this.folder(vmid), "run.json");
  }

  private readRun(vmid: number): Run | undefined {
    try {
      return JSON.parse(readFileSync(this.runFile(vmid), "utf8")) as Run;
    } catch {
      return undefined;
    }
  }

  private run(vmid: number): Run | undefined {
    const run = this.readRun(vmid);
    return run?.boot === bootId() && startTime(run.pid) === run.started ? run : undefined;
  }

  /** Process of a guest that runs. */
  pid(vmid: number): number | undefined {
    return this.run(vmid)?.pid;
  }

  /** Seconds since a guest's start. */
  uptime(vmid: number): number {
    const run = this.run(vmid);
    return run === undefined ? 0 : Math.floor((Date.now() - run.since) / 1000);
  }

  /** Ids of all guests that run. */
  running(): number[] {
    return readdirSync(this.root)
      .filter((name) => /^\d+$/.test(name))
      .map(Number)
      .filter((vmid) => this.pid(vmid) !== undefined);
  }

  private driver(vmid: number): GuestKindDriver {
    return this.drivers[this.origin(vmid).kind];
  }

  async start(plan: GuestPlan): Promise<void> {
    const { vmid } = plan;
    await this.exclusively(vmid, async () => {
      const driver = this.driver(vmid);
      await driver.release(vmid, this.folder(vmid));
      const pid = await driver.start(plan, this.folder(vmid));
      const run: Run = {
        pid,
        started: startTime(pid) ?? "",
        boot: bootId(),
        since: Date.now(),
      };
      const file = this.runFile(vmid);
      writeFileSync(`${file}.tmp`, JSON.stringify(run));
      renameSync(`${file}.tmp`, file);
    });
  }

  /** Ends a guest hard and gives back what it had. */
  async stop(vmid: number): Promise<void> {
    await this.exclusively(vmid, async () => {
      const pid = this.pid(vmid);
      if (pid !== undefined) {
        sendSignal(pid, "SIGKILL");
        if (!(await processEnded(pid, KILL_LIMIT))) {
          throw fault(`process ${pid} of VM ${vmid} does not end`);
        }
      }
      await this.release(vmid);
    });
  }

  private async release(vmid: number): Promise<void> {
    await this.driver(vmid).release(vmid, this.folder(vmid));
    rmSync(this.runFile(vmid), { force: true });
  }

  /** Waits until a guest is off. @returns whether it is, within that many seconds */
  async off(vmid: number, limit: number, signal: AbortSignal): Promise<boolean> {
    const deadline = Date.now() + limit * 1000;
    for (;;) {
      const pid = this.pid(vmid);
      if (pid === undefined) break;
      if (Date.now() > deadline || signal.aborted) return false;
      await processEnded(pid, 1);
    }
    await this.exclusively(vmid, () => this.release(vmid));
    return true;
  }

  /** @throws ApiError when it does not run */
  agent(vmid: number): GuestAgent {
    return this.driver(vmid).agent(vmid, this.folder(vmid), this.requirePid(vmid));
  }

  async powerButton(vmid: number): Promise<void> {
    await this.driver(vmid).powerButton(vmid, this.folder(vmid), this.requirePid(vmid));
  }

  async reset(vmid: number): Promise<void> {
    await this.driver(vmid).reset(vmid, this.folder(vmid), this.requirePid(vmid));
  }

  /** @throws ApiError when it does not run */
  async grow(vmid: number, slot: string, file: string, bytes: number): Promise<void> {
    this.requirePid(vmid);
    await this.driver(vmid).grow(vmid, this.folder(vmid), slot, file, bytes);
  }

  usage(vmid: number): { memory: number; cpu: number } {
    const pid = this.pid(vmid);
    return pid === undefined ? { memory: 0, cpu: 0 } : this.driver(vmid).usage(pid);
  }

  devices(vmid: number): readonly string[] {
    return this.pid(vmid) === undefined ? [] : this.driver(vmid).devices(vmid);
  }

  private requirePid(vmid: number): number {
    const pid = this.pid(vmid);
    if (pid === undefined) throw fault(`VM ${vmid} is not running`);
    return pid;
  }

  /** Forgets a VM that is gone. */
  forget(vmid: number): void {
    rmSync(this.folder(vmid), { recursive: true, force: true });
  }

  /** Gives back what guests had that have powered themselves off. */
  private async sweep(): Promise<void> {
    for (const name of readdirSync(this.root)) {
      const vmid = Number(name);
      if (this.busy.has(vmid) || this.readRun(vmid) === undefined || this.run(vmid) !== undefined) {
        continue;
      }
      this.log(`VM ${vmid} is off`);
      await this.exclusively(vmid, () => this.release(vmid)).catch((error: unknown) =>
        this.log(`VM ${vmid}: ${messageOf(error)}`),
      );
    }
  }

  private async exclusively<T>(vmid: number, work: () => Promise<T>): Promise<T> {
    while (this.busy.has(vmid)) await new Promise((resolve) => setTimeout(resolve, 20));
    this.busy.add(vmid);
    try {
      return await work();
    } finally {
      this.busy.delete(vmid);
    }
  }

  close(): void {
    clearInterval(this.sweeper);
  }
}
