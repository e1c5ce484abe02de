/** Tasks: what takes longer than a request. Each has a log and an end, kept on disk. */

import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  writeFileSync,
} from "node:fs";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

import { messageOf } from "../errors";
import { parseUpid, printUpid, type Upid } from "./upid";

/** What a task does its work with. */
export interface TaskContext {
  /** Adds a line to the task's log. */
  log(line: string): void;
  /** As `log`; the task ends with WARNINGS instead of OK. */
  warn(line: string): void;
  /** Aborts when the task is stopped. */
  readonly signal: AbortSignal;
}

export interface TaskStatus extends Upid {
  readonly upid: string;
  readonly status: "running" | "stopped";
  readonly exitstatus?: string;
  readonly endtime?: number;
}

interface Running {
  readonly abort: AbortController;
  readonly done: Promise<void>;
}

interface End {
  readonly exitstatus: string;
  readonly endtime: number;
}

/** As Proxmox VE numbers its workers: a process id that no other task of this run has. */
const FIRST_PID = 0x1000;
const CLOSE_LIMIT_MS = 5000;

export class Tasks {
  private readonly dir: string;
  private readonly running = new Map<string, Running>();
  private next = FIRST_PID;

  constructor(dir: string) {
    this.dir = path.join(dir, "tasks");
    mkdirSync(this.dir, { recursive: true, mode: 0o700 });
  }

  private file(upid: string, ending: "log" | "end"): string {
    return path.join(this.dir, `${upid.replaceAll("/", "_")}${ending}`);
  }

  /** Starts a task. @returns its id at once */
  start(
    what: Pick<Upid, "node" | "type" | "id" | "user">,
    work: (context: TaskContext) => Promise<void>,
  ): string {
    const starttime = Math.floor(Date.now() / 1000);
    const pstart = Math.floor(process.uptime() * 100);
    const upid = printUpid({ ...what, pid: this.next++, pstart, starttime });
    writeFileSync(this.file(upid, "log"), "", { mode: 0o600 });
    const abort = new AbortController();
    let warnings = 0;
    const log = (line: string) => appendFileSync(this.file(upid, "log"), `${line}\n`);
    const context: TaskContext = {
      signal: abort.signal,
      log,
      warn: (line) => {
        warnings += 1;
        log(`WARN: ${line}`);
      },
    };
    const finish = (exitstatus: string) => {
      const endtime = Math.floor(Date.now() / 1000);
      writeFileSync(this.file(upid, "end"), JSON.stringify({ exitstatus, endtime }));
      this.running.delete(upid);
    };
    const done = work(context).then(
      () => {
        log(warnings === 0 ? "TASK OK" : `TASK WARNINGS: ${warnings}`);
        finish(warnings === 0 ? "OK" : `WARNINGS: ${warnings}`);
      },
      (error: unknown) => {
        const message = messageOf(error);
        log(`TASK ERROR: ${message}`);
        finish(message.split("\n").join(" "));
      },
    );
    this.running.set(upid, { abort, done });
    return upid;
  }

  /** @returns undefined for a task that there never was */
  status(text: string): TaskStatus | undefined {
    const upid = parseUpid(text);
    if (upid === undefined || !existsSync(this.file(text, "log"))) return undefined;
    if (this.running.has(text)) return { ...upid, upid: text, status: "running" };
    let end: End;
    try {
      end = JSON.parse(readFileSync(this.file(text, "end"), "utf8")) as End;
    } catch {
      // It was running when this server ended.
      end = { exitstatus: "unexpected status", endtime: upid.starttime };
    }
    return { ...upid, upid: text, status: "stopped", ...end };
  }

  log(upid: string): string[] {
    return readFileSync(this.file(upid, "log"), "utf8").split("\n").slice(0, -1);
  }

  list(): TaskStatus[] {
    return readdirSync(this.dir)
      .filter((file) => file.endsWith("log"))
      .map((file) => this.status(file.slice(0, -"log".length)))
      .filter((status) => status !== undefined)
      .sort((a, b) => b.starttime - a.starttime || b.pid - a.pid);
  }

  /** Asks a running task to end. */
  stop(upid: string): void {
    this.running.get(upid)?.abort.abort(new Error("interrupted by signal"));
  }

  /** Resolves once a task has ended. */
  async ended(upid: string): Promise<void> {
    await this.running.get(upid)?.done;
  }

  /** Stops all tasks, and waits some seconds for their ends. */
  async close(): Promise<void> {
    for (const upid of this.running.keys()) this.stop(upid);
    const ended = Promise.all([...this.running.values()].map(({ done }) => done));
    await Promise.race([ended, sleep(CLOSE_LIMIT_MS, undefined, { ref: false })]);
  }
}
