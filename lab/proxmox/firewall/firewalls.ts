/** The firewall files: one for each VM that has one, and one of the cluster. */

import { createHash } from "node:crypto";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import path from "node:path";

import { fault } from "../errors";
import { type Firewall, parseFirewall, printFirewall } from "./file";

/** A VM's id, or the cluster. */
export type Owner = number | "cluster";

export class Firewalls {
  private readonly dir: string;

  constructor(dir: string) {
    this.dir = path.join(dir, "etc", "pve", "firewall");
    mkdirSync(this.dir, { recursive: true, mode: 0o700 });
  }

  private file(owner: Owner): string {
    return path.join(this.dir, `${owner}.fw`);
  }

  private raw(owner: Owner): string {
    return existsSync(this.file(owner)) ? readFileSync(this.file(owner), "utf8") : "";
  }

  load(owner: Owner): { firewall: Firewall; digest: string } {
    const raw = this.raw(owner);
    const digest = createHash("sha1").update(raw).digest("hex");
    return { firewall: parseFirewall(raw), digest };
  }

  /**
   * Changes a file.
   *
   * @param digest what the caller last saw of it
   * @throws ApiError when the file has changed since then
   */
  change(owner: Owner, digest: string | undefined, work: (firewall: Firewall) => void): void {
    const loaded = this.load(owner);
    if (digest !== undefined && digest !== loaded.digest) {
      throw fault("detected modified configuration - file changed by other user? Try again.");
    }
    work(loaded.firewall);
    const file = this.file(owner);
    writeFileSync(`${file}.tmp`, printFirewall(loaded.firewall), { mode: 0o640 });
    renameSync(`${file}.tmp`, file);
  }

  /** A clone gets the rules of the VM that it was made from. */
  copy(from: number, to: number): void {
    if (existsSync(this.file(from))) copyFileSync(this.file(from), this.file(to));
  }

  remove(owner: number): void {
    rmSync(this.file(owner), { force: true });
  }
}
