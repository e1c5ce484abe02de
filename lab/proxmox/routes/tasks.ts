/** nodes/{node}/tasks: how tasks go, and what they said. */

import { badParameters, fault } from "../errors";
import { type Call, everyUser, method } from "../method";
import { flag, integer, optional, text } from "../schema/types";
import { parseUpid } from "../tasks/upid";
import { node } from "./common";

const upid = text();
const LIMIT = 50;

/** @throws ApiError unless there is such a task on the node, and the caller may see it */
function find(
  { world, caller }: Call,
  where: string,
  id: string,
  right: "Sys.Audit" | "Sys.Modify",
) {
  const parsed = parseUpid(id);
  if (parsed === undefined) throw badParameters({ upid: "unable to parse worker upid" });
  if (parsed.node !== where) throw fault(`no such task`);
  // A user sees the tasks of its tokens, a token its own.
  const own = parsed.user === caller.id || parsed.user.split("!")[0] === caller.id;
  if (!own) world.access.check(caller, `/nodes/${where}`, [right]);
  const status = world.tasks.status(id);
  if (status === undefined) throw fault("no such task");
  return status;
}

export const taskMethods = [
  method("GET", "/nodes/{node}/tasks", {
    params: {
      node,
      limit: optional(integer({ minimum: 0 })),
      start: optional(integer({ minimum: 0 })),
      vmid: optional(integer({ format: "pve-vmid", minimum: 100, maximum: 999999999 })),
    },
    permission: everyUser,
    run: (args, { world, caller }) => {
      const all = world.access.has(caller, `/nodes/${args.node}`, "Sys.Audit");
      const start = args.start ?? 0;
      return world.tasks
        .list()
        .filter((task) => task.node === args.node)
        .filter((task) => all || task.user === caller.id)
        .filter((task) => args.vmid === undefined || task.id === String(args.vmid))
        .slice(start, start + (args.limit ?? LIMIT))
        .map(({ exitstatus, status, ...task }) => ({ ...task, status: exitstatus ?? status }));
    },
  }),

  method("GET", "/nodes/{node}/tasks/{upid}/status", {
    params: { node, upid },
    permission: everyUser,
    run: (args, call) => {
      const status = find(call, args.node, args.upid, "Sys.Audit");
      const [user, tokenid] = status.user.split("!");
      return { ...status, user, ...(tokenid === undefined ? {} : { tokenid }) };
    },
  }),

  method("GET", "/nodes/{node}/tasks/{upid}/log", {
    params: {
      node,
      download: optional(flag()),
      limit: optional(integer({ minimum: 0 })),
      start: optional(integer({ minimum: 0 })),
      upid,
    },
    permission: everyUser,
    run: (args, call) => {
      find(call, args.node, args.upid, "Sys.Audit");
      const start = args.start ?? 0;
      const limit = args.limit ?? LIMIT;
      const lines = call.world.tasks
        .log(args.upid)
        .map((t, index) => ({ n: index + 1, t }))
        .slice(start, limit === 0 ? undefined : start + limit);
      return lines.length === 0 && start === 0 ? [{ n: 1, t: "no content" }] : lines;
    },
  }),

  method("DELETE", "/nodes/{node}/tasks/{upid}", {
    params: { node, upid },
    permission: everyUser,
    run: (args, call) => {
      find(call, args.node, args.upid, "Sys.Modify");
      call.world.tasks.stop(args.upid);
    },
  }),
];
