/** What figures depend on besides what they measure. */

import { existsSync } from "node:fs";
import os from "node:os";

/** Lines that stand above every table of figures. */
export function machineFacts(): string {
  const cpus = os.cpus();
  const memory = (os.totalmem() / 1024 ** 3).toFixed(0);
  return [
    `${new Date().toISOString()}, ${cpus.length} CPUs (${cpus[0]?.model.trim() ?? "unknown"}), ${memory} GiB`,
    `Linux ${os.release()}, Node.js ${process.version}, ${existsSync("/dev/kvm") ? "with" : "without"} /dev/kvm`,
    `load ${load()} at the start: above the number of CPUs, times are too long`,
  ].join("\n");
}

/** Processes that ran or waited for a CPU, on average over the last minute. */
export function load(): string {
  return (os.loadavg()[0] ?? 0).toFixed(1);
}
