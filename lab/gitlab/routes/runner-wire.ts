/** What a gitlab-runner calls: its own record, the job queue, the state and the log of a job. */

import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";

import { jobToken } from "../auth";
import { FAILURE_REASONS, jobPayload } from "../ci/payload";
import { missingFeatures, queueOf, serves } from "../ci/queue";
import { ApiError, forbidden, notFound } from "../errors";
import type { Job, Runner, RunnerManager } from "../model";
import { isObject, readParams } from "../params";
import { rawParams } from "../request-params";
import { issueToken, noteContact } from "../runner-records";
import type { Context } from "../server";
import { hashToken, newToken, tokenMatches } from "../tokens";
import { isWithRunner, now } from "../world";

const RUNNER = {
  token: { kind: "string", required: true },
  system_id: { kind: "string" },
  info: { kind: "object" },
} as const;

export function runnerWireRoutes(app: FastifyInstance, context: Context): void {
  const { world } = context;
  const { store } = world;

  /** @throws 403 for a token that is none, 422 for a project runner whose projects are gone. */
  const authenticate = (token: string): Runner => {
    const runner = world.findRunner(token);
    if (runner === undefined) throw forbidden();
    const orphaned =
      runner.runnerType === "project_type" &&
      !runner.projectIds.some((id) => world.project(id) !== undefined);
    if (orphaned) throw new ApiError(422, { message: "Runner is orphaned" });
    return runner;
  };

  app.post("/api/v4/runners", (request) => {
    readParams(rawParams(request), { token: { kind: "string", required: true } });
    throw new ApiError(410, { message: "410 Gone - runner registration disallowed" });
  });

  app.post("/api/v4/runners/verify", (request) => {
    const params = readParams(rawParams(request), RUNNER);
    const runner = authenticate(params.token);
    noteContact(world, runner, params, request.ip);
    return { id: runner.id, token: params.token, token_expires_at: runner.tokenExpiresAt };
  });

  app.delete("/api/v4/runners", (request, reply) => {
    const { token } = readParams(rawParams(request), RUNNER);
    const runner = authenticate(token);
    store.state.runners = store.state.runners.filter((other) => other !== runner);
    store.touch();
    return reply.code(204).send();
  });

  app.delete("/api/v4/runners/managers", (request, reply) => {
    const params = readParams(rawParams(request), {
      token: { kind: "string", required: true },
      system_id: { kind: "string", required: true },
    });
    const runner = authenticate(params.token);
    const rest = runner.managers.filter((manager) => manager.systemId !== params.system_id);
    if (rest.length === runner.managers.length) throw notFound("Runner manager not found");
    runner.managers = rest;
    store.touch();
    return reply.code(204).send();
  });

  app.post("/api/v4/runners/reset_authentication_token", (request, reply) => {
    const { token } = readParams(rawParams(request), RUNNER);
    const runner = authenticate(token);
    const next = issueToken(world, runner);
    store.touch();
    return reply.code(201).send({ token: next, token_expires_at: runner.tokenExpiresAt });
  });

  app.get("/api/v4/runners/router/discovery", (request) => {
    const token = request.headers["runner-token"];
    authenticate(typeof token === "string" ? token : "");
    throw new ApiError(501, {
      message: "Job Router is not available. Please contact your administrator.",
    });
  });

  app.post("/api/v4/jobs/request", async (request, reply) => {
    const params = readParams(rawParams(request), {
      ...RUNNER,
      last_update: { kind: "string" },
    });
    const until = Date.now() + world.config.longPollSeconds * 1000;
    const gone = new AbortController();
    const leave = () => gone.abort();
    request.socket.once("close", leave);
    const signal = AbortSignal.any([gone.signal, context.closing]);
    let seen = params.last_update;
    try {
      for (;;) {
        const runner = authenticate(params.token);
        const manager = noteContact(world, runner, params, request.ip);
        const mark = world.queueMark;
        const payload = takeJob(context, runner, manager, params.info ?? {});
        void reply.header("x-gitlab-last-update", world.queueMark);
        if (payload !== undefined) return await reply.code(201).send(payload);
        // As Workhorse does: only those who have seen the queue as it is now wait for a change.
        const left = until - Date.now();
        if (seen !== mark || left <= 0 || signal.aborted) {
          return await reply.code(204).send();
        }
        await world.queueChanged(left, signal);
        if (signal.aborted) return await reply.code(204).send();
        seen = world.queueMark;
      }
    } finally {
      request.socket.off("close", leave);
    }
  });

  app.put("/api/v4/jobs/:id", (request, reply) => {
    const params = readParams(rawParams(request), {
      token: { kind: "string", required: true },
      id: { kind: "integer", required: true },
      state: { kind: "string" },
      failure_reason: { kind: "string" },
      checksum: { kind: "string" },
      output: { kind: "object" },
      exit_code: { kind: "integer" },
    });
    const job = authenticateJob(context, params.id, params.token, request.ip);
    const status = updateJob(context, job, params);
    store.touch();
    return reply
      .code(status)
      .header("job-status", job.status)
      .type("application/json")
      .send(String(status));
  });

  app.patch("/api/v4/jobs/:id/trace", (request, reply) => {
    const { id } = request.params as { id: string };
    const job = authenticateJob(context, Number(id), jobToken(request, "token"), request.ip);
    return appendTrace(context, job, request, reply);
  });
}

/** Hands the runner the oldest job that it may have. */
function takeJob(
  { world, engine }: Context,
  runner: Runner,
  manager: RunnerManager,
  info: Record<string, unknown>,
): Record<string, unknown> | undefined {
  if (runner.paused) return undefined;
  const features = isObject(info.features) ? info.features : {};
  for (const job of queueOf(world, runner)) {
    const project = world.project(job.projectId);
    const pipeline = world.store.pipeline(job.pipelineId);
    if (project === undefined || pipeline === undefined || !serves(world, runner, project))
      continue;
    if (missingFeatures(job, features).length > 0) {
      engine.fail(job, "runner_unsupported");
      continue;
    }
    const token = newToken("glcbt-");
    job.tokenHash = hashToken(token);
    job.runnerId = runner.id;
    job.managerId = manager.id;
    job.cancelGracefully = features.cancel_gracefully === true;
    if (features.two_phase_job_commit === true) {
      const limit = world.config.acknowledgeSeconds * 1000;
      job.acknowledgeBy = new Date(Date.now() + limit).toISOString();
      world.store.touch();
    } else {
      engine.run(job);
    }
    return jobPayload(world, project, pipeline, job, runner, token);
  }
  return undefined;
}

/** 403 and never 404, so that a runner stops the job for certain. */
export function authenticateJob(
  { world }: Context,
  id: number,
  token: string,
  ipAddress?: string,
): Job {
  const job = world.store.job(id);
  if (job === undefined || !tokenMatches(token, job.tokenHash)) throw forbidden();
  if (job.erasedAt !== null) throw forbidden("Job has been erased!");
  if (!isWithRunner(job)) throw forbidden("Job is not running", { "job-status": job.status });
  if (ipAddress !== undefined) {
    const runner = job.runnerId === null ? undefined : world.store.runner(job.runnerId);
    const manager = runner?.managers.find((known) => known.id === job.managerId);
    const time = now();
    if (runner !== undefined) runner.contactedAt = time;
    if (manager !== undefined) {
      manager.contactedAt = time;
      manager.ipAddress = ipAddress;
    }
    job.heardAt = time;
    world.store.touchLazily();
  }
  return job;
}

interface JobUpdate {
  readonly state?: string | null | undefined;
  readonly failure_reason?: string | null | undefined;
  readonly checksum?: string | null | undefined;
  readonly output?: Record<string, unknown> | null | undefined;
  readonly exit_code?: number | null | undefined;
}

/** @returns the status of the answer. */
function updateJob({ world, engine }: Context, job: Job, update: JobUpdate): number {
  if (job.acknowledgeBy !== null) {
    if (update.state === "pending") {
      const limit = world.config.acknowledgeSeconds * 1000;
      job.acknowledgeBy = new Date(Date.now() + limit).toISOString();
      return 200;
    }
    if (update.state !== "running") return 400;
    engine.run(job);
    return 200;
  }
  switch (update.state) {
    case "running":
      return 200;
    case "success":
    case "failed":
      break;
    default:
      return 400;
  }
  if (!traceIsWhole(world.files, job, update)) {
    world.files.resetTrace(job.id);
    return 412;
  }
  if (update.state === "success") {
    engine.succeed(job);
  } else {
    const reason = update.failure_reason ?? "unknown_failure";
    const known = FAILURE_REASONS.includes(reason) ? reason : "unknown_failure";
    engine.fail(job, known, update.exit_code ?? null);
  }
  return 200;
}

/** Compares the log with what the runner says that it has sent. */
function traceIsWhole(files: Context["world"]["files"], job: Job, update: JobUpdate): boolean {
  const checksum = update.output?.checksum ?? update.checksum;
  const size = update.output?.bytesize;
  if (typeof size === "number" && size !== files.traceSize(job.id)) return false;
  return (
    typeof checksum !== "string" || checksum === "" || checksum === files.traceChecksum(job.id)
  );
}

function appendTrace(
  { world, engine }: Context,
  job: Job,
  request: FastifyRequest,
  reply: FastifyReply,
): FastifyReply {
  const range = request.headers["content-range"];
  if (range === undefined) throw new ApiError(400, { error: "400 Missing header Content-Range" });
  const data = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0);
  // Only the start counts: runners send the end of the range off by one.
  const start = Number.parseInt(range, 10) || 0;
  const end = start + data.length;
  if (end > world.config.maxTraceBytes) {
    engine.fail(job, "trace_size_exceeded");
    throw new ApiError(403, { error: "403 Forbidden" }, { "job-status": job.status });
  }
  const size = world.files.appendTrace(job.id, start, data);
  void reply.header("range", `0-${size}`).header("job-status", job.status);
  if (size !== end) {
    return reply.code(416).type("application/json").send('{"error":"416 Range Not Satisfiable"}');
  }
  const interval = world.files.traceInterval(job.id, world.config.traceSeconds);
  return reply
    .code(202)
    .header("x-gitlab-trace-update-interval", String(interval))
    .type("application/json")
    .send(`"0-${size}"`);
}
