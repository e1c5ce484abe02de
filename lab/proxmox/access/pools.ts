/** Pools and their members, in etc/pve/user.cfg as Proxmox VE writes it. */

import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import path from "node:path";

import { fault } from "../errors";

export interface Pool {
  comment: string;
  readonly vms: Set<number>;
  readonly storages: Set<string>;
}

export class Pools {
  private readonly file: string;
  readonly all = new Map<string, Pool>();

  /** @param initial pools that exist from the start */
  constructor(dir: string, initial: readonly string[]) {
    this.file = path.join(dir, "etc", "pve", "user.cfg");
    mkdirSync(path.dirname(this.file), { recursive: true, mode: 0o700 });
    if (existsSync(this.file)) {
      for (const line of readFileSync(this.file, "utf8").split("\n")) {
        const [type, name, comment, vms, storages] = line.split(":");
        if (type !== "pool" || name === undefined) continue;
        this.all.set(name, {
          comment: decodeURIComponent(comment ?? ""),
          vms: new Set((vms ?? "").split(",").filter(Boolean).map(Number)),
          storages: new Set((storages ?? "").split(",").filter(Boolean)),
        });
      }
    }
    for (const name of initial) if (!this.all.has(name)) this.add(name, "");
  }

  add(name: string, comment: string): void {
    if (this.all.has(name)) throw fault(`pool '${name}' already exists`);
    this.all.set(name, { comment, vms: new Set(), storages: new Set() });
    this.save();
  }

  /** @throws ApiError when there is no such pool */
  get(name: string): Pool {
    const pool = this.all.get(name);
    if (pool === undefined) throw fault(`pool '${name}' does not exist`);
    return pool;
  }

  remove(name: string): void {
    const pool = this.get(name);
    if (pool.vms.size + pool.storages.size > 0) throw fault(`pool '${name}' is not empty`);
    this.all.delete(name);
    this.save();
  }

  /** Name of the pool that a VM is in. */
  of(vmid: number): string | undefined {
    return [...this.all].find(([, pool]) => pool.vms.has(vmid))?.[0];
  }

  addVm(name: string, vmid: number): void {
    this.get(name).vms.add(vmid);
    this.save();
  }

  removeVm(vmid: number): void {
    for (const pool of this.all.values()) pool.vms.delete(vmid);
    this.save();
  }

  members(): { pool: string; path: string }[] {
    return [...this.all].flatMap(([pool, { vms, storages }]) => [
      ...[...vms].map((vmid) => ({ pool, path: `/vms/${vmid}` })),
      ...[...storages].map((id) => ({ pool, path: `/storage/${id}` })),
    ]);
  }

  save(): void {
    const lines = [...this.all]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, { comment, vms, storages }]) => {
        const ids = [...vms].sort((a, b) => a - b).join(",");
        return `pool:${name}:${encodeURIComponent(comment)}:${ids}:${[...storages].join(",")}:`;
      });
    writeFileSync(`${this.file}.tmp`, `${lines.join("\n")}\n`, { mode: 0o600 });
    renameSync(`${this.file}.tmp`, this.file);
  }
}
