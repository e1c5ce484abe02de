/** The operator's side door: a unix socket that tells what this GitLab knows. */

import { chmodSync, rmSync } from "node:fs";
import { createServer, type Server } from "node:http";

import { stuckReason } from "./ci/queue";
import type { Job } from "./model";
import type { World } from "./world";

/** Everything that a test or a person wants to see at once; no secret is in it. */
export function inventory(world: World) {
  const { runners, jobs, pipelines } = world.store.state;
  const byState: Record<string, number> = {};
  for (const job of jobs) byState[job.status] = (byState[job.status] ?? 0) + 1;
  return {
    runners: runners.map((runner) => ({
      id: runner.id,
      description: runner.description,
      maintenance_note: runner.maintenanceNote,
      runner_type: runner.runnerType,
      project_ids: runner.projectIds,
      group_id: runner.groupId,
      tag_list: runner.tagList,
      paused: runner.paused,
      locked: runner.locked,
      run_untagged: runner.runUntagged,
      access_level: runner.accessLevel,
      status: world.runnerStatus(runner),
      contacted_at: runner.contactedAt,
      running_jobs: world.runningJobs(runner.id).map((job) => job.id),
    })),
    managers: runners.flatMap((runner) =>
      runner.managers.map((manager) => ({
        id: manager.id,
        runner_id: runner.id,
        system_id: manager.systemId,
        version: manager.version,
        executor: manager.executor,
        ip_address: manager.ipAddress,
        contacted_at: manager.contactedAt,
        running_jobs: world.runningJobs(runner.id, manager.id).map((job) => job.id),
      })),
    ),
    pipelines: pipelines.length,
    jobs: byState,
    open_jobs: jobs.filter(isOpen).map((job) => ({
      id: job.id,
      name: job.name,
      status: job.status,
      tag_list: job.tags,
      runner_id: job.runnerId,
      stuck: stuckReason(world, job) ?? null,
    })),
  };
}

function isOpen(job: Job): boolean {
  return !["success", "failed", "canceled", "skipped"].includes(job.status);
}

/** Listens on a unix socket that only its owner may use. */
export async function listenAdmin(world: World, socket: string): Promise<Server> {
  rmSync(socket, { force: true });
  const server = createServer((request, response) => {
    if (request.method !== "GET" || request.url !== "/inventory") {
      response.writeHead(404).end();
      return;
    }
    response.writeHead(200, { "content-type": "application/json" });
    response.end(JSON.stringify(inventory(world), null, 2));
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
