/** Memory of processes, as Linux accounts for it in /proc/PID/smaps. */

import { readdirSync, readFileSync } from "node:fs";

/** One mapping of a process; sizes in KiB. */
export interface Mapping {
  /** Which part of which file; empty without a file. */
  readonly file: string;
  readonly resident: number;
  /** Of that what no file holds, so that no other process shares it (but after a fork). */
  readonly anonymous: number;
}

/** The mappings in the text of /proc/PID/smaps. */
export function parseSmaps(text: string): Mapping[] {
  return text
    .split(/^(?=[0-9a-f]+-[0-9a-f]+ )/m)
    .filter((block) => block !== "")
    .map((block) => {
      const [, , offset, device, inode] = block.split(/\s+/);
      const size = (field: string) =>
        Number(new RegExp(`^${field}: +(\\d+) kB$`, "m").exec(block)?.[1] ?? 0);
      return {
        file: inode === "0" ? "" : `${device} ${inode} ${offset}`,
        resident: size("Rss"),
        anonymous: size("Anonymous"),
      };
    });
}

/**
 * What several processes hold together, in KiB: a part of a file that is in the memory of several
 * counts once, as large as in the one that has most of it.
 */
export function together(processes: readonly (readonly Mapping[])[]): number {
  let anonymous = 0;
  const files = new Map<string, number>();
  for (const mappings of processes) {
    const own = new Map<string, number>();
    for (const mapping of mappings) {
      const shared = mapping.resident - mapping.anonymous;
      if (mapping.file === "") anonymous += mapping.resident;
      else {
        anonymous += mapping.anonymous;
        own.set(mapping.file, (own.get(mapping.file) ?? 0) + shared);
      }
    }
    for (const [file, size] of own) files.set(file, Math.max(files.get(file) ?? 0, size));
  }
  return anonymous + [...files.values()].reduce((sum, size) => sum + size, 0);
}

/** Sum of what each holds, in KiB: what is shared counts for each of them. */
export function resident(processes: readonly (readonly Mapping[])[]): number {
  return processes.flat().reduce((sum, mapping) => sum + mapping.resident, 0);
}

/** Ids of the processes of a group. */
export function processGroup(group: number): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => groupOf(pid) === group);
}

/** Field 5 of /proc/PID/stat; undefined for a process that has ended. */
function groupOf(pid: number): number | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    return Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[2]);
  } catch {
    return undefined;
  }
}

/** The mappings of each process of a group that is still there. */
export function groupMappings(group: number): Mapping[][] {
  return processGroup(group).flatMap((pid) => {
    try {
      return [parseSmaps(readFileSync(`/proc/${pid}/smaps`, "utf8"))];
    } catch {
      return [];
    }
  });
}
