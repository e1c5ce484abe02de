/** `tsx lab/gitlab/main.ts --state DIR --config FILE`: runs the lab's GitLab until SIGTERM. */

import { parseArgs } from "node:util";

import { readConfig } from "./config";
import { startGitLab } from "./gitlab";

const USAGE = "usage: tsx lab/gitlab/main.ts --state DIR --config FILE";

function log(line: string): void {
  process.stdout.write(`${new Date().toISOString()} ${line}\n`);
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: { state: { type: "string" }, config: { type: "string" } },
  });
  if (values.state === undefined || values.config === undefined) throw new Error(USAGE);
  process.umask(0o077);
  const config = readConfig(values.config);
  const gitlab = await startGitLab(config, values.state, log);
  log(`listening on ${gitlab.address} as ${config.url}, admin socket ${gitlab.adminSocket}`);
  let stopping = false;
  const stop = (signal: NodeJS.Signals) => {
    if (stopping) return;
    stopping = true;
    log(`${signal}: stopping`);
    gitlab.close().then(
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
  process.stderr.write(`gitlab: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(1);
});
