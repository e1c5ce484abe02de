/** Locks of VMs, which wait for as long as Proxmox VE's and no longer. */

import { setTimeout as sleep } from "node:timers/promises";

import { fault } from "../errors";

const POLL_MS = 50;

export class Locks {
  private readonly held = new Set<number>();

  /**
   * Runs work that nobody else may do at the same time for a VM.
   *
   * @param limit seconds to wait for the lock
   * @throws ApiError when somebody else has it for that long
   */
  async run<T>(vmid: number, limit: number, work: () => Promise<T> | T): Promise<T> {
    const deadline = Date.now() + limit * 1000;
    while (this.held.has(vmid)) {
      if (Date.now() >= deadline) {
        throw fault(`can't lock file '/var/lock/qemu-server/lock-${vmid}.conf' - got timeout`);
      }
      await sleep(POLL_MS);
    }
    this.held.add(vmid);
    try {
      return await work();
    } finally {
      this.held.delete(vmid);
    }
  }
}
