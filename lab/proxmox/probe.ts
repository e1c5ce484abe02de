/** Finds out whether hardware virtualisation works here: by booting something, not by asking. */

import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";

import { CACHE, PATHS } from "../paths";
import { run } from "../run";
import { bootId } from "../services/process";

export type Acceleration = "kvm" | "tcg";

const RECORD = path.join(CACHE, "acceleration.json");
/** A nested /dev/kvm may open, and then hang; a kernel needs 2 s to find out that it has no root. */
const BOOT_LIMIT = 30;

/**
 * Boots the template's kernel, which is there already, up to the point where it misses its root.
 *
 * @returns `kvm` when it gets that far with it, `tcg` otherwise; remembered until the next boot
 */
export async function findAcceleration(): Promise<Acceleration> {
  const boot = bootId();
  try {
    const known = JSON.parse(readFileSync(RECORD, "utf8")) as { boot: string; found: Acceleration };
    if (known.boot === boot) return known.found;
  } catch {
    // Not asked yet.
  }
  const kernel = path.join(PATHS.template, "vmlinuz");
  const found = existsSync("/dev/kvm") && (await boots(kernel, "kvm")) ? "kvm" : "tcg";
  mkdirSync(CACHE, { recursive: true });
  writeFileSync(RECORD, JSON.stringify({ boot, found }));
  return found;
}

/** Whether a kernel comes as far as looking for its root file system. */
export async function boots(kernel: string, acceleration: Acceleration): Promise<boolean> {
  const machine = acceleration === "kvm" ? "-accel kvm -cpu host" : "-accel tcg -cpu max";
  try {
    const { stdout } = await run(
      "qemu-system-x86_64",
      [
        ...machine.split(" "),
        ..."-machine pc -m 256 -nodefaults -display none -no-reboot -serial stdio".split(" "),
        "-kernel",
        kernel,
        "-append",
        "console=ttyS0 panic=-1 root=/dev/none",
      ],
      { limit: BOOT_LIMIT },
    );
    return stdout.includes("Kernel panic");
  } catch {
    return false;
  }
}
