/** The HTTPS server: parsers, hooks, errors and routes. */

import { readFileSync } from "node:fs";

import multipart from "@fastify/multipart";
import fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from "fastify";

import { Guard } from "./auth";
import { Engine } from "./ci/engine";
import { ApiError } from "./errors";
import { parseForm } from "./params";
import { artifactRoutes } from "./routes/artifacts";
import { gitRoutes } from "./routes/git";
import { instanceRoutes } from "./routes/instance";
import { jobRoutes } from "./routes/jobs";
import { pipelineRoutes } from "./routes/pipelines";
import { projectRoutes } from "./routes/projects";
import { runnerWireRoutes } from "./routes/runner-wire";
import { runnerRoutes } from "./routes/runners";
import type { World } from "./world";

/** What routes work with. */
export interface Context {
  readonly world: World;
  readonly engine: Engine;
  readonly guard: Guard;
  /** Aborts when the server closes: long polls end then. */
  readonly closing: AbortSignal;
}

export type Log = (line: string) => void;

/** A trace update is 1 MiB at most; everything else in a body is smaller. */
const BODY_LIMIT = 4 * 1024 * 1024;

/** No route has a JSON schema, so nothing is ever compiled. */
const noCompiler = () => () => () => true;

/** Makes the server, not listening yet. */
export function createServer(world: World, log: Log): { app: FastifyInstance; engine: Engine } {
  const closing = new AbortController();
  const context: Context = {
    world,
    engine: new Engine(world),
    guard: new Guard(world),
    closing: closing.signal,
  };
  const app: FastifyInstance = fastify({
    https: {
      cert: readFileSync(world.config.tls.cert),
      key: readFileSync(world.config.tls.key),
      minVersion: "TLSv1.2",
    },
    bodyLimit: BODY_LIMIT,
    forceCloseConnections: true,
    routerOptions: { querystringParser: parseForm, maxParamLength: 1024 },
    requestIdHeader: "x-request-id",
    // Parameters are checked by readParams; Fastify's own compilers would cost 15 MB of memory.
    schemaController: {
      compilersFactory: {
        buildValidator: noCompiler as never,
        buildSerializer: () => () => JSON.stringify,
      },
    },
  }) as unknown as FastifyInstance;
  app.addHook("preClose", () => {
    closing.abort();
    return Promise.resolve();
  });
  addParsers(app, world);
  addHooks(app, context, log);
  for (const routes of [
    instanceRoutes,
    runnerWireRoutes,
    runnerRoutes,
    projectRoutes,
    pipelineRoutes,
    artifactRoutes,
    jobRoutes,
    gitRoutes,
  ]) {
    routes(app, context);
  }
  return { app, engine: context.engine };
}

function addParsers(app: FastifyInstance, world: World): void {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser(
    /^application\/([\w.-]+\+)?json(;|$)/,
    { parseAs: "string" },
    (_request, body: string, done) => {
      try {
        done(null, body.trim() === "" ? {} : (JSON.parse(body) as unknown));
      } catch {
        done(new ApiError(400, { error: "The request body is not valid JSON." }), undefined);
      }
    },
  );
  app.addContentTypeParser(
    "application/x-www-form-urlencoded",
    { parseAs: "string" },
    (_request, body: string, done) => done(null, parseForm(body)),
  );
  // Git bodies are streamed to git itself.
  app.addContentTypeParser(/^application\/x-git-/, (_request, body, done) => done(null, body));
  void app.register(multipart, { limits: { fileSize: world.config.maxArtifactBytes, files: 2 } });
  app.addContentTypeParser("*", { parseAs: "buffer" }, (_request, body, done) => done(null, body));
}

function addHooks(app: FastifyInstance, context: Context, log: Log): void {
  app.addHook("onSend", async (request, reply, payload) => {
    void reply.header("x-request-id", request.id);
    // Without a charset, as GitLab: older clients compare the whole value.
    const type = reply.getHeader("content-type");
    if (typeof type === "string" && type.startsWith("application/json")) {
      void reply.header("content-type", "application/json");
    }
    if (request.url.startsWith("/api/")) {
      void reply.headers(context.guard.rateHeaders(request));
      void reply.header("cache-control", "max-age=0, private, must-revalidate");
    }
    // What a client was told survives whatever happens next.
    await context.world.store.settled();
    return payload;
  });
  app.addHook("onResponse", (request, reply, done) => {
    const path = request.url.replace(/\?.*$/s, "");
    const time = Math.round(reply.elapsedTime);
    log(`${request.method} ${path} ${reply.statusCode} ${time}ms`);
    done();
  });
  app.setErrorHandler((error, request, reply) => sendError(error, request, reply, log));
  app.setNotFoundHandler((_request, reply) =>
    reply
      .code(404)
      .type("application/json")
      .send(JSON.stringify({ error: "404 Not Found" })),
  );
}

function sendError(
  error: unknown,
  request: FastifyRequest,
  reply: FastifyReply,
  log: Log,
): unknown {
  if (error instanceof ApiError) {
    const type = error.headers["content-type"] ?? "application/json";
    const body = typeof error.body === "string" ? error.body : JSON.stringify(error.body);
    return reply.code(error.status).headers(error.headers).type(type).send(body);
  }
  const { statusCode, message, stack } = error as Error & { statusCode?: number };
  reply.type("application/json");
  if (statusCode !== undefined && statusCode < 500) {
    return reply.code(statusCode).send(JSON.stringify({ error: message }));
  }
  log(`${request.method} ${request.url.replace(/\?.*$/s, "")}: ${stack ?? message}`);
  return reply.code(500).send(JSON.stringify({ message: "500 Internal Server Error" }));
}
