/** Which runner may take which job. */

import type { Project } from "../config";
import type { Job, Runner } from "../model";
import type { World } from "../world";

/** Features that a job may need, and when it does. A runner that has them not, must not get it. */
const NEEDED_FEATURES: Readonly<Record<string, (job: Job) => boolean>> = {
  upload_multiple_artifacts: (job) => Object.keys(job.artifacts?.reports ?? {}).length > 0,
  artifacts_exclude: (job) => (job.artifacts?.exclude.length ?? 0) > 0,
  return_exit_code: (job) =>
    job.allowFailureExitCodes.length > 0 || (job.retry?.exitCodes.length ?? 0) > 0,
  fallback_cache_keys: (job) => job.cache.some((cache) => cache.fallbackKeys.length > 0),
};

export function missingFeatures(job: Job, features: Readonly<Record<string, unknown>>): string[] {
  return Object.entries(NEEDED_FEATURES)
    .filter(([name, needed]) => needed(job) && features[name] !== true)
    .map(([name]) => name);
}

/** True when the project is one that the runner serves. */
export function serves(world: World, runner: Runner, project: Project): boolean {
  switch (runner.runnerType) {
    case "instance_type":
      return project.sharedRunnersEnabled;
    case "group_type": {
      const group = runner.groupId === null ? undefined : world.group(runner.groupId);
      return group !== undefined && world.inGroup(project.path, group);
    }
    case "project_type":
      return runner.projectIds.includes(project.id);
  }
}

/** True when the runner may take the job, apart from being paused. */
export function matches(world: World, runner: Runner, job: Job): boolean {
  const project = world.project(job.projectId);
  if (project === undefined || !serves(world, runner, project)) return false;
  if (runner.accessLevel === "ref_protected" && !job.protected) return false;
  if (job.tags.length === 0) return runner.runUntagged;
  return job.tags.every((tag) => runner.tagList.includes(tag));
}

/** Waiting jobs that a runner may take, oldest first. */
export function queueOf(world: World, runner: Runner): Job[] {
  return world.store.state.jobs
    .filter((job) => job.status === "pending" && job.acknowledgeBy === null)
    .filter((job) => matches(world, runner, job))
    .sort((a, b) => a.id - b.id);
}

/** Why no runner will take a waiting job, in the words of GitLab's job page; undefined: one may. */
export function stuckReason(world: World, job: Job): string | undefined {
  if (job.status !== "pending" || job.acknowledgeBy !== null) return undefined;
  const project = world.project(job.projectId);
  const online = world.store.state.runners.filter(
    (runner) =>
      project !== undefined &&
      serves(world, runner, project) &&
      !runner.paused &&
      world.runnerStatus(runner) === "online",
  );
  if (online.some((runner) => matches(world, runner, job))) return undefined;
  if (online.length === 0 && job.tags.length === 0) {
    return "This job is stuck because the project doesn't have any runners online assigned to it.";
  }
  return (
    "This job is stuck because of one of the following problems. There are no active runners " +
    "online, no runners for the protected branch, or no runners that match all of the job's tags: " +
    job.tags.join(", ")
  );
}
