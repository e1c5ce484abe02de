/** Artifacts: uploads of runners, downloads of runners and users. */

import { createHash } from "node:crypto";
import { createReadStream, createWriteStream, existsSync } from "node:fs";
import { readFile, rename, rm, stat } from "node:fs/promises";
import path from "node:path";
import { pipeline as pipe } from "node:stream/promises";
import { gunzipSync } from "node:zlib";

import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";

import { jobToken } from "../auth";
import { parseDuration } from "../ci/duration";
import { plain } from "../ci/variables";
import { type Project, ROLES } from "../config";
import { ApiError, badRequest, forbidden, notFound } from "../errors";
import type { Job, JobVariable } from "../model";
import { readParams } from "../params";
import { rawParams } from "../request-params";
import type { Context } from "../server";
import type { World } from "../world";
import { readZipEntry } from "../zip";
import { findJob } from "./jobs";
import { authenticateJob } from "./runner-wire";

const FILE_TYPES = ["archive", "junit", "dotenv"];
const FORMATS = ["zip", "gzip", "raw"];
const DEFAULT_EXPIRY_SECONDS = 30 * 86400;

type ById = { Params: { id: string } };
type ByJob = { Params: { id: string; job_id: string } };

export function artifactRoutes(app: FastifyInstance, context: Context): void {
  const { world, guard } = context;

  app.post<ById>("/api/v4/jobs/:id/artifacts", async (request, reply) => {
    const job = authenticateJob(context, Number(request.params.id), jobToken(request, "token"));
    await receive(world, job, request);
    return reply.code(201).type("application/json").send("201");
  });

  app.get<ById>("/api/v4/jobs/:id/artifacts", (request, reply) => {
    const mine = world.findJobByToken(jobToken(request, "token"));
    if (mine === undefined) throw new ApiError(401, { message: "401 Unauthorized" });
    const job = world.store.job(Number(request.params.id));
    if (job?.projectId !== mine.projectId) throw forbidden();
    return sendArchive(world, job, reply);
  });

  const readable = (request: FastifyRequest<ById>): Project => {
    const { user, job } = guard.userOrJob(request);
    const project = guard.project(user, request.params.id, ROLES.reporter);
    if (job !== undefined && job.projectId !== project.id) throw forbidden();
    return project;
  };

  app.get<ByJob>("/api/v4/projects/:id/jobs/:job_id/artifacts", (request, reply) =>
    sendArchive(world, findJob(world, readable(request), request.params.job_id), reply),
  );

  app.get<{ Params: { id: string; job_id: string; "*": string } }>(
    "/api/v4/projects/:id/jobs/:job_id/artifacts/*",
    async (request, reply) => {
      const job = findJob(world, readable(request), request.params.job_id);
      return sendEntry(world, job, request.params["*"], reply);
    },
  );

  app.get<{ Params: { id: string; ref: string } }>(
    "/api/v4/projects/:id/jobs/artifacts/:ref/download",
    (request, reply) => {
      const project = readable(request);
      return sendArchive(world, latestJob(world, project, request), reply);
    },
  );

  app.get<{ Params: { id: string; ref: string; "*": string } }>(
    "/api/v4/projects/:id/jobs/artifacts/:ref/raw/*",
    async (request, reply) => {
      const project = readable(request);
      return sendEntry(world, latestJob(world, project, request), request.params["*"], reply);
    },
  );
}

/** The newest successful job of a name on a ref. */
function latestJob(
  world: World,
  project: Project,
  request: FastifyRequest<{ Params: { id: string; ref: string } }>,
): Job {
  const { job: name } = readParams(rawParams(request), { job: { kind: "string", required: true } });
  const job = world.store.state.jobs.findLast(
    (one) =>
      one.projectId === project.id &&
      one.ref === request.params.ref &&
      one.name === name &&
      one.status === "success",
  );
  if (job === undefined) throw notFound("Job");
  return job;
}

async function receive(world: World, job: Job, request: FastifyRequest): Promise<void> {
  const raw = rawParams(request);
  const params = readParams(raw, {
    expire_in: { kind: "string" },
    artifact_type: { kind: "string", values: FILE_TYPES },
    artifact_format: { kind: "string", values: FORMATS },
  });
  const fileType = params.artifact_type ?? "archive";
  const upload = request.isMultipart() ? await request.file() : undefined;
  if (upload?.fieldname !== "file") throw new ApiError(400, { error: "file is missing" });
  const file = world.files.artifact(job.id, fileType);
  const part = `${file}.part`;
  await pipe(upload.file, createWriteStream(part, { mode: 0o600 }));
  if (upload.file.truncated) {
    await rm(part);
    throw new ApiError(413, { message: "413 Request Entity Too Large" });
  }
  if (existsSync(file)) {
    // A runner that lost the answer sends the same file again.
    const same = (await digest(file)) === (await digest(part));
    await rm(part);
    if (!same) throw badRequest("another artifact of the same type already exists");
    return;
  }
  if (fileType === "dotenv") job.dotenv = await readDotenv(part);
  await rename(part, file);
  job.artifactFiles.push({
    fileType,
    fileFormat: params.artifact_format ?? "zip",
    filename: path.basename(upload.filename),
    size: (await stat(file)).size,
  });
  job.artifactsExpireAt ??= expiry(params.expire_in ?? undefined);
  world.store.touch();
}

function expiry(text: string | undefined): string | null {
  if (text === "never") return null;
  const seconds = text === undefined || text === "" ? DEFAULT_EXPIRY_SECONDS : parseDuration(text);
  if (seconds === undefined) throw badRequest("expire_in is not a duration");
  return new Date(Date.now() + seconds * 1000).toISOString();
}

async function digest(file: string): Promise<string> {
  return createHash("sha256")
    .update(await readFile(file))
    .digest("hex");
}

async function readDotenv(file: string): Promise<JobVariable[]> {
  let text: string;
  try {
    text = gunzipSync(await readFile(file)).toString("utf8");
  } catch {
    throw badRequest("the dotenv report is not compressed with gzip");
  }
  return text
    .split("\n")
    .filter((line) => line.trim() !== "")
    .map((line) => {
      const match = /^([A-Za-z_]\w*)=(.*)$/.exec(line.trim());
      if (match === null) throw badRequest("Invalid Format");
      const [, key = "", value = ""] = match;
      return plain(key, value.replace(/^(["'])(.*)\1$/, "$2"));
    });
}

function archiveOf(world: World, job: Job): { file: string; filename: string; size: number } {
  const archive = job.artifactFiles.find((file) => file.fileType === "archive");
  if (archive === undefined) throw notFound();
  return { ...archive, file: world.files.artifact(job.id, "archive") };
}

function sendArchive(world: World, job: Job, reply: FastifyReply): FastifyReply {
  const archive = archiveOf(world, job);
  return reply
    .type("application/zip")
    .header("content-length", archive.size)
    .header("content-disposition", `attachment; filename="${encodeURIComponent(archive.filename)}"`)
    .send(createReadStream(archive.file));
}

async function sendEntry(world: World, job: Job, name: string, reply: FastifyReply) {
  const content = readZipEntry(await readFile(archiveOf(world, job).file), name);
  if (content === undefined) throw notFound();
  return reply.type("application/octet-stream").send(content);
}
