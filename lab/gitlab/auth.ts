/** Who sends a request, and what they may. */

import type { FastifyRequest } from "fastify";

import type { Group, Project, Scope, User } from "./config";
import {
  ApiError,
  forbidden,
  insufficientScope,
  invalidToken,
  notFound,
  unauthorized,
} from "./errors";
import type { Job } from "./model";
import { rawParams } from "./request-params";
import { type AccessToken, now, type World } from "./world";

export interface Caller {
  readonly user: User;
  /** Set when the request came with a job's token. */
  readonly job?: Job;
}

/** The personal token of a request, wherever clients put it. */
function personalToken(request: FastifyRequest): string | undefined {
  const header = request.headers["private-token"];
  if (typeof header === "string") return header;
  const bearer = /^Bearer\s+(\S+)$/i.exec(request.headers.authorization ?? "");
  if (bearer !== null) return bearer[1];
  const { private_token: field } = rawParams(request);
  return typeof field === "string" ? field : undefined;
}

/** The job's token of a request: header first, then the field `job_token`. */
export function jobToken(request: FastifyRequest, field = "job_token"): string {
  const header = request.headers["job-token"];
  if (typeof header === "string") return header;
  const { [field]: value } = rawParams(request);
  return typeof value === "string" ? value : "";
}

export class Guard {
  private readonly counters = new Map<number, { minute: number; requests: number }>();

  constructor(private readonly world: World) {}

  /**
   * The user behind a request, whose token must have one of the scopes of the endpoint.
   *
   * @param scopes what the endpoint takes besides `api` and, for reading, `read_api`.
   * @throws 401 without a valid token, 403 when the token's scopes do not reach.
   */
  user(request: FastifyRequest, ...scopes: Scope[]): User {
    const token = this.token(request);
    if (token === undefined) throw unauthorized();
    if (token.revoked) {
      throw invalidToken("Token was revoked. You have to re-authorize from the user.");
    }
    if (token.expiresAt !== null && token.expiresAt <= now()) {
      throw invalidToken("Token is expired. You can either do re-authorization or token refresh.");
    }
    this.count(token.user);
    const reading = request.method === "GET" || request.method === "HEAD";
    const enough: Scope[] = [...scopes, "api", ...(reading ? (["read_api"] as const) : [])];
    if (!token.scopes.some((scope) => enough.includes(scope))) {
      throw insufficientScope([...scopes, "api", "read_api"]);
    }
    return token.user;
  }

  /** The personal token that a request came with, if it is one of ours. */
  token(request: FastifyRequest): AccessToken | undefined {
    const secret = personalToken(request);
    return secret === undefined ? undefined : this.world.findAccessToken(secret);
  }

  /** As `user`, for endpoints that take the token of a running job too. */
  userOrJob(request: FastifyRequest): Caller {
    const secret = jobToken(request);
    if (secret !== "") {
      const job = this.world.findJobByToken(secret);
      const user = job === undefined ? undefined : this.world.user(job.userId);
      if (job === undefined || user === undefined) throw unauthorized();
      return { user, job };
    }
    return { user: this.user(request) };
  }

  /**
   * The project that `id` (number or path) names, seen by a user with at least `level`.
   *
   * @throws 404 when there is none or the user may not know of it, 403 below `level`.
   */
  project(user: User, id: string, level = 0): Project {
    const project = /^\d+$/.test(id) ? this.world.project(Number(id)) : this.world.projectAt(id);
    if (project === undefined) throw notFound("Project");
    const access = this.world.access(user, project.path);
    if (access === 0 && project.visibility === "private") throw notFound("Project");
    if (access < level) throw forbidden();
    return project;
  }

  /** As `project`, for a group. */
  group(user: User, id: string, level = 0): Group {
    const group = /^\d+$/.test(id) ? this.world.group(Number(id)) : this.world.groupAt(id);
    if (group === undefined) throw notFound("Group");
    const access = this.world.access(user, group.path);
    if (access === 0 && group.visibility === "private") throw notFound("Group");
    if (access < level) throw forbidden();
    return group;
  }

  /** Headers that tell how many requests the user has left in this minute. */
  rateHeaders(request: FastifyRequest): Record<string, string> {
    const user = this.token(request)?.user;
    const counter = user === undefined ? undefined : this.counters.get(user.id);
    if (counter === undefined) return {};
    const limit = this.world.config.requestsPerMinute;
    const reset = (counter.minute + 1) * 60;
    return {
      "ratelimit-limit": String(limit),
      "ratelimit-name": "throttle_authenticated_api",
      "ratelimit-observed": String(counter.requests),
      "ratelimit-remaining": String(Math.max(0, limit - counter.requests)),
      "ratelimit-reset": String(reset),
      "ratelimit-resettime": new Date(reset * 1000).toUTCString(),
    };
  }

  private count(user: User): void {
    const minute = Math.floor(Date.now() / 60_000);
    const known = this.counters.get(user.id);
    const counter = known?.minute === minute ? known : { minute, requests: 0 };
    counter.requests += 1;
    this.counters.set(user.id, counter);
    if (counter.requests <= this.world.config.requestsPerMinute) return;
    const wait = String((minute + 1) * 60 - Math.floor(Date.now() / 1000));
    throw new ApiError(429, "Retry later\n", {
      "retry-after": wait,
      "content-type": "text/plain",
    });
  }
}
