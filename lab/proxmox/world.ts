/** What all methods work with. */

import type { Access } from "./access/access";
import type { Pools } from "./access/pools";
import type { HostResolver } from "./cloudinit/render";
import type { ProxmoxConfig } from "./config";
import type { Firewalls } from "./firewall/firewalls";
import type { Guests } from "./guests/guests";
import type { HaResources } from "./ha/resources";
import type { Storages } from "./storage/storages";
import type { Tasks } from "./tasks/tasks";
import type { Locks } from "./vm/locks";
import type { VmStore } from "./vm/store";

export interface World {
  readonly config: ProxmoxConfig;
  readonly dir: string;
  readonly access: Access;
  readonly pools: Pools;
  readonly vms: VmStore;
  readonly locks: Locks;
  readonly storages: Storages;
  readonly tasks: Tasks;
  readonly guests: Guests;
  readonly firewalls: Firewalls;
  readonly ha: HaResources;
  readonly resolver: HostResolver;
  readonly log: (line: string) => void;
}
