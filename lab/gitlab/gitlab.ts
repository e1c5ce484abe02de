/** The whole lab GitLab as one thing that starts and stops. */

import path from "node:path";

import { listenAdmin } from "./admin";
import type { GitLabConfig } from "./config";
import { createServer, type Log } from "./server";
import { World } from "./world";

/** Milliseconds between two looks for jobs that are stuck. */
const SWEEP_MS = 15_000;

export interface GitLab {
  readonly world: World;
  /** Address in use; its port differs from the configured one when that is 0. */
  readonly address: string;
  readonly adminSocket: string;
  close(): Promise<void>;
}

/**
 * Starts a GitLab.
 *
 * @param stateDir folder of its state; made when absent, its content outlives restarts.
 */
export async function startGitLab(
  config: GitLabConfig,
  stateDir: string,
  log: Log,
): Promise<GitLab> {
  const world = new World(config, stateDir);
  await world.open();
  const { app, engine } = createServer(world, log);
  const address = await app.listen({ host: config.listen, port: config.port });
  const adminSocket = path.join(stateDir, "admin.sock");
  const admin = await listenAdmin(world, adminSocket);
  const sweeper = setInterval(() => engine.sweep(), SWEEP_MS);
  return {
    world,
    address,
    adminSocket,
    async close() {
      clearInterval(sweeper);
      await new Promise((resolve) => admin.close(resolve));
      await app.close();
      await world.store.close();
    },
  };
}
