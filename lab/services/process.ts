/** Long-running programs of the lab: started once, found again, ended for good. */

import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

import { PATHS } from "../paths";
import { LabError } from "../progress";

export interface Service {
  readonly name: string;
  readonly program: string;
  readonly args: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
  /** Files whose content it read when it started: another content, and it is started anew. */
  readonly inputs?: readonly string[];
  /** `address:port` of each TCP socket, or the path of a unix socket, that says it is ready. */
  readonly listens: readonly string[];
  /** Seconds until it must listen. */
  readonly startLimit: number;
  /** Seconds between SIGTERM and SIGKILL. */
  readonly stopLimit: number;
}

/** How a service is ended. */
export type Stopping = Pick<Service, "name" | "stopLimit">;

/** A process for as long as the machine runs: ids come again, start times do not. */
interface Identity {
  readonly pid: number;
  readonly started: string;
  readonly boot: string;
  /** Hash of how it was started. */
  readonly fingerprint: string;
}

const LOG_LIMIT = 10 * 1024 * 1024;

const pidFile = (name: string) => path.join(PATHS.run, `${name}.pid`);
export const logFile = (name: string) => path.join(PATHS.log, `${name}.log`);

export function bootId(): string {
  return readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
}

/**
 * When a process was started, in clock ticks since boot.
 *
 * @returns undefined for one that has ended, a zombie included
 */
export function startTime(pid: number): string | undefined {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  } catch {
    return undefined;
  }
  return parseStat(stat);
}

/** Field 22 of /proc/PID/stat; the name in field 2 may hold anything, parentheses included. */
export function parseStat(stat: string): string | undefined {
  const [state, ...rest] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return state === "Z" || state === "X" ? undefined : rest[18];
}

function readIdentity(name: string): Identity | undefined {
  try {
    return JSON.parse(readFileSync(pidFile(name), "utf8")) as Identity;
  } catch {
    return undefined;
  }
}

function alive(identity: Identity): boolean {
  return identity.boot === bootId() && startTime(identity.pid) === identity.started;
}

/** The process of a service, when it runs. */
export function runningPid(name: string): number | undefined {
  const identity = readIdentity(name);
  return identity !== undefined && alive(identity) ? identity.pid : undefined;
}

function fingerprint(service: Service): string {
  const hash = createHash("sha256");
  hash.update(JSON.stringify([service.program, service.args, service.env ?? null]));
  for (const file of service.inputs ?? []) hash.update(`\0${file}\0`).update(readFileSync(file));
  return hash.digest("hex");
}

export type Started = "running" | "started" | "restarted";

/**
 * Starts a service unless it runs as described, and waits until it listens.
 *
 * @throws LabError with the end of its log
 */
export async function ensureService(service: Service): Promise<Started> {
  const identity = readIdentity(service.name);
  const print = fingerprint(service);
  const runs = identity !== undefined && alive(identity);
  if (runs && identity.fingerprint === print) {
    await waitUntilReady(service, identity.pid);
    return "running";
  }
  if (runs) await stopService(service);
  const pid = launch(service, print);
  await waitUntilReady(service, pid);
  return identity === undefined ? "started" : "restarted";
}

function launch(service: Service, print: string): number {
  mkdirSync(PATHS.run, { recursive: true, mode: 0o700 });
  mkdirSync(PATHS.log, { recursive: true, mode: 0o700 });
  const file = logFile(service.name);
  if (existsSync(file) && statSync(file).size > LOG_LIMIT) renameSync(file, `${file}.1`);
  // A socket that the last process left behind would pass for that of the new one.
  for (const socket of service.listens) if (socket.startsWith("/")) rmSync(socket, { force: true });
  const log = openSync(file, "a", 0o600);
  const child = spawn(service.program, service.args, {
    env: service.env ?? process.env,
    stdio: ["ignore", log, log],
    detached: true,
  });
  closeSync(log);
  child.on("error", () => undefined);
  child.unref();
  if (child.pid === undefined) {
    throw new LabError(`${service.name}: ${service.program} cannot be started. Is it installed?`);
  }
  const identity: Identity = {
    pid: child.pid,
    started: startTime(child.pid) ?? "",
    boot: bootId(),
    fingerprint: print,
  };
  writeFileSync(pidFile(service.name), JSON.stringify(identity), { mode: 0o600 });
  return child.pid;
}

async function waitUntilReady(service: Service, pid: number): Promise<void> {
  const deadline = Date.now() + service.startLimit * 1000;
  for (;;) {
    if (startTime(pid) === undefined) {
      throw new LabError(`${service.name} ended. ${lastOfLog(service.name)}`);
    }
    const missing = service.listens.filter((socket) => !listens(pid, socket));
    if (missing.length === 0) return;
    if (Date.now() > deadline) {
      throw new LabError(
        `${service.name} does not listen on ${missing.join(", ")} after ${service.startLimit} s. ` +
          lastOfLog(service.name),
      );
    }
    await sleep(50);
  }
}

function lastOfLog(name: string): string {
  const text = readFileSync(logFile(name), "utf8").trimEnd().split("\n").slice(-15).join("\n");
  return `The end of ${logFile(name)}:\n${text}`;
}

const LISTEN = "0A";

/** A line of /proc/net/tcp has its addresses as hexadecimal numbers in the machine's byte order. */
export function hexAddress(socket: string): string {
  const [address, port] = socket.split(":") as [string, string];
  const bytes = address.split(".").map((byte) => Number(byte).toString(16).padStart(2, "0"));
  const hex = `${bytes.reverse().join("")}:${Number(port).toString(16).padStart(4, "0")}`;
  return hex.toUpperCase();
}

/** Somebody listens there, in the network of the process; nothing is sent. */
function listens(pid: number, socket: string): boolean {
  if (socket.startsWith("/")) return existsSync(socket);
  const anywhere = `0.0.0.0:${socket.split(":")[1]}`;
  const wanted = [hexAddress(socket), hexAddress(anywhere)];
  try {
    return readFileSync(`/proc/${pid}/net/tcp`, "utf8")
      .split("\n")
      .map((line) => line.trim().split(/\s+/))
      .some(([, local, , state]) => state === LISTEN && wanted.includes(local ?? ""));
  } catch {
    return false;
  }
}

/**
 * Ends a service, and the processes of its group.
 *
 * @returns whether it was running
 */
export async function stopService({ name, stopLimit }: Stopping): Promise<boolean> {
  const identity = readIdentity(name);
  const runs = identity !== undefined && alive(identity);
  if (runs) {
    // The whole group: some, such as unshare, do not pass a signal on.
    signal(-identity.pid, "SIGTERM");
    const deadline = Date.now() + stopLimit * 1000;
    while (alive(identity) && Date.now() < deadline) await sleep(50);
    signal(-identity.pid, "SIGKILL");
    while (alive(identity)) await sleep(20);
  }
  rmSync(pidFile(name), { force: true });
  return runs;
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // It has ended.
  }
}
