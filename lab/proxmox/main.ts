/** `tsx lab/proxmox/main.ts --state DIR --config FILE`: runs the lab's Proxmox VE until SIGTERM. */

import { parseArgs } from "node:util";

import { readConfig } from "./config";
import { startProxmox } from "./proxmox";

const USAGE = "usage: tsx lab/proxmox/main.ts --state DIR --config FILE";

function log(line: string): void {
  process.stdout.write(`${new Date().toISOString()} ${line}\n`);
}

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
  let stopping = false;
  const stop = (signal: NodeJS.Signals) => {
    if (stopping) return;
    stopping = true;
    log(`${signal}: stopping; the guests go on`);
    proxmox.close().then(
      () => process.exit(0),
      (error: unknown) => {
        log(`stopping failed: ${String(error)}`);
        process.exit(1);
      },
    );
  };
  process.on("SIGTERM", stop);
  process.on("SIGINT", stop);
}

main().catch((error: unknown) => {
  process.stderr.write(`proxmox: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(1);
});
