/** What /proc tells of the processes of guests. */

import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

import { startTime } from "../../services/process";

const PAGE = 4096;
const TICKS = 100;

export function childrenOf(pid: number): number[] {
  try {
    return readdirSync(`/proc/${pid}/task`).flatMap((task) =>
      readFileSync(`/proc/${pid}/task/${task}/children`, "utf8")
        .split(" ")
        .filter(Boolean)
        .map(Number),
    );
  } catch {
    return [];
  }
}

export function descendantsOf(pid: number): number[] {
  return childrenOf(pid).flatMap((child) => [child, ...descendantsOf(child)]);
}

/** How many pid namespaces a process is in, and its id in the innermost. */
export function namespacePids(pid: number): number[] {
  try {
    const line = /^NSpid:\s*(.+)$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? "";
    return line.split(/\s+/).map(Number);
  } catch {
    return [];
  }
}

/** Memory that a process and its descendants have for themselves or share, and their CPU time. */
export function processUsage(pid: number): { memory: number; cpu: number } {
  let memory = 0;
  let cpu = 0;
  for (const one of [pid, ...descendantsOf(pid)]) {
    try {
      const stat = readFileSync(`/proc/${one}/stat`, "utf8");
      const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
      cpu += (Number(fields[11]) + Number(fields[12])) / TICKS;
      memory += Number(fields[21]) * PAGE;
    } catch {
      // It has just ended.
    }
  }
  return { memory, cpu };
}

/** Waits until a process has ended. @returns whether it has, within that many seconds */
export async function processEnded(pid: number, limit: number): Promise<boolean> {
  const deadline = Date.now() + limit * 1000;
  while (startTime(pid) !== undefined) {
    if (Date.now() > deadline) return false;
    await sleep(50);
  }
  return true;
}

export function sendSignal(pid: number, signal: NodeJS.Signals | number): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It has ended.
  }
}

/** A name for a state folder where a path has no room, the same each time. */
export function shortName(dir: string): string {
  return createHash("sha256").update(dir).digest("hex").slice(0, 8);
}

/** Interfaces of the network that this process is in; /sys may show another one's. */
export function networkDevices(): string[] {
  return readFileSync("/proc/self/net/dev", "utf8")
    .split("\n")
    .slice(2)
    .map((line) => line.split(":")[0]?.trim() ?? "")
    .filter((name) => name !== "");
}
