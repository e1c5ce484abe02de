/** nodes/{node}/qemu/{vmid}/agent: what the guest agent does and tells. */

import { badParameters, fault, messageOf } from "../errors";
import { AgentError, type GuestAgent } from "../guests/guest";
import { type Call, method } from "../method";
import { flag, integer, list, optional, text } from "../schema/types";
import { agentEnabled } from "../schema/vm-options";
import { needsOneOnVm, needsOnVm, onVm } from "./common";

const READ_LIMIT = 16 * 1024 * 1024;

/** Asks the agent of a VM. @throws ApiError in Proxmox VE's words when it cannot be asked */
async function ask<T>(
  { world }: Call,
  args: { node: string; vmid: number },
  question: (agent: GuestAgent) => Promise<T>,
): Promise<T> {
  const { config } = world.vms.load(args.node, args.vmid);
  if (!agentEnabled(config.values.get("agent"))) throw fault("No QEMU guest agent configured");
  if (world.guests.pid(args.vmid) === undefined) throw fault(`VM ${args.vmid} is not running`);
  try {
    return await question(world.guests.agent(args.vmid));
  } catch (error) {
    throw error instanceof AgentError ? fault(`Agent error: ${messageOf(error)}`) : error;
  }
}

export const agentMethods = [
  method("POST", "/nodes/{node}/qemu/{vmid}/agent/ping", {
    params: onVm,
    permission: needsOneOnVm("VM.GuestAgent.Audit", "VM.GuestAgent.Unrestricted"),
    run: async (args, call) => {
      await ask(call, args, (agent) => agent.ping());
      return { result: {} };
    },
  }),

  method("GET", "/nodes/{node}/qemu/{vmid}/agent/network-get-interfaces", {
    params: onVm,
    permission: needsOneOnVm("VM.GuestAgent.Audit", "VM.GuestAgent.Unrestricted"),
    run: async (args, call) => ({ result: await ask(call, args, (agent) => agent.interfaces()) }),
  }),

  method("GET", "/nodes/{node}/qemu/{vmid}/agent/file-read", {
    params: {
      ...onVm,
      count: optional(integer({ minimum: 1, maximum: READ_LIMIT })),
      decode: optional(flag()),
      file: text(),
      offset: optional(integer({ minimum: 0 })),
    },
    permission: needsOneOnVm("VM.GuestAgent.FileRead", "VM.GuestAgent.Unrestricted"),
    run: async (args, call) => {
      const { content, more } = await ask(call, args, (agent) =>
        agent.readFile(args.file, args.offset ?? 0, args.count ?? READ_LIMIT),
      );
      return {
        // Perl takes the bytes for characters.
        content: args.decode === false ? content.toString("base64") : content.toString("latin1"),
        "bytes-read": content.length,
        ...(more ? { truncated: 1 } : {}),
      };
    },
  }),

  method("POST", "/nodes/{node}/qemu/{vmid}/agent/exec", {
    params: { ...onVm, command: list(), "input-data": optional(text({ maxLength: 65536 })) },
    permission: needsOnVm("VM.GuestAgent.Unrestricted"),
    run: async (args, call) => {
      if (args.command.length === 0) throw badParameters({ command: "no command given" });
      const pid = await ask(call, args, (agent) => agent.exec(args.command, args["input-data"]));
      return { pid };
    },
  }),

  method("GET", "/nodes/{node}/qemu/{vmid}/agent/exec-status", {
    params: { ...onVm, pid: integer() },
    permission: needsOnVm("VM.GuestAgent.Unrestricted"),
    run: (args, call) => ask(call, args, (agent) => agent.execStatus(args.pid)),
  }),
];
