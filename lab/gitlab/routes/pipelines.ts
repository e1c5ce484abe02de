/** Starting, reading, cancelling and retrying pipelines; checking a CI file. */

import type { FastifyInstance } from "fastify";

import { CI_FILE, createPipeline } from "../ci/create";
import { CiError } from "../ci/document";
import { parseCiFile } from "../ci/parse";
import { plain } from "../ci/variables";
import { type Project, ROLES } from "../config";
import { jobEntity, pipelineDetailsEntity, pipelineEntity } from "../entities";
import { badRequest, forbidden, notFound } from "../errors";
import type { Job, JobVariable, Pipeline } from "../model";
import { paginate } from "../pagination";
import { absent, readParams } from "../params";
import { formParams, rawParams } from "../request-params";
import type { Context } from "../server";
import { tokenMatches } from "../tokens";
import type { World } from "../world";

type ById = { Params: { id: string } };
type ByPipeline = { Params: { id: string; pipeline_id: string } };

export function pipelineRoutes(app: FastifyInstance, { world, guard, engine }: Context): void {
  const { store } = world;

  app.post<ById>("/api/v4/projects/:id/pipeline", async (request, reply) => {
    const user = guard.user(request);
    const project = guard.project(user, request.params.id, ROLES.developer);
    const params = readParams(await formParams(request), {
      ref: { kind: "string", required: true },
      variables: { kind: "objects" },
    });
    const pipeline = await createPipeline(world, project, {
      ref: params.ref,
      source: "api",
      user,
      variables: (params.variables ?? []).map(readVariable),
    });
    engine.process(pipeline);
    return reply.code(201).send(pipelineDetailsEntity(world, project, pipeline));
  });

  for (const path of [
    "/api/v4/projects/:id/trigger/pipeline",
    "/api/v4/projects/:id/ref/:ref/trigger/pipeline",
  ]) {
    app.post<ById>(path, async (request, reply) => {
      const { id } = request.params;
      const project = /^\d+$/.test(id) ? world.project(Number(id)) : world.projectAt(id);
      const params = readParams(await formParams(request), {
        token: { kind: "string", required: true },
        ref: { kind: "string", required: true },
        variables: { kind: "object" },
      });
      const trigger = store.state.triggers.find(
        (known) => known.projectId === project?.id && tokenMatches(params.token, known.tokenHash),
      );
      const user = trigger === undefined ? undefined : world.user(trigger.ownerId);
      if (project === undefined || trigger === undefined || user === undefined) throw notFound();
      const values = Object.entries(params.variables ?? {});
      if (values.some(([, value]) => typeof value !== "string")) {
        throw badRequest("variables needs to be a map of key-valued strings");
      }
      const pipeline = await createPipeline(world, project, {
        ref: params.ref,
        source: "trigger",
        user,
        variables: values.map(([key, value]) => ({ ...plain(key, String(value)), public: false })),
        triggerShortToken: trigger.shortToken,
      });
      engine.process(pipeline);
      return reply.code(201).send(pipelineDetailsEntity(world, project, pipeline));
    });
  }

  app.get<ById>("/api/v4/projects/:id/pipelines", (request, reply) => {
    const project = guard.project(guard.user(request), request.params.id, ROLES.reporter);
    const params = readParams(rawParams(request), {
      ref: { kind: "string" },
      sha: { kind: "string" },
      status: { kind: "string" },
      source: { kind: "string" },
      sort: { kind: "string", values: ["asc", "desc"] },
    });
    const pipelines = store.state.pipelines
      .filter((pipeline) => pipeline.projectId === project.id)
      .filter((pipeline) => absent(params.ref) || pipeline.ref === params.ref)
      .filter((pipeline) => absent(params.sha) || pipeline.sha === params.sha)
      .filter((pipeline) => absent(params.status) || pipeline.status === params.status)
      .filter((pipeline) => absent(params.source) || pipeline.source === params.source)
      .sort((a, b) => (params.sort === "asc" ? a.id - b.id : b.id - a.id));
    return paginate(request, reply, world.config.url, pipelines).map((pipeline) =>
      pipelineEntity(world, project, pipeline),
    );
  });

  app.get<ById>("/api/v4/projects/:id/pipelines/latest", (request) => {
    const project = guard.project(guard.user(request), request.params.id, ROLES.reporter);
    const { ref } = readParams(rawParams(request), { ref: { kind: "string" } });
    const latest = store.state.pipelines.findLast(
      (pipeline) =>
        pipeline.projectId === project.id && pipeline.ref === (ref ?? project.defaultBranch),
    );
    if (latest === undefined) throw notFound("Pipeline");
    return pipelineDetailsEntity(world, project, latest);
  });

  app.get<ByPipeline>("/api/v4/projects/:id/pipelines/:pipeline_id", (request) => {
    const project = guard.project(guard.user(request), request.params.id, ROLES.reporter);
    return pipelineDetailsEntity(world, project, find(world, project, request.params.pipeline_id));
  });

  app.get<ByPipeline>("/api/v4/projects/:id/pipelines/:pipeline_id/variables", (request) => {
    const project = guard.project(guard.user(request), request.params.id, ROLES.developer);
    const pipeline = find(world, project, request.params.pipeline_id);
    return pipeline.variables.map(({ key, value, raw, file }) => ({
      variable_type: file ? "file" : "env_var",
      key,
      value,
      raw,
    }));
  });

  app.get<ByPipeline>("/api/v4/projects/:id/pipelines/:pipeline_id/jobs", (request, reply) => {
    const project = guard.project(guard.user(request), request.params.id, ROLES.reporter);
    const pipeline = find(world, project, request.params.pipeline_id);
    const raw = rawParams(request);
    const { include_retried } = readParams(raw, { include_retried: { kind: "boolean" } });
    const jobs = store
      .jobsOf(pipeline.id)
      .filter((job) => include_retried === true || !job.retried);
    const page = paginate(request, reply, world.config.url, filterByScope(jobs, raw));
    return page.map((job) => jobEntity(world, job));
  });

  app.post<ByPipeline>("/api/v4/projects/:id/pipelines/:pipeline_id/cancel", (request) => {
    const project = guard.project(guard.user(request), request.params.id, ROLES.developer);
    const pipeline = find(world, project, request.params.pipeline_id);
    engine.cancelPipeline(pipeline);
    return pipelineDetailsEntity(world, project, pipeline);
  });

  app.post<ByPipeline>("/api/v4/projects/:id/pipelines/:pipeline_id/retry", (request, reply) => {
    const user = guard.user(request);
    const project = guard.project(user, request.params.id, ROLES.developer);
    const pipeline = find(world, project, request.params.pipeline_id);
    engine.retryPipeline(pipeline, user);
    return reply.code(201).send(pipelineDetailsEntity(world, project, pipeline));
  });

  app.delete<ByPipeline>("/api/v4/projects/:id/pipelines/:pipeline_id", (request, reply) => {
    const user = guard.user(request);
    const project = guard.project(user, request.params.id);
    if (world.access(user, project.path) < ROLES.owner) throw forbidden();
    const pipeline = find(world, project, request.params.pipeline_id);
    engine.cancelPipeline(pipeline);
    for (const job of store.jobsOf(pipeline.id)) world.files.remove(job.id);
    store.state.jobs = store.state.jobs.filter((job) => job.pipelineId !== pipeline.id);
    store.state.pipelines = store.state.pipelines.filter((other) => other !== pipeline);
    store.touch();
    return reply.code(204).send();
  });

  app.post<ById>("/api/v4/projects/:id/ci/lint", async (request) => {
    const project = guard.project(guard.user(request), request.params.id, ROLES.developer);
    const { content } = readParams(rawParams(request), {
      content: { kind: "string", required: true },
    });
    return lint(world, project, content);
  });

  app.get<ById>("/api/v4/projects/:id/ci/lint", async (request) => {
    const project = guard.project(guard.user(request), request.params.id, ROLES.developer);
    const sha = await world.repositories.sync(project);
    const content = await world.repositories.readFile(project, sha, CI_FILE);
    return lint(world, project, content ?? "");
  });
}

async function lint(world: World, project: Project, content: string) {
  const sha = await world.repositories.sync(project);
  try {
    const config = await parseCiFile(CI_FILE, content, (file) =>
      world.repositories.readFile(project, sha, file),
    );
    return {
      valid: true,
      errors: [],
      warnings: [],
      jobs: config.jobs.map((job) => ({ name: job.name, stage: job.stage, tag_list: job.tags })),
    };
  } catch (error) {
    if (!(error instanceof CiError)) throw error;
    return { valid: false, errors: error.problems, warnings: [], jobs: [] };
  }
}

function find(world: World, project: Project, id: string): Pipeline {
  const pipeline = world.store.pipeline(Number(id));
  if (pipeline?.projectId !== project.id) throw notFound();
  return pipeline;
}

/** Filters by `scope` or `scope[]`, one state or several. */
export function filterByScope(jobs: readonly Job[], raw: Record<string, unknown>): Job[] {
  const { scope } = readParams(raw, { scope: { kind: "list" } });
  return jobs
    .filter((job) => absent(scope) || scope.includes(job.status))
    .sort((a, b) => b.id - a.id);
}

/** One of `variables` as the API takes them: key, value, variable_type. */
export function readVariable(raw: Record<string, unknown>): JobVariable {
  const params = readParams(raw, {
    key: { kind: "string", required: true },
    value: { kind: "string", required: true },
    variable_type: { kind: "string", values: ["env_var", "file"] },
  });
  return {
    ...plain(params.key, params.value),
    public: false,
    file: params.variable_type === "file",
  };
}
