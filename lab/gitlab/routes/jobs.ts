/** Jobs as users see them. */

import type { FastifyInstance } from "fastify";

import { type Project, ROLES } from "../config";
import { jobEntity } from "../entities";
import { forbidden, notFound, unauthorized } from "../errors";
import type { Job } from "../model";
import { paginate } from "../pagination";
import { readParams } from "../params";
import { formParams, rawParams } from "../request-params";
import type { Context } from "../server";
import { now, type World } from "../world";
import { filterByScope, readVariable } from "./pipelines";

type ById = { Params: { id: string } };
type ByJob = { Params: { id: string; job_id: string } };

export function jobRoutes(app: FastifyInstance, { world, guard, engine }: Context): void {
  // The job that a job's token belongs to.
  app.get("/api/v4/job", (request) => {
    const { job } = guard.userOrJob(request);
    if (job === undefined) throw unauthorized();
    return jobEntity(world, job);
  });

  app.get<ById>("/api/v4/projects/:id/jobs", (request, reply) => {
    const project = guard.project(guard.user(request), request.params.id, ROLES.reporter);
    const jobs = world.store.state.jobs.filter((job) => job.projectId === project.id);
    const page = paginate(
      request,
      reply,
      world.config.url,
      filterByScope(jobs, rawParams(request)),
    );
    return page.map((job) => jobEntity(world, job));
  });

  app.get<ByJob>("/api/v4/projects/:id/jobs/:job_id", (request) => {
    const project = guard.project(guard.user(request), request.params.id, ROLES.reporter);
    return jobEntity(world, findJob(world, project, request.params.job_id));
  });

  app.get<ByJob>("/api/v4/projects/:id/jobs/:job_id/trace", (request, reply) => {
    const project = guard.project(guard.user(request), request.params.id, ROLES.reporter);
    const job = findJob(world, project, request.params.job_id);
    return reply.type("text/plain").send(world.files.readTrace(job.id));
  });

  app.post<ByJob>("/api/v4/projects/:id/jobs/:job_id/cancel", (request, reply) => {
    const project = guard.project(guard.user(request), request.params.id, ROLES.developer);
    const job = findJob(world, project, request.params.job_id);
    engine.cancel(job);
    return reply.code(201).send(jobEntity(world, job));
  });

  app.post<ByJob>("/api/v4/projects/:id/jobs/:job_id/retry", (request, reply) => {
    const user = guard.user(request);
    const project = guard.project(user, request.params.id, ROLES.developer);
    const job = findJob(world, project, request.params.job_id);
    return reply.code(201).send(jobEntity(world, engine.retry(job, user)));
  });

  app.post<ByJob>("/api/v4/projects/:id/jobs/:job_id/play", async (request) => {
    const user = guard.user(request);
    const project = guard.project(user, request.params.id, ROLES.developer);
    const job = findJob(world, project, request.params.job_id);
    const params = readParams(await formParams(request), {
      job_variables_attributes: { kind: "objects" },
    });
    engine.play(job, user, (params.job_variables_attributes ?? []).map(readVariable));
    return jobEntity(world, job);
  });

  app.post<ByJob>("/api/v4/projects/:id/jobs/:job_id/erase", (request, reply) => {
    const project = guard.project(guard.user(request), request.params.id, ROLES.developer);
    const job = findJob(world, project, request.params.job_id);
    if (!["success", "failed", "canceled"].includes(job.status) || job.erasedAt !== null) {
      throw forbidden("Job is not erasable!");
    }
    world.files.remove(job.id);
    job.artifactFiles = [];
    job.erasedAt = now();
    world.store.touch();
    return reply.code(201).send(jobEntity(world, job));
  });
}

export function findJob(world: World, project: Project, id: string): Job {
  const job = world.store.job(Number(id));
  if (job?.projectId !== project.id) throw notFound();
  return job;
}
