/** One command at a time works on the lab. */

import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";

import { PATHS } from "./paths";
import { LabError } from "./progress";
import { bootId, startTime } from "./services/process";

interface Holder {
  readonly pid: number;
  readonly started: string;
  readonly boot: string;
  readonly command: string;
}

/**
 * Takes the lab's lock for as long as this process lives.
 *
 * @throws LabError naming the command that has it
 */
export function takeLock(command: string): void {
  mkdirSync(path.dirname(PATHS.lock), { recursive: true, mode: 0o700 });
  const holder: Holder = {
    pid: process.pid,
    started: startTime(process.pid) ?? "",
    boot: bootId(),
    command,
  };
  for (let tries = 0; tries < 2; tries++) {
    try {
      writeFileSync(PATHS.lock, JSON.stringify(holder), { flag: "wx", mode: 0o600 });
      process.on("exit", () => rmSync(PATHS.lock, { force: true }));
      return;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
      const other = readHolder();
      if (other !== undefined && isAlive(other)) {
        throw new LabError(
          `"lab ${other.command}" is running (process ${other.pid}): wait for it, or end it`,
        );
      }
      // Its holder died without giving it back.
      rmSync(PATHS.lock, { force: true });
    }
  }
  throw new LabError(`${PATHS.lock} cannot be taken: another command is starting. Try again`);
}

function readHolder(): Holder | undefined {
  try {
    return JSON.parse(readFileSync(PATHS.lock, "utf8")) as Holder;
  } catch {
    return undefined;
  }
}

function isAlive(holder: Holder): boolean {
  return holder.boot === bootId() && startTime(holder.pid) === holder.started;
}
