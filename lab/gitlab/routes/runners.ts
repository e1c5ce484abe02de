/** Runner records as users see them. */

import type { FastifyInstance } from "fastify";

import { type Project, ROLES, type User } from "../config";
import {
  jobBasicEntity,
  managerEntity,
  projectIdentity,
  runnerDetailsEntity,
  runnerEntity,
} from "../entities";
import { badRequest, forbidden, invalid, notFound, unprocessable } from "../errors";
import {
  ACCESS_LEVELS,
  type AccessLevel,
  type Runner,
  RUNNER_STATUSES,
  RUNNER_TYPES,
  type RunnerType,
} from "../model";
import { paginate } from "../pagination";
import { absent, type Params, readParams } from "../params";
import { rawParams } from "../request-params";
import { issueToken, problemsOf, sentence } from "../runner-records";
import type { Context } from "../server";
import { now, type World } from "../world";

const ATTRIBUTES = {
  description: { kind: "string" },
  maintenance_note: { kind: "string" },
  paused: { kind: "boolean" },
  locked: { kind: "boolean" },
  access_level: { kind: "string", values: ACCESS_LEVELS },
  run_untagged: { kind: "boolean" },
  tag_list: { kind: "list" },
  maximum_timeout: { kind: "integer" },
} as const;

const FILTERS = {
  type: { kind: "string", values: RUNNER_TYPES },
  status: { kind: "string", values: [...RUNNER_STATUSES, "active", "paused"] },
  scope: { kind: "string" },
  paused: { kind: "boolean" },
  tag_list: { kind: "list" },
  version_prefix: { kind: "string" },
} as const;

const ID = { id: { kind: "integer", required: true } } as const;

export function runnerRoutes(app: FastifyInstance, context: Context): void {
  const { world, guard } = context;
  const { store } = world;

  app.post("/api/v4/user/runners", (request, reply) => {
    const user = guard.user(request, "create_runner");
    const raw = rawParams(request);
    const params = readParams(raw, {
      runner_type: { kind: "string", required: true, values: RUNNER_TYPES },
      group_id: { kind: "integer" },
      project_id: { kind: "integer" },
      ...ATTRIBUTES,
    });
    const scope = scopeOf(world, user, params.runner_type as RunnerType, params);
    const runner: Runner = {
      id: 0,
      runnerType: params.runner_type as RunnerType,
      description: params.description ?? "",
      maintenanceNote: params.maintenance_note ?? null,
      paused: params.paused ?? false,
      locked: params.locked ?? false,
      accessLevel: (params.access_level ?? "not_protected") as AccessLevel,
      runUntagged: params.run_untagged ?? true,
      tagList: [...new Set(params.tag_list ?? [])],
      maximumTimeout: params.maximum_timeout ?? null,
      groupId: scope.groupId,
      projectIds: scope.projectIds,
      creatorId: user.id,
      createdAt: now(),
      contactedAt: null,
      tokenHash: "",
      tokenExpiresAt: null,
      managers: [],
    };
    const problems = problemsOf(runner);
    if (Object.keys(problems).length > 0) throw badRequest(sentence(problems));
    const stored = { ...runner, id: store.nextId("runner") };
    const token = issueToken(world, stored);
    store.state.runners.push(stored);
    store.touch();
    return reply.code(201).send({
      id: stored.id,
      token,
      token_expires_at: stored.tokenExpiresAt,
    });
  });

  app.get("/api/v4/runners", (request, reply) => {
    const user = guard.user(request);
    const runners = store.state.runners.filter(
      (runner) => runner.runnerType !== "instance_type" && administers(world, user, runner),
    );
    const page = paginate(
      request,
      reply,
      world.config.url,
      filter(world, runners, rawParams(request)),
    );
    return page.map((runner) => runnerEntity(world, runner));
  });

  app.get("/api/v4/runners/all", (request, reply) => {
    const user = guard.user(request);
    if (!user.admin) throw forbidden();
    const runners = filter(world, store.state.runners, rawParams(request));
    const page = paginate(request, reply, world.config.url, runners);
    return page.map((runner) => runnerEntity(world, runner));
  });

  app.get("/api/v4/runners/:id", (request) => {
    const user = guard.user(request, "manage_runner");
    const runner = find(world, rawParams(request));
    mustSee(world, user, runner);
    return runnerDetailsEntity(world, runner);
  });

  app.put("/api/v4/runners/:id", (request) => {
    const user = guard.user(request, "manage_runner");
    const raw = rawParams(request);
    const params = readParams(raw, { ...ATTRIBUTES, active: { kind: "boolean" } });
    checkUpdate(params);
    const runner = find(world, raw);
    mustAdminister(world, user, runner);
    const paused = params.paused ?? (absent(params.active) ? undefined : !params.active);
    const next: Runner = {
      ...runner,
      description: params.description ?? runner.description,
      maintenanceNote: keep(params.maintenance_note, runner.maintenanceNote),
      paused: paused ?? runner.paused,
      locked: params.locked ?? runner.locked,
      accessLevel: (params.access_level ?? runner.accessLevel) as AccessLevel,
      runUntagged: params.run_untagged ?? runner.runUntagged,
      tagList: [...new Set(params.tag_list ?? runner.tagList)],
      maximumTimeout: keep(params.maximum_timeout, runner.maximumTimeout),
    };
    const problems = problemsOf(next);
    if (Object.keys(problems).length > 0) throw unprocessable(problems);
    Object.assign(runner, next);
    store.touch();
    world.wakeRunners();
    return runnerDetailsEntity(world, runner);
  });

  app.delete("/api/v4/runners/:id", (request, reply) => {
    const user = guard.user(request, "manage_runner");
    const runner = find(world, rawParams(request));
    if (!user.admin && runner.projectIds.length > 1) {
      throw forbidden("Runner associated with more than one project");
    }
    mustAdminister(world, user, runner);
    store.state.runners = store.state.runners.filter((other) => other !== runner);
    store.touch();
    world.wakeRunners();
    return reply.code(204).send();
  });

  app.get("/api/v4/runners/:id/managers", (request) => {
    const user = guard.user(request, "manage_runner");
    const runner = find(world, rawParams(request));
    mustSee(world, user, runner);
    return runner.managers.map((manager) => managerEntity(world, runner, manager));
  });

  app.get("/api/v4/runners/:id/jobs", (request, reply) => {
    const user = guard.user(request, "manage_runner");
    const raw = rawParams(request);
    const runner = find(world, raw);
    mustSee(world, user, runner);
    const params = readParams(raw, {
      status: { kind: "string" },
      system_id: { kind: "string" },
      sort: { kind: "string", values: ["asc", "desc"] },
    });
    const manager = runner.managers.find((one) => one.systemId === params.system_id);
    const jobs = store.state.jobs
      .filter((job) => job.runnerId === runner.id)
      .filter((job) => absent(params.status) || job.status === params.status)
      .filter((job) => absent(params.system_id) || job.managerId === manager?.id)
      .sort((a, b) => (params.sort === "asc" ? a.id - b.id : b.id - a.id));
    return paginate(request, reply, world.config.url, jobs).map((job) => {
      const project = world.project(job.projectId);
      return {
        ...jobBasicEntity(world, job),
        project: project === undefined ? null : projectIdentity(world, project),
      };
    });
  });

  app.post("/api/v4/runners/:id/reset_authentication_token", (request, reply) => {
    const user = guard.user(request, "manage_runner");
    const runner = find(world, rawParams(request));
    mustAdminister(world, user, runner);
    const token = issueToken(world, runner);
    store.touch();
    world.wakeRunners();
    return reply.code(201).send({ token, token_expires_at: runner.tokenExpiresAt });
  });

  app.get("/api/v4/projects/:id/runners", (request, reply) => {
    const user = guard.user(request);
    const project = guard.project(user, projectId(request.params), ROLES.maintainer);
    const runners = store.state.runners.filter((runner) => isAvailable(world, runner, project));
    const page = paginate(
      request,
      reply,
      world.config.url,
      filter(world, runners, rawParams(request)),
    );
    return page.map((runner) => runnerEntity(world, runner));
  });

  app.post("/api/v4/projects/:id/runners", (request, reply) => {
    const user = guard.user(request);
    const project = guard.project(user, projectId(request.params), ROLES.maintainer);
    const { runner_id } = readParams(rawParams(request), {
      runner_id: { kind: "integer", required: true },
    });
    const runner = find(world, { id: runner_id });
    if (runner.runnerType === "group_type") throw forbidden("Runner is a group runner");
    if (runner.runnerType === "instance_type") throw forbidden("Runner is an instance runner");
    if (!user.admin && runner.locked) throw forbidden("Runner is locked");
    mustAdminister(world, user, runner);
    if (runner.projectIds.includes(project.id)) {
      throw unprocessable({ runner: ["has already been taken"] });
    }
    runner.projectIds = [...runner.projectIds, project.id];
    store.touch();
    world.wakeRunners();
    return reply.code(201).send(runnerEntity(world, runner));
  });

  app.delete("/api/v4/projects/:id/runners/:runner_id", (request, reply) => {
    const user = guard.user(request);
    const project = guard.project(user, projectId(request.params), ROLES.maintainer);
    const { runner_id } = readParams(rawParams(request), {
      runner_id: { kind: "integer", required: true },
    });
    const runner = find(world, { id: runner_id });
    if (!runner.projectIds.includes(project.id)) throw notFound("Runner");
    if (runner.projectIds[0] === project.id) {
      throw forbidden(
        "You cannot unassign a runner from the owner project. Delete the runner instead",
      );
    }
    runner.projectIds = runner.projectIds.filter((id) => id !== project.id);
    store.touch();
    return reply.code(204).send();
  });

  app.get("/api/v4/groups/:id/runners", (request, reply) => {
    const user = guard.user(request);
    const group = guard.group(user, projectId(request.params), ROLES.maintainer);
    const runners = store.state.runners.filter((runner) => {
      if (runner.runnerType === "instance_type") return true;
      const owner = runner.groupId === null ? undefined : world.group(runner.groupId);
      return owner !== undefined && world.inGroup(group.path, owner);
    });
    const page = paginate(
      request,
      reply,
      world.config.url,
      filter(world, runners, rawParams(request)),
    );
    return page.map((runner) => runnerEntity(world, runner));
  });
}

function projectId(params: unknown): string {
  return (params as { id: string }).id;
}

/** Null clears a value, absence keeps it. */
function keep<T>(said: T | null | undefined, old: T | null): T | null {
  return said === undefined ? old : said;
}

function find(world: World, raw: Record<string, unknown>): Runner {
  const { id } = readParams(raw, ID);
  const runner = world.store.runner(id);
  if (runner === undefined) throw notFound();
  return runner;
}

function scopeOf(
  world: World,
  user: User,
  type: RunnerType,
  params: { readonly group_id?: number | null; readonly project_id?: number | null },
): { groupId: number | null; projectIds: number[] } {
  const { group_id, project_id } = params;
  const refuse = (name: string, value: unknown) => {
    if (!absent(value)) throw badRequest(`${name} is not allowed with runner_type ${type}`);
  };
  const mayCreate = (level: number, needed: number) => {
    if (level < needed) throw forbidden("Insufficient permissions");
  };
  switch (type) {
    case "instance_type":
      refuse("group_id", group_id);
      refuse("project_id", project_id);
      mayCreate(user.admin ? ROLES.owner : 0, ROLES.owner);
      return { groupId: null, projectIds: [] };
    case "group_type": {
      if (absent(group_id)) throw invalid("group_id is missing");
      refuse("project_id", project_id);
      const group = world.group(group_id);
      if (group === undefined) throw badRequest("Missing/invalid scope");
      mayCreate(world.access(user, group.path), ROLES.owner);
      return { groupId: group.id, projectIds: [] };
    }
    case "project_type": {
      if (absent(project_id)) throw invalid("project_id is missing");
      refuse("group_id", group_id);
      const project = world.project(project_id);
      if (project === undefined) throw badRequest("Missing/invalid scope");
      mayCreate(world.access(user, project.path), ROLES.maintainer);
      return { groupId: null, projectIds: [project.id] };
    }
  }
}

function checkUpdate(params: Params<typeof ATTRIBUTES> & { active?: boolean | null }): void {
  const names = ["description", "active", "paused", "tag_list", "run_untagged", "locked"];
  names.push("access_level", "maximum_timeout", "maintenance_note");
  if (Object.keys(params).length === 0) {
    throw invalid(`${names.join(", ")} are missing, at least one parameter must be provided`);
  }
  if (params.active !== undefined && params.paused !== undefined) {
    throw invalid("active, paused are mutually exclusive");
  }
}

/** True when the user may change the runner. */
function administers(world: World, user: User, runner: Runner): boolean {
  if (user.admin) return true;
  if (runner.groupId !== null) {
    const group = world.group(runner.groupId);
    return group !== undefined && world.access(user, group.path) >= ROLES.owner;
  }
  return runner.projectIds.some((id) => {
    const project = world.project(id);
    return project !== undefined && world.access(user, project.path) >= ROLES.maintainer;
  });
}

function mustAdminister(world: World, user: User, runner: Runner): void {
  if (!administers(world, user, runner)) throw forbidden("No access granted");
}

/** Instance runners may be seen by everyone who is signed in. */
function mustSee(world: World, user: User, runner: Runner): void {
  if (runner.runnerType !== "instance_type") mustAdminister(world, user, runner);
}

function isAvailable(world: World, runner: Runner, project: Project): boolean {
  if (runner.runnerType === "instance_type") return project.sharedRunnersEnabled;
  if (runner.runnerType === "project_type") return runner.projectIds.includes(project.id);
  const group = runner.groupId === null ? undefined : world.group(runner.groupId);
  return group !== undefined && world.inGroup(project.path, group);
}

function filter(world: World, runners: readonly Runner[], raw: Record<string, unknown>): Runner[] {
  const params = readParams(raw, FILTERS);
  const scope = params.scope ?? undefined;
  if (scope !== undefined && ![...FILTERS.status.values, "specific", "shared"].includes(scope)) {
    throw invalid("Scope contains invalid value");
  }
  const hasStatus = (runner: Runner, wanted: string | null | undefined) => {
    if (absent(wanted)) return true;
    if (wanted === "active") return !runner.paused;
    if (wanted === "paused") return runner.paused;
    if (wanted === "shared") return runner.runnerType === "instance_type";
    if (wanted === "specific") return runner.runnerType !== "instance_type";
    return world.runnerStatus(runner) === wanted;
  };
  return runners
    .filter((runner) => absent(params.type) || runner.runnerType === params.type)
    .filter((runner) => hasStatus(runner, params.status) && hasStatus(runner, scope))
    .filter((runner) => absent(params.paused) || runner.paused === params.paused)
    .filter((runner) => params.tag_list?.every((tag) => runner.tagList.includes(tag)) ?? true)
    .filter((runner) => {
      const prefix = params.version_prefix;
      return (
        absent(prefix) || runner.managers.some((manager) => manager.version?.startsWith(prefix))
      );
    })
    .sort((a, b) => b.id - a.id);
}
