/**
 * Room for many light guests: each takes about a dozen of the machine's inotify instances, of which
 * root may have 128 on most machines.
 *
 * What stood there before is kept in the state folder, and comes back with the last guest's end.
 */

import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";

const LIMIT_FILE = "/proc/sys/fs/inotify/max_user_instances";
/** Enough for fifty guests with Docker in them. */
const WANTED = 1024;

const recordOf = (dir: string) => path.join(dir, "inotify-instances");

export function raiseInotifyLimit(dir: string): void {
  const current = Number(readFileSync(LIMIT_FILE, "utf8"));
  if (current >= WANTED) return;
  writeFileSync(recordOf(dir), String(current));
  writeFileSync(LIMIT_FILE, String(WANTED));
}

export function restoreInotifyLimit(dir: string): void {
  const record = recordOf(dir);
  if (!existsSync(record)) return;
  writeFileSync(LIMIT_FILE, readFileSync(record, "utf8"));
  rmSync(record);
}
