/** Every method of the API. */

import type { Method } from "../method";
import { accessMethods } from "./access";
import { agentMethods } from "./agent";
import { clusterMethods } from "./cluster";
import { firewallMethods } from "./firewall";
import { haMethods } from "./ha";
import { poolMethods } from "./pools";
import { qemuMethods } from "./qemu";
import { storageMethods } from "./storage";
import { taskMethods } from "./tasks";

export const METHODS: readonly Method[] = [
  ...accessMethods,
  ...agentMethods,
  ...clusterMethods,
  ...firewallMethods,
  ...haMethods,
  ...poolMethods,
  ...qemuMethods,
  ...storageMethods,
  ...taskMethods,
];
