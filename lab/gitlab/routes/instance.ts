/** The instance itself: users, version, health, and what a token says about itself. */

import type { FastifyInstance } from "fastify";

import { SCOPES } from "../config";
import { currentUserEntity, userEntity } from "../entities";
import { notFound, unauthorized } from "../errors";
import { paginate } from "../pagination";
import { readParams } from "../params";
import { rawParams } from "../request-params";
import type { Context } from "../server";

const REVISION = "0123456789a";

export function instanceRoutes(app: FastifyInstance, { world, guard }: Context): void {
  app.get("/api/v4/user", (request) => currentUserEntity(world, guard.user(request, "read_user")));

  app.get("/api/v4/users", (request, reply) => {
    guard.user(request, "read_user");
    const { username } = readParams(rawParams(request), { username: { kind: "string" } });
    const users = world.config.users.filter(
      (user) => username === undefined || user.username === username,
    );
    return paginate(request, reply, world.config.url, users).map((user) => userEntity(world, user));
  });

  app.get("/api/v4/users/:id", (request) => {
    guard.user(request, "read_user");
    const { id } = readParams(rawParams(request), { id: { kind: "integer", required: true } });
    const user = world.user(id);
    if (user === undefined) throw notFound("User");
    return userEntity(world, user);
  });

  // Any token may look at itself, whatever its scopes.
  app.get("/api/v4/personal_access_tokens/self", (request) => {
    const user = guard.user(request, ...SCOPES);
    const token = guard.token(request);
    if (token === undefined) throw unauthorized();
    return {
      id: token.id,
      name: token.name,
      revoked: token.revoked,
      created_at: world.startedAt.toISOString(),
      scopes: token.scopes,
      user_id: user.id,
      last_used_at: null,
      active: true,
      expires_at: token.expiresAt?.slice(0, 10) ?? null,
    };
  });

  app.get("/api/v4/version", (request) => {
    guard.user(request, "read_user");
    return { version: world.config.version, revision: REVISION };
  });

  app.get("/api/v4/metadata", (request) => {
    guard.user(request, "read_user");
    return {
      version: world.config.version,
      revision: REVISION,
      kas: { enabled: false, externalUrl: null, externalK8sProxyUrl: null, version: null },
      enterprise: world.config.version.endsWith("-ee"),
    };
  });

  app.get("/-/health", (_request, reply) => reply.type("text/plain").send("GitLab OK"));
  app.get("/-/liveness", () => ({ status: "ok" }));
  app.get("/-/readiness", () => ({ status: "ok", master_check: [{ status: "ok" }] }));
}
