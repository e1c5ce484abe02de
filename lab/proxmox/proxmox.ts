/** Puts the parts of a Proxmox VE together. */

import { mkdirSync } from "node:fs";
import path from "node:path";

import { Access } from "./access/access";
import { Pools } from "./access/pools";
import { listenAdmin } from "./admin";
import type { GuestKind, ProxmoxConfig } from "./config";
import { Firewalls } from "./firewall/firewalls";
import type { GuestKindDriver } from "./guests/guest";
import { Guests } from "./guests/guests";
import { LightGuests } from "./guests/light";
import { QemuGuests } from "./guests/qemu";
import { HaResources } from "./ha/resources";
import { createApp, listen } from "./server";
import { Storages } from "./storage/storages";
import { Tasks } from "./tasks/tasks";
import { ensureTemplates } from "./templates";
import { Locks } from "./vm/locks";
import { VmStore } from "./vm/store";
import type { World } from "./world";

export interface Proxmox {
  readonly world: World;
  readonly adminSocket: string;
  /** Stops listening; guests go on. */
  close(): Promise<void>;
}

export type Drivers = Readonly<Record<GuestKind, GuestKindDriver>>;

/** @param drivers how guests are run; as the configuration says when absent */
export async function createWorld(
  config: ProxmoxConfig,
  dir: string,
  log: (line: string) => void,
  drivers?: Drivers,
): Promise<World> {
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  const pools = new Pools(dir, config.pools);
  const nodes = config.nodes.map(({ name }) => name);
  const { nameservers, searchDomain } = config.network;
  const world: World = {
    config,
    dir,
    pools,
    access: new Access(config, () => pools.members()),
    vms: new VmStore(dir, nodes),
    locks: new Locks(),
    storages: new Storages(config.storages, nodes),
    tasks: new Tasks(dir),
    guests: new Guests(
      dir,
      drivers ?? { vm: new QemuGuests(dir, config), light: new LightGuests(dir) },
      log,
    ),
    firewalls: new Firewalls(dir),
    ha: new HaResources(dir),
    resolver: { nameservers, searchDomain },
    log,
  };
  await ensureTemplates(world);
  return world;
}

export async function startProxmox(
  config: ProxmoxConfig,
  state: string,
  log: (line: string) => void,
  drivers?: Drivers,
): Promise<Proxmox> {
  const dir = path.resolve(state);
  const world = await createWorld(config, dir, log, drivers);
  const app = createApp(world);
  const servers = await listen(app, world);
  const adminSocket = path.join(dir, "admin.sock");
  const admin = await listenAdmin(world, adminSocket);
  return {
    world,
    adminSocket,
    close: async () => {
      for (const server of [...servers, admin]) {
        server.close();
        server.closeAllConnections();
      }
      await world.tasks.close();
      world.guests.close();
      await app.close();
    },
  };
}
