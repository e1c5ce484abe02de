/** Projects, groups, branches, and the trigger tokens of a project. */

import type { FastifyInstance } from "fastify";

import { type Project, ROLES } from "../config";
import { branchEntity, commitEntity, groupEntity, projectEntity, triggerEntity } from "../entities";
import { badRequest, forbidden, notFound } from "../errors";
import type { Trigger } from "../model";
import { paginate } from "../pagination";
import { readParams } from "../params";
import { rawParams } from "../request-params";
import type { Context } from "../server";
import { hashToken, newToken } from "../tokens";
import { now, shortToken, type World } from "../world";

type ById = { Params: { id: string } };
type ByName = { Params: { id: string; name: string } };

export function projectRoutes(app: FastifyInstance, { world, guard }: Context): void {
  const { store, repositories } = world;

  app.get("/api/v4/projects", (request, reply) => {
    const user = guard.user(request);
    const { search } = readParams(rawParams(request), { search: { kind: "string" } });
    const projects = world.config.projects
      .filter((project) => project.visibility !== "private" || world.access(user, project.path) > 0)
      .filter((project) => project.path.includes(search ?? ""));
    return paginate(request, reply, world.config.url, projects).map((project) =>
      projectEntity(world, project),
    );
  });

  app.get<ById>("/api/v4/projects/:id", (request) =>
    projectEntity(world, guard.project(guard.user(request), request.params.id)),
  );

  app.get<ById>("/api/v4/projects/:id/push_rule", (request) => {
    guard.project(guard.user(request), request.params.id);
    throw notFound();
  });

  app.get("/api/v4/groups", (request, reply) => {
    const user = guard.user(request);
    const { search } = readParams(rawParams(request), { search: { kind: "string" } });
    const groups = world.config.groups
      .filter((group) => group.visibility !== "private" || world.access(user, group.path) > 0)
      .filter((group) => group.path.includes(search ?? ""));
    return paginate(request, reply, world.config.url, groups).map((group) =>
      groupEntity(world, group),
    );
  });

  app.get<ById>("/api/v4/groups/:id", (request) => {
    const group = guard.group(guard.user(request), request.params.id);
    const { with_projects } = readParams(rawParams(request), {
      with_projects: { kind: "boolean" },
    });
    const projects = world.config.projects.filter((project) => project.group.id === group.id);
    return {
      ...groupEntity(world, group),
      ...(with_projects === false
        ? {}
        : { projects: projects.map((project) => projectEntity(world, project)) }),
    };
  });

  app.get<ById>("/api/v4/groups/:id/projects", (request, reply) => {
    const group = guard.group(guard.user(request), request.params.id);
    const projects = world.config.projects.filter((project) => project.group.id === group.id);
    return paginate(request, reply, world.config.url, projects).map((project) =>
      projectEntity(world, project),
    );
  });

  app.get<ById>("/api/v4/projects/:id/repository/branches", async (request, reply) => {
    const project = guard.project(guard.user(request), request.params.id, ROLES.reporter);
    const branches = await repositories.branches(project);
    const page = paginate(request, reply, world.config.url, branches);
    return Promise.all(page.map((branch) => describeBranch(world, project, branch)));
  });

  app.get<ByName>("/api/v4/projects/:id/repository/branches/:name", async (request) => {
    const project = guard.project(guard.user(request), request.params.id, ROLES.reporter);
    return describeBranch(world, project, await findBranch(world, project, request.params.name));
  });

  app.post<ById>("/api/v4/projects/:id/repository/branches", async (request, reply) => {
    const project = guard.project(guard.user(request), request.params.id, ROLES.developer);
    const { branch, ref } = readParams(rawParams(request), {
      branch: { kind: "string", required: true },
      ref: { kind: "string", required: true },
    });
    const sha = await repositories.resolve(project, ref);
    if (sha === undefined) throw badRequest(`Invalid reference name: ${ref}`);
    if ((await repositories.findRef(project, `refs/heads/${branch}`)) !== undefined) {
      throw badRequest("Branch already exists");
    }
    if (!(await repositories.createBranch(project, branch, sha))) {
      throw badRequest("Branch name is invalid");
    }
    return reply.code(201).send(await describeBranch(world, project, { name: branch, sha }));
  });

  app.delete<ByName>("/api/v4/projects/:id/repository/branches/:name", async (request, reply) => {
    const project = guard.project(guard.user(request), request.params.id, ROLES.developer);
    const branch = await findBranch(world, project, request.params.name);
    if (world.isProtected(project, branch.name, false)) {
      throw forbidden("The protected branch cannot be removed");
    }
    await repositories.deleteBranch(project, branch.name);
    return reply.code(204).send();
  });

  app.get<{ Params: { id: string; sha: string } }>(
    "/api/v4/projects/:id/repository/commits/:sha",
    async (request) => {
      const project = guard.project(guard.user(request), request.params.id, ROLES.reporter);
      const commit = await repositories.commit(project, request.params.sha);
      if (commit === undefined) throw notFound("Commit");
      return commitEntity(world, project, commit);
    },
  );

  app.get<ById>("/api/v4/projects/:id/triggers", (request, reply) => {
    const project = guard.project(guard.user(request), request.params.id, ROLES.maintainer);
    const triggers = store.state.triggers.filter((trigger) => trigger.projectId === project.id);
    return paginate(request, reply, world.config.url, triggers).map((trigger) =>
      triggerEntity(world, trigger),
    );
  });

  app.post<ById>("/api/v4/projects/:id/triggers", (request, reply) => {
    const user = guard.user(request);
    const project = guard.project(user, request.params.id, ROLES.maintainer);
    const { description } = readParams(rawParams(request), {
      description: { kind: "string", required: true },
    });
    const token = newToken("glptt-");
    const trigger: Trigger = {
      id: store.nextId("trigger"),
      projectId: project.id,
      description,
      ownerId: user.id,
      createdAt: now(),
      tokenHash: hashToken(token),
      configured: false,
      shortToken: shortToken(token),
    };
    store.state.triggers.push(trigger);
    store.touch();
    return reply.code(201).send(triggerEntity(world, trigger, token));
  });

  app.delete<{ Params: { id: string; trigger_id: string } }>(
    "/api/v4/projects/:id/triggers/:trigger_id",
    (request, reply) => {
      const project = guard.project(guard.user(request), request.params.id, ROLES.maintainer);
      const id = Number(request.params.trigger_id);
      const trigger = store.state.triggers.find(
        (known) => known.id === id && known.projectId === project.id,
      );
      if (trigger === undefined) throw notFound("Trigger");
      store.state.triggers = store.state.triggers.filter((known) => known !== trigger);
      store.touch();
      return reply.code(204).send();
    },
  );
}

interface Branch {
  readonly name: string;
  readonly sha: string;
}

async function findBranch(world: World, project: Project, name: string): Promise<Branch> {
  const ref = await world.repositories.findRef(project, `refs/heads/${name}`);
  if (ref === undefined) throw notFound("Branch");
  return { name, sha: ref.sha };
}

async function describeBranch(world: World, project: Project, branch: Branch) {
  const commit = await world.repositories.commit(project, branch.sha);
  if (commit === undefined) throw notFound("Commit");
  return branchEntity(world, project, branch, commit);
}
