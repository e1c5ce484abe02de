/** The operator's side door: a unix socket that tells what this Proxmox has, and ends guests. */

import { chmodSync, rmSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";

import { messageOf } from "./errors";
import { networkDevices } from "./guests/proc";
import type { Volume } from "./storage/storages";
import type { TaskStatus } from "./tasks/tasks";
import { isTemplate, showOptions } from "./vm/options";
import type { World } from "./world";

export interface InventoryVm {
  readonly vmid: number;
  readonly node: string;
  readonly name: string;
  readonly template: boolean;
  readonly status: "running" | "stopped";
  readonly kind: "vm" | "light";
  /** The process on this machine that the guest ends with. */
  readonly pid: number | null;
  readonly pool: string | null;
  readonly config: Readonly<Record<string, string | number>>;
  /** Interfaces of the lab's network that belong to it. */
  readonly devices: readonly string[];
}

export interface InventoryVolume extends Volume {
  readonly node: string;
}

/** Everything there is. Templates, their disks and tasks stay after a `destroy`; nothing else does. */
export interface ProxmoxInventory {
  readonly vms: readonly InventoryVm[];
  /** Disk images, those of templates too. */
  readonly disks: readonly InventoryVolume[];
  /** Cloud-init images, those of templates too. */
  readonly cidata: readonly InventoryVolume[];
  readonly snippets: readonly string[];
  readonly tasks: readonly TaskStatus[];
  /** Interfaces that belong to a guest, as the network has them. */
  readonly devices: readonly string[];
}

export async function inventory(world: World): Promise<ProxmoxInventory> {
  const volumes: InventoryVolume[] = [];
  for (const { id } of world.storages.all.filter((one) =>
    world.storages.supports(one.id, "images"),
  )) {
    for (const { name: node } of world.config.nodes) {
      for (const volume of world.storages.list(node, id, "images")) {
        volumes.push({ node, ...volume });
      }
    }
  }
  const snippets: string[] = [];
  for (const { id } of world.storages.all.filter((one) =>
    world.storages.supports(one.id, "snippets"),
  )) {
    for (const { volid } of world.storages.list("", id, "snippets")) snippets.push(volid);
  }
  const isSeed = ({ volid }: Volume) => /-cloudinit(\.\w+)?$/.test(volid);
  return {
    vms: world.vms.list().map(({ vmid, node, config: { values } }) => {
      const pid = world.guests.pid(vmid);
      return {
        vmid,
        node,
        name: values.get("name") ?? "",
        template: isTemplate(values),
        status: pid === undefined ? "stopped" : "running",
        kind: world.guests.origin(vmid).kind,
        pid: pid ?? null,
        pool: world.pools.of(vmid) ?? null,
        config: showOptions(values),
        devices: world.guests.devices(vmid),
      };
    }),
    disks: volumes.filter((volume) => !isSeed(volume)),
    cidata: volumes.filter(isSeed),
    snippets,
    tasks: world.tasks.list(),
    devices: networkDevices().filter((name) => /^(veth|tap)\d+i\d+$/.test(name)),
  };
}

/** Ends all guests at once, hard. @returns their ids */
export async function endGuests(world: World): Promise<number[]> {
  const running = world.guests.running();
  await Promise.all(running.map((vmid) => world.guests.stop(vmid)));
  return running;
}

async function answer(
  world: World,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const question = `${request.method ?? ""} ${request.url ?? ""}`;
  let body: unknown;
  if (question === "GET /inventory") body = await inventory(world);
  else if (question === "DELETE /guests") body = { ended: await endGuests(world) };
  response.writeHead(body === undefined ? 404 : 200, { "content-type": "application/json" });
  response.end(JSON.stringify(body ?? { error: "not found" }, null, 2));
}

/** Listens on a unix socket that only its owner may use. */
export async function listenAdmin(world: World, socket: string): Promise<Server> {
  rmSync(socket, { force: true });
  const server = createServer((request, response) => {
    answer(world, request, response).catch((error: unknown) => {
      world.log(`${request.method ?? ""} ${request.url ?? ""}: ${messageOf(error)}`);
      response.writeHead(500, { "content-type": "application/json" });
      response.end(JSON.stringify({ error: messageOf(error) }));
    });
  });
  const mask = process.umask(0o177);
  try {
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(socket, resolve);
    });
  } finally {
    process.umask(mask);
  }
  chmodSync(socket, 0o600);
  return server;
}
