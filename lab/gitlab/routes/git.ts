/** Git over HTTPS: `git http-backend` behind GitLab's authentication. Reading only. */

import { spawn } from "node:child_process";
import type { Readable } from "node:stream";

import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";

import { type Project, ROLES } from "../config";
import { gitEnvironment } from "../repositories";
import type { Context } from "../server";
import { now, type World } from "../world";

const PATH = /^\/(.+)\.git\/(info\/refs|git-upload-pack|git-receive-pack)$/;
/** Longest header of a CGI answer. */
const HEADER_LIMIT = 64 * 1024;

export function gitRoutes(app: FastifyInstance, context: Context): void {
  const handler = (request: FastifyRequest, reply: FastifyReply) => serve(context, request, reply);
  app.get("/*", handler);
  app.post("/*", handler);
}

async function serve(
  { world }: Context,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<unknown> {
  const url = new URL(request.url, "https://localhost");
  if (url.pathname === "/") return reply.redirect("/users/sign_in");
  const [, projectPath, service] = PATH.exec(decodeURI(url.pathname)) ?? [];
  if (projectPath === undefined || service === undefined) {
    reply.callNotFound();
    return reply;
  }
  const password = basicPassword(request);
  const project = world.projectAt(projectPath);
  const identity = password === undefined ? undefined : identify(world, password);
  if (password !== undefined && identity === undefined) return denied(reply);
  const open = project?.visibility === "public";
  if (identity === undefined && !open) return denied(reply);
  if (project === undefined || !(open || identity?.reads(project))) {
    return plainText(
      reply,
      404,
      "The project you were looking for could not be found or you don't have permission to view it.",
    );
  }
  if (service === "git-receive-pack" || url.searchParams.get("service") === "git-receive-pack") {
    return plainText(reply, 403, "You are not allowed to push code to this project.");
  }
  return runBackend(
    world.repositories.root,
    `/${project.path}.git/${service}`,
    url,
    request,
    reply,
  );
}

function plainText(reply: FastifyReply, status: number, text: string): FastifyReply {
  return reply.code(status).type("text/plain; charset=utf-8").send(`${text}\n`);
}

function denied(reply: FastifyReply): FastifyReply {
  void reply.header("www-authenticate", 'Basic realm="GitLab"');
  return plainText(
    reply,
    401,
    "HTTP Basic: Access denied. If a password was provided for Git authentication, the password " +
      "was incorrect or you're required to use a token instead of a password.",
  );
}

function basicPassword(request: FastifyRequest): string | undefined {
  const match = /^Basic\s+(\S+)$/i.exec(request.headers.authorization ?? "");
  if (match === null) return undefined;
  const text = Buffer.from(match[1] ?? "", "base64").toString("utf8");
  return text.slice(text.indexOf(":") + 1);
}

/** Whose token a password is, and which repositories it opens. */
function identify(
  world: World,
  secret: string,
): { reads: (project: Project) => boolean } | undefined {
  const job = world.findJobByToken(secret);
  if (job !== undefined) return { reads: (project) => project.id === job.projectId };
  const token = world.findAccessToken(secret);
  if (token === undefined || token.revoked) return undefined;
  if (token.expiresAt !== null && token.expiresAt <= now()) return undefined;
  const enough = ["api", "read_repository", "write_repository"];
  if (!token.scopes.some((scope) => enough.includes(scope))) return undefined;
  return {
    reads: (project) =>
      project.visibility !== "private" || world.access(token.user, project.path) >= ROLES.reporter,
  };
}

async function runBackend(
  root: string,
  path: string,
  url: URL,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const header = (name: string) => {
    const value = request.headers[name];
    return typeof value === "string" ? value : "";
  };
  const child = spawn("git", ["http-backend"], {
    stdio: ["pipe", "pipe", "ignore"],
    env: {
      ...gitEnvironment(),
      GIT_PROJECT_ROOT: root,
      GIT_HTTP_EXPORT_ALL: "1",
      GIT_CONFIG_COUNT: "2",
      GIT_CONFIG_KEY_0: "uploadpack.allowFilter",
      GIT_CONFIG_VALUE_0: "true",
      GIT_CONFIG_KEY_1: "uploadpack.allowReachableSHA1InWant",
      GIT_CONFIG_VALUE_1: "true",
      PATH_INFO: path,
      REQUEST_METHOD: request.method,
      QUERY_STRING: url.search.slice(1),
      REMOTE_ADDR: request.ip,
      CONTENT_TYPE: header("content-type"),
      HTTP_CONTENT_ENCODING: header("content-encoding"),
      ...(header("content-length") === "" ? {} : { CONTENT_LENGTH: header("content-length") }),
      GIT_PROTOCOL: header("git-protocol"),
    },
  });
  const failed = new Promise<never>((_resolve, reject) => child.once("error", reject));
  failed.catch(() => undefined);
  reply.raw.once("close", () => child.kill());
  // The backend may end before it has read everything.
  child.stdin.on("error", () => undefined);
  if (request.method === "POST") (request.body as Readable).pipe(child.stdin);
  else child.stdin.end();
  const { status, headers } = await Promise.race([readHeader(child.stdout), failed]);
  return reply.code(status).headers(headers).send(child.stdout);
}

/** Reads the header of a CGI answer and leaves the body in the stream. */
async function readHeader(
  stream: Readable,
): Promise<{ status: number; headers: Record<string, string> }> {
  let seen = Buffer.alloc(0);
  for (;;) {
    const chunk = stream.read() as Buffer | null;
    if (chunk === null) {
      if (stream.readableEnded) throw new Error("git http-backend ended without an answer");
      await new Promise((resolve) => {
        stream.once("readable", resolve);
        stream.once("end", resolve);
      });
      continue;
    }
    seen = Buffer.concat([seen, chunk]);
    const end = seen.indexOf("\r\n\r\n");
    if (end < 0) {
      if (seen.length > HEADER_LIMIT) throw new Error("git http-backend sent no header");
      continue;
    }
    const rest = seen.subarray(end + 4);
    if (rest.length > 0) stream.unshift(rest);
    const headers: Record<string, string> = {};
    for (const line of seen.toString("latin1", 0, end).split("\r\n")) {
      const colon = line.indexOf(":");
      headers[line.slice(0, colon).toLowerCase()] = line.slice(colon + 1).trim();
    }
    const { status, ...others } = headers;
    return { status: status === undefined ? 200 : Number.parseInt(status, 10), headers: others };
  }
}
