/** What the states of several jobs amount to. */

import type { Job, JobStatus } from "../model";

/** A failure that does not count: allowed always, or for the exit code that it had. */
export function failureAllowed(job: Job): boolean {
  if (job.allowFailure) return true;
  return job.exitCode !== null && job.allowFailureExitCodes.includes(job.exitCode);
}

/** True for states in which nothing more happens by itself. */
export function isOver(status: JobStatus): boolean {
  return ["success", "failed", "canceled", "skipped"].includes(status);
}

/** A job's state, with what does not count told apart. */
type Counted = JobStatus | "warning" | "idle";

function counted(job: Job): Counted {
  if (!failureAllowed(job)) return job.status;
  if (job.status === "failed" || job.status === "canceled") return "warning";
  return job.status === "manual" ? "idle" : job.status;
}

/** The state of a set of jobs, as GitLab shows it for a stage or a pipeline. */
export function compositeStatus(jobs: readonly Job[]): JobStatus | "none" {
  const seen = new Set(jobs.map(counted));
  const only = (...statuses: Counted[]) => [...seen].every((status) => statuses.includes(status));
  const any = (...statuses: JobStatus[]) => statuses.some((status) => seen.has(status));

  if (seen.size === 0) return "none";
  if (only("skipped", "idle")) return "skipped";
  if (only("success", "skipped", "warning", "idle")) return "success";
  if (only("created", "warning", "idle")) return "created";
  if (only("canceled", "success", "skipped", "warning", "idle")) return "canceled";
  if (only("pending", "created", "skipped", "warning", "idle")) return "pending";
  if (any("running", "pending")) return "running";
  if (any("waiting_for_resource")) return "waiting_for_resource";
  if (any("canceling")) return "canceling";
  if (any("manual")) return "manual";
  if (any("created")) return "running";
  return "failed";
}
