/** The API over HTTPS: requests in, answers as Proxmox VE's proxy gives them out. */

import { randomBytes } from "node:crypto";
import { createWriteStream, mkdirSync, readFileSync } from "node:fs";
import { createServer, type Server } from "node:https";
import path from "node:path";
import { pipeline } from "node:stream/promises";
import { setTimeout as sleep } from "node:timers/promises";

import multipart from "@fastify/multipart";
import fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from "fastify";

import { requirePermission } from "./access/permission";
import { ApiError, fault, messageOf } from "./errors";
import type { Call, Method } from "./method";
import { Router } from "./router";
import { METHODS } from "./routes/all";
import { checkParams, type Raw } from "./schema/check";
import type { World } from "./world";

const PREFIX = "/api2/json";
const BODY_LIMIT = 4 * 1024 * 1024;
const UPLOAD_LIMIT = 64 * 1024 ** 3;

/** No route has a JSON schema, so nothing is ever compiled. */
const noCompiler = () => () => () => true;

/** Fields that come several times, such as `command`, are lists. */
function parseForm(text: string): Record<string, unknown> {
  const fields: Record<string, unknown> = {};
  for (const [name, value] of new URLSearchParams(text)) {
    const old = fields[name];
    fields[name] = old === undefined ? value : [...(Array.isArray(old) ? old : [old]), value];
  }
  return fields;
}

function addParsers(app: FastifyInstance): void {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser(
    /^application\/json(;|$)/,
    { parseAs: "string" },
    (_request, body: string, done) => {
      try {
        done(null, body.trim() === "" ? {} : (JSON.parse(body) as unknown));
      } catch {
        done(new ApiError(400, "malformed JSON string"), undefined);
      }
    },
  );
  app.addContentTypeParser(
    "application/x-www-form-urlencoded",
    { parseAs: "string" },
    (_request, body: string, done) => done(null, parseForm(body)),
  );
  void app.register(multipart, { limits: { fileSize: UPLOAD_LIMIT, files: 1 } });
}

/** Makes the application, which listens nowhere yet. */
export function createApp(world: World): FastifyInstance {
  const router = new Router(METHODS);
  const app: FastifyInstance = fastify({
    bodyLimit: BODY_LIMIT,
    forceCloseConnections: true,
    routerOptions: { querystringParser: parseForm, maxParamLength: 1024 },
    schemaController: {
      compilersFactory: {
        buildValidator: noCompiler as never,
        buildSerializer: () => () => JSON.stringify,
      },
    },
  });
  addParsers(app);
  app.addHook("onResponse", (request, reply, done) => {
    const { pathname } = new URL(request.url, "https://node");
    world.log(
      `${request.method} ${pathname} ${reply.statusCode} ${Math.round(reply.elapsedTime)}ms`,
    );
    done();
  });
  app.setErrorHandler((error, request, reply) => sendError(world, error, request, reply));
  app.setNotFoundHandler((request, reply) =>
    sendError(world, notImplemented(request.method, request.url), request, reply),
  );
  app.route({
    method: ["GET", "POST", "PUT", "DELETE"],
    url: `${PREFIX}/*`,
    handler: (request, reply) => answer(world, router, request, reply),
  });
  return app;
}

/** One HTTPS server on each node's address, all before the same application. */
export async function listen(app: FastifyInstance, world: World): Promise<Server[]> {
  await app.ready();
  const { tls, nodes, port } = world.config;
  const options = {
    cert: readFileSync(tls.cert),
    key: readFileSync(tls.key),
    minVersion: "TLSv1.2",
  } as const;
  const servers: Server[] = [];
  for (const { address } of nodes) {
    const server = createServer(options, (request, response) => app.routing(request, response));
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(port, address, resolve);
    });
    servers.push(server);
  }
  return servers;
}

function notImplemented(verb: string, url: string): ApiError {
  const { pathname } = new URL(url, "https://node");
  return new ApiError(501, `Method '${verb} ${pathname.replace(PREFIX, "")}' not implemented`);
}

async function answer(
  world: World,
  router: Router,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<unknown> {
  const [sent = ""] = request.url.split("?");
  const found = router.find(request.method, sent.slice(PREFIX.length));
  const open = found !== undefined && isOpen(found.method);
  const caller = open
    ? { id: "", user: "", separate: false }
    : world.access.authenticate(request.headers.authorization);
  if (found === undefined) throw notImplemented(request.method, request.url);
  const { method, params: inPath } = found;
  const { fields, upload } = await readRequest(world, request);
  const raw: Raw = { ...fields, ...inPath };
  if (!open) requirePermission(world.access, caller, method.permission, raw);
  if (inPath.node !== undefined && !world.config.nodes.some(({ name }) => name === inPath.node)) {
    throw unknownNode(inPath.node);
  }
  const args = checkParams(method.params, raw);
  const call: Call = { world, caller, upload };
  const data = (await method.run(args as never, call)) ?? null;
  return reply.type("application/json;charset=UTF-8").send(JSON.stringify({ data }));
}

const isOpen = ({ permission }: Method) => "user" in permission && permission.user === "world";

/** A request for another node is passed on to it, by its name. */
function unknownNode(name: string): ApiError {
  return fault(
    `hostname lookup '${name}' failed - failed to get address info for: ${name}: ` +
      "Name or service not known",
  );
}

async function readRequest(
  world: World,
  request: FastifyRequest,
): Promise<{ fields: Record<string, unknown>; upload: Call["upload"] }> {
  const fields = { ...(request.query as Record<string, unknown>) };
  if (!request.isMultipart()) {
    return { fields: { ...fields, ...(request.body as object | undefined) }, upload: undefined };
  }
  let upload: Call["upload"];
  for await (const part of request.parts()) {
    if (part.type === "field") {
      fields[part.fieldname] = part.value;
      continue;
    }
    const folder = path.join(world.dir, "uploads");
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const file = path.join(folder, randomBytes(8).toString("hex"));
    await pipeline(part.file, createWriteStream(file, { mode: 0o644 }));
    upload = { file, name: part.filename };
    fields[part.fieldname] = part.filename;
  }
  return { fields, upload };
}

async function sendError(
  world: World,
  error: unknown,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<unknown> {
  const { status, message, errors } = described(error);
  if (!(error instanceof ApiError) && status === 500) {
    world.log(`${request.method} ${request.url}: ${(error as Error).stack ?? message}`);
  }
  if (status === 401) await sleep(world.config.authenticationDelay * 1000);
  // The words stand in the reason phrase: that is where clients look for them.
  reply.raw.statusMessage = message.replace(/[^\x20-\x7e]+/g, " ").trim();
  return reply
    .code(status)
    .type("application/json;charset=UTF-8")
    .send(
      JSON.stringify({
        data: null,
        message: `${message}\n`,
        ...(errors === undefined ? {} : { errors }),
      }),
    );
}

function described(error: unknown): {
  status: number;
  message: string;
  errors?: Readonly<Record<string, string>>;
} {
  if (error instanceof ApiError) return error;
  const { statusCode } = error as { statusCode?: number };
  return {
    status: statusCode !== undefined && statusCode < 500 ? statusCode : 500,
    message: messageOf(error),
  };
}
