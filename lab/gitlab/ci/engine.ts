/** Moving jobs and pipelines from state to state. Everything here is synchronous: no races. */

import type { User } from "../config";
import { badRequest, forbidden } from "../errors";
import type { Job, JobVariable, Pipeline } from "../model";
import { isWithRunner, now, type World } from "../world";
import { plainName } from "./create";
import { stuckReason } from "./queue";
import { compositeStatus, failureAllowed, isOver } from "./status";

/** A pending job is given up after a day even when a runner could take it. */
const PENDING_LIMIT_SECONDS = 24 * 3600;

export class Engine {
  constructor(private readonly world: World) {}

  /** Starts what can start now, skips what will never run, and updates the pipeline. */
  process(pipeline: Pipeline): void {
    let moved = true;
    while (moved) {
      moved = false;
      const current = this.world.store.jobsOf(pipeline.id).filter((job) => !job.retried);
      for (const job of current) {
        if (job.status === "created" && this.advance(job, current)) moved = true;
      }
    }
    this.updatePipeline(pipeline);
    this.world.store.touch();
    this.world.wakeRunners();
  }

  private advance(job: Job, all: readonly Job[]): boolean {
    const { needs } = job;
    const before =
      needs === null
        ? all.filter((other) => other.stageIndex < job.stageIndex)
        : all.filter((other) => needs.some((need) => need.job === plainName(other)));
    const status = compositeStatus(before);
    const waiting = before.some((other) => !isOver(other.status) && !isIdleManual(other));
    if (waiting) return false;
    const skipped = needs !== null && before.some((other) => isUnused(other));
    const passed = (status === "success" || status === "none" || status === "skipped") && !skipped;
    switch (job.when) {
      case "always":
        this.enqueue(job);
        return true;
      case "on_failure":
        if (status === "failed") this.enqueue(job);
        else job.status = "skipped";
        return true;
      case "manual":
        job.status = passed ? "manual" : "skipped";
        return true;
      case "on_success":
        if (passed) this.enqueue(job);
        else job.status = "skipped";
        return true;
    }
  }

  /** Puts a job into the queue, or lets it wait for its resource group. */
  private enqueue(job: Job): void {
    job.queuedAt = now();
    const busy =
      job.resourceGroup !== null &&
      this.world.store.state.jobs.some(
        (other) =>
          other.projectId === job.projectId &&
          other.resourceGroup === job.resourceGroup &&
          ["pending", "running", "canceling"].includes(other.status),
      );
    job.status = busy ? "waiting_for_resource" : "pending";
  }

  private updatePipeline(pipeline: Pipeline): void {
    const jobs = this.world.store.jobsOf(pipeline.id).filter((job) => !job.retried);
    const status = compositeStatus(jobs);
    if (status === "none") return;
    if (status !== pipeline.status) {
      pipeline.status = status;
      pipeline.updatedAt = now();
    }
    if (status === "running") pipeline.startedAt ??= now();
    pipeline.finishedAt = isOver(status) ? (pipeline.finishedAt ?? now()) : null;
  }

  /** A runner begins with the job. */
  run(job: Job): void {
    job.status = "running";
    job.startedAt = now();
    job.heardAt = job.startedAt;
    job.acknowledgeBy = null;
    this.processOf(job);
  }

  /** The runner did not say that it takes the job: somebody else may. */
  release(job: Job): void {
    job.acknowledgeBy = null;
    job.tokenHash = null;
    job.runnerId = null;
    job.managerId = null;
    this.processOf(job);
  }

  succeed(job: Job): void {
    this.finish(job, job.status === "canceling" ? "canceled" : "success");
  }

  fail(job: Job, reason: string, exitCode: number | null = null): void {
    job.exitCode = exitCode;
    if (job.status === "canceling") {
      this.finish(job, "canceled");
      return;
    }
    job.failureReason = reason;
    const again = this.shouldRetry(job, reason);
    this.close(job, "failed");
    if (again) this.clone(job, job.attempt + 1);
    this.processOf(job);
  }

  private finish(job: Job, status: "success" | "canceled"): void {
    this.close(job, status);
    this.processOf(job);
  }

  private close(job: Job, status: "success" | "failed" | "canceled"): void {
    job.status = status;
    job.finishedAt = now();
    job.acknowledgeBy = null;
    if (job.resourceGroup !== null) this.wakeResourceGroup(job);
  }

  private wakeResourceGroup(job: Job): void {
    const next = this.world.store.state.jobs.find(
      (other) =>
        other.projectId === job.projectId &&
        other.resourceGroup === job.resourceGroup &&
        other.status === "waiting_for_resource",
    );
    if (next === undefined) return;
    next.status = "pending";
    this.processOf(next);
  }

  private shouldRetry(job: Job, reason: string): boolean {
    const { retry } = job;
    if (retry === null || job.attempt >= retry.max) return false;
    return (
      retry.when.includes("always") ||
      retry.when.includes(reason) ||
      (job.exitCode !== null && retry.exitCodes.includes(job.exitCode))
    );
  }

  /** Cancels a job; one that runs on a runner which can, gets the chance to clean up. */
  cancel(job: Job): void {
    if (isOver(job.status)) return;
    if (job.status === "running" && job.cancelGracefully) {
      job.status = "canceling";
      this.processOf(job);
    } else if (job.status !== "canceling") {
      this.finish(job, "canceled");
    }
  }

  /** Cancels every job of a pipeline, the last ones first, so that none of them starts meanwhile. */
  cancelPipeline(pipeline: Pipeline): void {
    const jobs = this.world.store.jobsOf(pipeline.id).filter((job) => !job.retried);
    for (const job of jobs.sort((a, b) => b.stageIndex - a.stageIndex)) this.cancel(job);
  }

  /**
   * Runs a job again, as a new job in the same pipeline; what was skipped after it gets a chance.
   *
   * @throws 403 when the job has not ended, or was retried before.
   */
  retry(job: Job, user: User): Job {
    if (job.retried || !["success", "failed", "canceled"].includes(job.status)) {
      throw forbidden("Job is not retryable");
    }
    const next = this.clone(job, 0);
    next.userId = user.id;
    this.reviveAfter(job);
    this.processOf(job);
    return next;
  }

  /** Runs every failed or canceled job of a pipeline again. */
  retryPipeline(pipeline: Pipeline, user: User): void {
    const jobs = this.world.store.jobsOf(pipeline.id).filter((job) => !job.retried);
    for (const job of jobs.filter(({ status }) => status === "failed" || status === "canceled")) {
      const next = this.clone(job, 0);
      next.userId = user.id;
      // The stages gate it again, unless a hand had started it.
      if (next.when !== "manual") next.status = "created";
    }
    for (const job of jobs.filter(({ status }) => status === "skipped")) job.status = "created";
    this.process(pipeline);
  }

  private reviveAfter(job: Job): void {
    for (const other of this.world.store.jobsOf(job.pipelineId)) {
      const later =
        other.stageIndex > job.stageIndex ||
        other.needs?.some((need) => need.job === plainName(job)) === true;
      if (later && other.status === "skipped") other.status = "created";
    }
  }

  private clone(job: Job, attempt: number): Job {
    job.retried = true;
    const next: Job = {
      ...structuredClone(job),
      id: this.world.store.nextId("job"),
      status: "created",
      attempt,
      retried: false,
      failureReason: null,
      exitCode: null,
      dotenv: [],
      runnerId: null,
      managerId: null,
      acknowledgeBy: null,
      cancelGracefully: false,
      tokenHash: null,
      createdAt: now(),
      queuedAt: null,
      startedAt: null,
      finishedAt: null,
      erasedAt: null,
      heardAt: null,
      artifactFiles: [],
      artifactsExpireAt: null,
    };
    this.world.store.state.jobs.push(next);
    this.enqueue(next);
    return next;
  }

  /**
   * Starts a manual job.
   *
   * @throws 400 for any other job.
   */
  play(job: Job, user: User, variables: readonly JobVariable[]): void {
    if (job.status !== "manual") throw badRequest("Unplayable Job");
    job.userId = user.id;
    job.playVariables = [...variables];
    this.enqueue(job);
    this.reviveAfter(job);
    this.processOf(job);
  }

  /** What GitLab's workers do from time to time: gives up on what is stuck, and requeues. */
  sweep(): void {
    const { config, store } = this.world;
    const olderThan = (time: string | null, seconds: number) =>
      time !== null && Date.now() - Date.parse(time) > seconds * 1000;
    for (const job of [...store.state.jobs]) {
      if (job.acknowledgeBy !== null) {
        if (olderThan(job.acknowledgeBy, 0)) this.release(job);
      } else if (isWithRunner(job)) {
        if (olderThan(job.heardAt, config.stuckSeconds)) this.fail(job, "stuck_or_timeout_failure");
      } else if (job.status === "pending") {
        const limit =
          stuckReason(this.world, job) === undefined
            ? PENDING_LIMIT_SECONDS
            : config.stuckPendingSeconds;
        if (olderThan(job.queuedAt, limit)) this.fail(job, "stuck_or_timeout_failure");
      }
    }
  }

  private processOf(job: Job): void {
    const pipeline = this.world.store.pipeline(job.pipelineId);
    if (pipeline !== undefined) this.process(pipeline);
  }
}

/** Waits for a hand, and nothing waits for it. */
function isIdleManual(job: Job): boolean {
  return job.status === "manual" && failureAllowed(job);
}

/** With `needs`, what was skipped or never played did not pass. */
function isUnused(job: Job): boolean {
  return job.status === "skipped" || isIdleManual(job);
}
