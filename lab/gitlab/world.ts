/** Everything that requests work on: configuration, state, tokens, repositories, job files. */

import { randomUUID } from "node:crypto";
import { EventEmitter } from "node:events";
import path from "node:path";

import {
  type GitLabConfig,
  type Group,
  type Project,
  ROLES,
  type Scope,
  type User,
} from "./config";
import { JobFiles } from "./job-files";
import type { Job, Runner, RunnerManager, RunnerStatus } from "./model";
import { Repositories } from "./repositories";
import { Store } from "./store";
import { hashToken, tokenFromFile } from "./tokens";

/** A personal access token, from the configuration. */
export interface AccessToken {
  readonly id: number;
  readonly name: string;
  readonly user: User;
  readonly scopes: readonly Scope[];
  readonly expiresAt: string | null;
  readonly revoked: boolean;
}

export class World {
  readonly store: Store;
  readonly repositories: Repositories;
  readonly files: JobFiles;
  readonly startedAt = new Date();
  /** Changes whenever a waiting runner should look again; the value of X-GitLab-Last-Update. */
  queueMark = randomUUID();
  private readonly wakeUps = new EventEmitter<{ wake: [] }>().setMaxListeners(0);
  private readonly accessTokens = new Map<string, AccessToken>();

  constructor(
    readonly config: GitLabConfig,
    stateDir: string,
  ) {
    this.store = new Store(stateDir);
    this.repositories = new Repositories(path.join(this.store.dir, "repositories"));
    this.files = new JobFiles(path.join(this.store.dir, "jobs"));
    this.loadTokens();
  }

  /** A job waits, or a runner has changed: whoever waits for a job has to look again. */
  wakeRunners(): void {
    this.queueMark = randomUUID();
    this.wakeUps.emit("wake");
  }

  /** Resolves at the next change of the queue, when `signal` aborts, or after `milliseconds`. */
  queueChanged(milliseconds: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer);
        this.wakeUps.off("wake", done);
        signal.removeEventListener("abort", done);
        resolve();
      };
      const timer = setTimeout(done, milliseconds);
      this.wakeUps.on("wake", done);
      signal.addEventListener("abort", done);
      if (signal.aborted) done();
    });
  }

  /** Makes the repositories of all projects. */
  async open(): Promise<void> {
    for (const project of this.config.projects) await this.repositories.sync(project);
  }

  private loadTokens(): void {
    for (const [index, token] of this.config.tokens.entries()) {
      const user = this.userNamed(token.user);
      this.accessTokens.set(hashToken(tokenFromFile(token.file, "glpat-")), {
        id: index + 1,
        name: token.name,
        user,
        scopes: token.scopes,
        expiresAt: token.expiresAt ?? null,
        revoked: token.revoked,
      });
    }
    this.loadTriggers();
  }

  /** Adds the configured trigger tokens, and drops those that are configured no more. */
  private loadTriggers(): void {
    const { state } = this.store;
    const known = state.triggers;
    const kept = known.filter((trigger) => !trigger.configured);
    for (const trigger of this.config.triggers) {
      const token = tokenFromFile(trigger.file, "glptt-");
      const tokenHash = hashToken(token);
      const old = known.find((other) => other.tokenHash === tokenHash);
      kept.push({
        id: old?.id ?? this.store.nextId("trigger"),
        projectId: this.projectAt(trigger.project)?.id ?? 0,
        description: trigger.description,
        ownerId: this.userNamed(trigger.owner).id,
        createdAt: old?.createdAt ?? now(),
        tokenHash,
        configured: true,
        shortToken: shortToken(token),
      });
    }
    state.triggers = kept;
    this.store.touch();
  }

  findAccessToken(secret: string): AccessToken | undefined {
    return this.accessTokens.get(hashToken(secret));
  }

  private userNamed(username: string): User {
    const user = this.config.users.find((candidate) => candidate.username === username);
    if (user === undefined) throw new Error(`no user ${username}`);
    return user;
  }

  user(id: number): User | undefined {
    return this.config.users.find((user) => user.id === id);
  }

  project(id: number): Project | undefined {
    return this.config.projects.find((project) => project.id === id);
  }

  projectAt(fullPath: string): Project | undefined {
    const wanted = fullPath.toLowerCase();
    return this.config.projects.find((project) => project.path.toLowerCase() === wanted);
  }

  group(id: number): Group | undefined {
    return this.config.groups.find((group) => group.id === id);
  }

  groupAt(fullPath: string): Group | undefined {
    const wanted = fullPath.toLowerCase();
    return this.config.groups.find((group) => group.path.toLowerCase() === wanted);
  }

  /** True for the group itself and for whatever lies below it. */
  inGroup(fullPath: string, group: Group): boolean {
    return fullPath === group.path || fullPath.startsWith(`${group.path}/`);
  }

  /** Numeric access level (0 to 50) of a user in the project or group at a path. */
  access(user: User, fullPath: string): number {
    if (user.admin) return ROLES.owner;
    const levels = this.config.members
      .filter((member) => member.user === user.username)
      .filter((member) => fullPath === member.path || fullPath.startsWith(`${member.path}/`))
      .map((member) => ROLES[member.role]);
    return Math.max(0, ...levels);
  }

  /** The runner that a token belongs to, unless the token has expired. */
  findRunner(token: string): Runner | undefined {
    if (token === "") return undefined;
    const hash = hashToken(token);
    const runner = this.store.state.runners.find((candidate) => candidate.tokenHash === hash);
    if (runner === undefined) return undefined;
    return runner.tokenExpiresAt !== null && runner.tokenExpiresAt <= now() ? undefined : runner;
  }

  runnerStatus(runner: Runner): RunnerStatus {
    return this.contactStatus(runner.contactedAt, runner.createdAt);
  }

  managerStatus(manager: RunnerManager): RunnerStatus {
    return this.contactStatus(manager.contactedAt, manager.createdAt);
  }

  private contactStatus(contactedAt: string | null, createdAt: string): RunnerStatus {
    const age = (since: string) => (Date.now() - Date.parse(since)) / 1000;
    if (age(contactedAt ?? createdAt) > this.config.staleSeconds) return "stale";
    if (contactedAt === null) return "never_contacted";
    return age(contactedAt) <= this.config.onlineSeconds ? "online" : "offline";
  }

  /** Jobs that run on a runner, or on one manager of it, right now. */
  runningJobs(runnerId: number, managerId?: number): Job[] {
    return this.store.state.jobs.filter(
      (job) =>
        job.runnerId === runnerId &&
        (managerId === undefined || job.managerId === managerId) &&
        (job.status === "running" || job.status === "canceling" || job.acknowledgeBy !== null),
    );
  }

  /** A job that still has this token: one that runs, or was just handed to a runner. */
  findJobByToken(token: string): Job | undefined {
    if (token === "") return undefined;
    const hash = hashToken(token);
    return this.store.state.jobs.find((job) => job.tokenHash === hash && isWithRunner(job));
  }

  isProtected(project: Project, ref: string, tag: boolean): boolean {
    return !tag && project.protectedBranches.includes(ref);
  }
}

/** True while a runner has the job. */
export function isWithRunner(job: Job): boolean {
  return job.status === "running" || job.status === "canceling" || job.acknowledgeBy !== null;
}

export function now(): string {
  return new Date().toISOString();
}

/** What GitLab shows of a trigger token. */
export function shortToken(token: string): string {
  return token.replace(/^glptt-/, "").slice(0, 4);
}
