/** The VMs of all nodes: one configuration file each, under etc/pve/nodes/NODE/qemu-server. */

import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import path from "node:path";

import { fault } from "../errors";
import { digestOf, parseConfigFile, printConfigFile, type VmConfig } from "./config-file";

export interface Vm {
  readonly vmid: number;
  readonly node: string;
  readonly config: VmConfig;
  readonly digest: string;
}

export class VmStore {
  constructor(
    readonly dir: string,
    readonly nodes: readonly string[],
  ) {
    for (const node of nodes) {
      mkdirSync(path.dirname(this.file(node, 100)), { recursive: true, mode: 0o700 });
    }
  }

  private file(node: string, vmid: number): string {
    return path.join(this.dir, "etc", "pve", "nodes", node, "qemu-server", `${vmid}.conf`);
  }

  /** The node that has a VM. */
  nodeOf(vmid: number): string | undefined {
    return this.nodes.find((node) => existsSync(this.file(node, vmid)));
  }

  /** @throws ApiError when the node has no such VM */
  load(node: string, vmid: number): Vm {
    const file = this.file(node, vmid);
    let raw: string;
    try {
      raw = readFileSync(file, "utf8");
    } catch {
      throw fault(`Configuration file 'nodes/${node}/qemu-server/${vmid}.conf' does not exist`);
    }
    return { vmid, node, config: parseConfigFile(raw), digest: digestOf(raw) };
  }

  find(vmid: number): Vm | undefined {
    const node = this.nodeOf(vmid);
    return node === undefined ? undefined : this.load(node, vmid);
  }

  /** VMs of one node, or of all of them, by id. */
  list(node?: string): Vm[] {
    return this.nodes
      .filter((name) => node === undefined || name === node)
      .flatMap((name) =>
        readdirSync(path.dirname(this.file(name, 100)))
          .filter((file) => /^\d+\.conf$/.test(file))
          .map((file) => this.load(name, Number.parseInt(file, 10))),
      )
      .sort((a, b) => a.vmid - b.vmid);
  }

  save(node: string, vmid: number, config: VmConfig): void {
    const file = this.file(node, vmid);
    writeFileSync(`${file}.tmp`, printConfigFile(config), { mode: 0o640 });
    renameSync(`${file}.tmp`, file);
  }

  /** @throws ApiError when the id is taken */
  create(node: string, vmid: number, config: VmConfig): void {
    if (this.nodeOf(vmid) !== undefined) {
      throw fault(`unable to create VM ${vmid}: config file already exists`);
    }
    this.save(node, vmid, config);
  }

  move(vmid: number, from: string, to: string): void {
    renameSync(this.file(from, vmid), this.file(to, vmid));
  }

  remove(node: string, vmid: number): void {
    rmSync(this.file(node, vmid), { force: true });
  }
}
