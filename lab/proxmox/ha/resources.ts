/** High-availability resources: kept and shown. Nothing in the lab moves a guest because of them. */

import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import path from "node:path";

export type HaResource = Readonly<Record<string, string | number>>;

export class HaResources {
  private readonly file: string;
  private readonly all: Map<string, HaResource>;

  constructor(dir: string) {
    this.file = path.join(dir, "etc", "pve", "ha", "resources.json");
    mkdirSync(path.dirname(this.file), { recursive: true, mode: 0o700 });
    this.all = new Map(
      existsSync(this.file)
        ? Object.entries(JSON.parse(readFileSync(this.file, "utf8")) as Record<string, HaResource>)
        : [],
    );
  }

  has(sid: string): boolean {
    return this.all.has(sid);
  }

  get(sid: string): HaResource | undefined {
    return this.all.get(sid);
  }

  list(): [string, HaResource][] {
    return [...this.all].sort(([a], [b]) => (a < b ? -1 : 1));
  }

  set(sid: string, resource: HaResource): void {
    this.all.set(sid, resource);
    this.save();
  }

  remove(sid: string): void {
    if (this.all.delete(sid)) this.save();
  }

  digest(): string {
    return createHash("sha1").update(this.text()).digest("hex");
  }

  private text(): string {
    return `${JSON.stringify(Object.fromEntries(this.list()), null, 2)}\n`;
  }

  private save(): void {
    writeFileSync(`${this.file}.tmp`, this.text(), { mode: 0o600 });
    renameSync(`${this.file}.tmp`, this.file);
  }
}
