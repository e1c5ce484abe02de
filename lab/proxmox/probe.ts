/** Finds out whether hardware virtualisation works here: by booting something, not by asking. */

import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";

import { CACHE } from "../paths";
import { run } from "../run";
import { bootId } from "../services/process";

export type Acceleration = "kvm" | "tcg";

const RECORD = path.join(CACHE, "acceleration.json");
/** A nested /dev/kvm may open, and then hang: a boot sector needs a fraction of a second. */
const BOOT_LIMIT = 15;
/** What the guest writes to make QEMU end with status 2 * 0x10 + 1. */
const EXIT_STATUS = 33;

/** In real mode: `mov al, 0x10; out 0xf4, al; hlt`, as a boot sector. */
function bootSector(): Buffer {
  const sector = Buffer.alloc(512);
  Buffer.from([0xb0, 0x10, 0xe6, 0xf4, 0xf4]).copy(sector);
  sector.writeUInt16LE(0xaa55, 510);
  return sector;
}

/** @returns `kvm` when a guest boots with it, `tcg` otherwise; remembered until the next boot */
export async function findAcceleration(): Promise<Acceleration> {
  const boot = bootId();
  try {
    const known = JSON.parse(readFileSync(RECORD, "utf8")) as { boot: string; found: Acceleration };
    if (known.boot === boot) return known.found;
  } catch {
    // Not asked yet.
  }
  const found = (await kvmBoots()) ? "kvm" : "tcg";
  mkdirSync(CACHE, { recursive: true });
  writeFileSync(RECORD, JSON.stringify({ boot, found }));
  return found;
}

async function kvmBoots(): Promise<boolean> {
  if (!existsSync("/dev/kvm")) return false;
  const folder = mkdtempSync(path.join(os.tmpdir(), "kvm-probe-"));
  const image = path.join(folder, "boot.img");
  writeFileSync(image, bootSector());
  try {
    const machine = "-accel kvm -machine pc -cpu host -m 32 -nodefaults -display none".split(" ");
    const { status } = await run(
      "qemu-system-x86_64",
      [
        ...machine,
        "-device",
        "isa-debug-exit,iobase=0xf4,iosize=0x04",
        "-drive",
        `file=${image},format=raw,if=ide`,
      ],
      { limit: BOOT_LIMIT, accept: [0, 1, EXIT_STATUS] },
    );
    return status === EXIT_STATUS;
  } catch {
    return false;
  } finally {
    rmSync(folder, { recursive: true });
  }
}
