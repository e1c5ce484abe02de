/** Parameters and checks that many methods share. */

import type { Permission } from "../access/permission";
import type { Privilege } from "../access/privileges";
import { integer, text } from "../schema/types";

export const node = text({ format: "pve-node" });
export const vmid = integer({ format: "pve-vmid", minimum: 100, maximum: 999999999 });
export const storage = text({ format: "pve-storage-id" });
export const digest = text({ maxLength: 40 });
export const onVm = { node, vmid };

/** All of these rights on the VM. */
export const needsOnVm = (...privileges: Privilege[]): Permission => ({
  check: ["perm", "/vms/{vmid}", privileges],
});

/** One of these rights on the VM. */
export const needsOneOnVm = (...privileges: Privilege[]): Permission => ({
  check: ["perm", "/vms/{vmid}", privileges, "any", 1],
});

export const needsOnRoot = (...privileges: Privilege[]): Permission => ({
  check: ["perm", "/", privileges],
});

export const names = (list: string | undefined) => (list ?? "").split(/[;,\s\0]+/).filter(Boolean);
