/** `tsx lab/proxmox/main.ts --state DIR --config FILE`: runs the lab's Proxmox VE until SIGTERM. */

import { parseArgs } from "node:util";

import { closeOnSignal, log, runServer } from "../services/serve";
import { readConfig } from "./config";
import { startProxmox } from "./proxmox";

const USAGE = "usage: tsx lab/proxmox/main.ts --state DIR --config FILE";

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: { state: { type: "string" }, config: { type: "string" } },
  });
  if (values.state === undefined || values.config === undefined) throw new Error(USAGE);
  process.umask(0o022);
  const config = readConfig(values.config);
  const proxmox = await startProxmox(config, values.state, log);
  const addresses = config.nodes.map(({ name, address }) => `${name} on ${address}:${config.port}`);
  log(`listening: ${addresses.join(", ")}; admin socket ${proxmox.adminSocket}`);
  closeOnSignal(() => proxmox.close(), "; the guests go on");
}

runServer("proxmox", main);
