/** `tsx lab/gitlab/main.ts --state DIR --config FILE`: runs the lab's GitLab until SIGTERM. */

import { parseArgs } from "node:util";

import { closeOnSignal, log, runServer } from "../services/serve";
import { readConfig } from "./config";
import { startGitLab } from "./gitlab";

const USAGE = "usage: tsx lab/gitlab/main.ts --state DIR --config FILE";

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: { state: { type: "string" }, config: { type: "string" } },
  });
  if (values.state === undefined || values.config === undefined) throw new Error(USAGE);
  process.umask(0o077);
  const config = readConfig(values.config);
  const gitlab = await startGitLab(config, values.state, log);
  log(`listening on ${gitlab.address} as ${config.url}, admin socket ${gitlab.adminSocket}`);
  closeOnSignal(() => gitlab.close());
}

runServer("gitlab", main);
