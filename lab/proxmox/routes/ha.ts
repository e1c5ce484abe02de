/** cluster/ha/resources: kept, checked and shown. */

import { badParameters, fault } from "../errors";
import { method } from "../method";
import { choice, flag, integer, optional, text } from "../schema/types";
import type { World } from "../world";
import { names, needsOnRoot } from "./common";

const sid = text({ format: "pve-ha-resource-or-vm-id" });
const settings = {
  comment: optional(text({ maxLength: 4096 })),
  failback: optional(flag()),
  group: optional(text({ format: "pve-configid" })),
  max_relocate: optional(integer({ minimum: 0 })),
  max_restart: optional(integer({ minimum: 0 })),
  state: optional(choice("started", "stopped", "enabled", "disabled", "ignored")),
};
const SETTINGS = Object.keys(settings) as (keyof typeof settings)[];

const fullId = (id: string) => (id.includes(":") ? id : `vm:${id}`);

function chosen(args: { readonly [K in (typeof SETTINGS)[number]]?: string | number | boolean }) {
  return Object.fromEntries(
    SETTINGS.flatMap((name) => {
      const value = args[name];
      return value === undefined
        ? []
        : [[name, typeof value === "boolean" ? Number(value) : value]];
    }),
  );
}

function find(world: World, id: string) {
  const resource = world.ha.get(fullId(id));
  if (resource === undefined) throw fault(`no such resource '${fullId(id)}'`);
  return resource;
}

const show = (world: World, id: string) => ({
  sid: fullId(id),
  type: fullId(id).split(":")[0],
  digest: world.ha.digest(),
  ...find(world, id),
});

export const haMethods = [
  method("GET", "/cluster/ha/resources", {
    params: { type: optional(choice("ct", "vm")) },
    permission: needsOnRoot("Sys.Audit"),
    run: ({ type }, { world }) =>
      world.ha
        .list()
        .filter(([id]) => type === undefined || id.startsWith(`${type}:`))
        .map(([id]) => show(world, id)),
  }),

  method("POST", "/cluster/ha/resources", {
    params: { ...settings, sid, type: optional(choice("ct", "vm")) },
    permission: needsOnRoot("Sys.Console"),
    run: (args, { world }) => {
      const id = fullId(args.sid);
      if (world.ha.has(id)) throw fault(`resource ID '${id}' already defined`);
      if (world.vms.nodeOf(Number(id.split(":")[1])) === undefined) {
        throw badParameters({ sid: `unable to find VM '${id.split(":")[1]}'` });
      }
      world.ha.set(id, { state: "started", ...chosen(args) });
    },
  }),

  method("GET", "/cluster/ha/resources/{sid}", {
    params: { sid },
    permission: needsOnRoot("Sys.Audit"),
    run: (args, { world }) => show(world, args.sid),
  }),

  method("PUT", "/cluster/ha/resources/{sid}", {
    params: {
      ...settings,
      delete: optional(text({ format: "pve-configid-list", maxLength: 4096 })),
      digest: optional(text({ maxLength: 64 })),
      sid,
    },
    permission: needsOnRoot("Sys.Console"),
    run: (args, { world }) => {
      const gone = new Set(names(args.delete));
      const kept = Object.entries(find(world, args.sid)).filter(([name]) => !gone.has(name));
      world.ha.set(fullId(args.sid), { ...Object.fromEntries(kept), ...chosen(args) });
    },
  }),

  method("DELETE", "/cluster/ha/resources/{sid}", {
    params: { purge: optional(flag()), sid },
    permission: needsOnRoot("Sys.Console"),
    run: (args, { world }) => {
      find(world, args.sid);
      world.ha.remove(fullId(args.sid));
    },
  }),
];
