/** pools: VMs and storages that rights are given on together. */

import { fault } from "../errors";
import { type Call, everyUser, method } from "../method";
import { choice, flag, optional, text } from "../schema/types";
import { vmResource } from "../vm/status";
import { names } from "./common";

const poolid = text({ format: "pve-poolid" });
const needsAllocate = {
  check: ["perm", "/pool/{poolid}", ["Pool.Allocate"]],
} as const;

function members({ world }: Call, name: string, type: string | undefined): unknown[] {
  const { vms, storages } = world.pools.get(name);
  const found: unknown[] = [];
  if (type === undefined || type === "qemu") {
    for (const vmid of vms) {
      const vm = world.vms.find(vmid);
      if (vm !== undefined) found.push(vmResource(world, vm));
    }
  }
  if (type === undefined || type === "storage") {
    for (const id of storages) {
      for (const { name: where } of world.config.nodes) {
        found.push({ id: `storage/${where}/${id}`, type: "storage", node: where, storage: id });
      }
    }
  }
  return found;
}

export const poolMethods = [
  method("GET", "/pools", {
    params: {
      poolid: optional(poolid),
      type: optional({ ...choice("qemu", "lxc", "storage"), requires: "poolid" }),
    },
    permission: everyUser,
    run: (args, call) => {
      const { access, pools } = call.world;
      const seen = [...pools.all.keys()]
        .sort()
        .filter((name) => access.has(call.caller, `/pool/${name}`, "Pool.Audit"));
      const entry = (name: string) => {
        const { comment } = pools.get(name);
        return { poolid: name, ...(comment === "" ? {} : { comment }) };
      };
      if (args.poolid === undefined) return seen.map(entry);
      const name = args.poolid;
      access.check(call.caller, `/pool/${name}`, ["Pool.Audit"]);
      return [{ ...entry(name), members: members(call, name, args.type) }];
    },
  }),

  method("POST", "/pools", {
    params: { comment: optional(text()), poolid },
    permission: needsAllocate,
    run: (args, { world }) => world.pools.add(args.poolid, args.comment ?? ""),
  }),

  method("PUT", "/pools", {
    params: {
      "allow-move": optional(flag()),
      comment: optional(text()),
      delete: optional(flag()),
      poolid,
      storage: optional(text({ format: "pve-storage-id-list" })),
      vms: optional(text({ format: "pve-vmid-list" })),
    },
    permission: needsAllocate,
    run: (args, { world, caller }) => {
      const { pools, access } = world;
      const pool = pools.get(args.poolid);
      if (args.comment !== undefined) pool.comment = args.comment;
      for (const vmid of names(args.vms).map(Number)) {
        access.checkAny(caller, `/vms/${vmid}`, ["Permissions.Modify", "VM.Allocate"]);
        if (args.delete === true) {
          if (!pool.vms.delete(vmid)) throw fault(`VM ${vmid} is not a pool member`);
          continue;
        }
        if (world.vms.nodeOf(vmid) === undefined) throw fault(`VM ${vmid} does not exist`);
        const current = pools.of(vmid);
        if (current === args.poolid) throw fault(`VM ${vmid} is already a pool member`);
        if (current !== undefined) {
          if (args["allow-move"] !== true) {
            throw fault(
              `VM ${vmid} belongs already to pool '${current}' and 'allow-move' is not set`,
            );
          }
          access.check(caller, `/pool/${current}`, ["Pool.Allocate"]);
          pools.get(current).vms.delete(vmid);
        }
        pool.vms.add(vmid);
      }
      for (const id of names(args.storage)) {
        access.checkAny(caller, `/storage/${id}`, ["Permissions.Modify", "Datastore.Allocate"]);
        world.storages.get(id);
        if (args.delete === true) pool.storages.delete(id);
        else pool.storages.add(id);
      }
      pools.save();
    },
  }),

  method("DELETE", "/pools", {
    params: { poolid },
    permission: needsAllocate,
    run: (args, { world }) => world.pools.remove(args.poolid),
  }),

  method("GET", "/pools/{poolid}", {
    params: { poolid, type: optional(choice("qemu", "lxc", "storage")) },
    permission: { check: ["perm", "/pool/{poolid}", ["Pool.Audit"]] },
    run: (args, call) => {
      const { comment } = call.world.pools.get(args.poolid);
      return { comment, members: members(call, args.poolid, args.type) };
    },
  }),
];
