/** The configuration file of this GitLab, `--config FILE`, read and checked. */

import { readFileSync } from "node:fs";
import path from "node:path";

import { z } from "zod";

const fullPath = z
  .string()
  .regex(/^[\w.-]+(\/[\w.-]+)*$/, "must be a path such as platform/runner-health");

const user = z.strictObject({
  id: z.int().positive(),
  username: z.string().regex(/^[\w.-]+$/),
  name: z.string().optional(),
  admin: z.boolean().default(false),
});

export const SCOPES = [
  "api",
  "read_api",
  "read_user",
  "create_runner",
  "manage_runner",
  "read_repository",
  "write_repository",
] as const;
export type Scope = (typeof SCOPES)[number];

const accessToken = z.strictObject({
  /** File with the secret, 0600; made with a new token when absent. */
  file: z.string(),
  name: z.string().default("lab"),
  user: z.string().default("root"),
  scopes: z.array(z.enum(SCOPES)).min(1),
  /** ISO time after which the token is refused. */
  expiresAt: z.iso.datetime().optional(),
  revoked: z.boolean().default(false),
});

/** Access levels by role. */
export const ROLES = { guest: 10, reporter: 20, developer: 30, maintainer: 40, owner: 50 } as const;

const variable = z.strictObject({
  key: z.string().regex(/^\w+$/),
  value: z.string(),
  /** Path of the group or project that has it; absent: the instance. */
  path: fullPath.optional(),
  protected: z.boolean().default(false),
  masked: z.boolean().default(false),
  raw: z.boolean().default(false),
  type: z.enum(["env_var", "file"]).default("env_var"),
});

const project = z.strictObject({
  id: z.int().positive(),
  path: fullPath,
  /** Folder whose content is the project's default branch. */
  dir: z.string(),
  name: z.string().optional(),
  description: z.string().default(""),
  visibility: z.enum(["private", "internal", "public"]).default("private"),
  defaultBranch: z.string().default("main"),
  /** Default: the default branch. */
  protectedBranches: z.array(z.string()).optional(),
  /** Seconds that a job may take unless it says so itself. Default one hour. */
  buildTimeout: z.int().positive().default(3600),
  /** Instance runners may take its jobs. */
  sharedRunnersEnabled: z.boolean().default(true),
});

const schema = z.strictObject({
  listen: z.string().default("127.0.0.1"),
  port: z.int().min(0).max(65535).default(443),
  tls: z.strictObject({ cert: z.string(), key: z.string() }),
  /** How clients name this GitLab: no trailing slash. */
  url: z.string().regex(/^https?:\/\/[^/]+(\/[^/]+)*$/, "must be a URL without a trailing slash"),
  version: z
    .string()
    .regex(/^\d+\.\d+\.\d+(-\w+)?$/)
    .default("19.3.0-ee"),
  users: z.array(user).default([{ id: 1, username: "root", name: "Administrator", admin: true }]),
  tokens: z.array(accessToken).default([]),
  members: z
    .array(
      z.strictObject({
        user: z.string(),
        path: fullPath,
        role: z.enum(Object.keys(ROLES) as [keyof typeof ROLES]),
      }),
    )
    .default([]),
  groups: z
    .array(
      z.strictObject({
        id: z.int().positive(),
        path: fullPath,
        name: z.string().optional(),
        visibility: z.enum(["private", "internal", "public"]).default("private"),
      }),
    )
    .default([]),
  projects: z.array(project).default([]),
  /** Pipeline trigger tokens; `project` is a path, `file` as for access tokens. */
  triggers: z
    .array(
      z.strictObject({
        project: fullPath,
        file: z.string(),
        description: z.string().default("lab"),
        owner: z.string().default("root"),
      }),
    )
    .default([]),
  variables: z.array(variable).default([]),
  /** Seconds that jobs/request waits for a job. 0: it answers at once. */
  longPollSeconds: z.number().min(0).default(50),
  /** Seconds that a runner counts as online after a contact. */
  onlineSeconds: z
    .number()
    .positive()
    .default(2 * 3600),
  /** Seconds without contact after which a runner is stale. */
  staleSeconds: z
    .number()
    .positive()
    .default(7 * 24 * 3600),
  /** Seconds without a sign of life after which a running job is failed. */
  stuckSeconds: z.number().positive().default(3600),
  /** Seconds that a pending job may have no runner that could take it. */
  stuckPendingSeconds: z.number().positive().default(3600),
  /** Seconds that a runner has to acknowledge a job which it was handed. */
  acknowledgeSeconds: z.number().positive().default(120),
  /** Lifetime of new runner tokens in seconds; absent: they do not expire. */
  runnerTokenSeconds: z.number().positive().optional(),
  /** Log updates while nobody reads the log, in seconds; 3 while somebody does. */
  traceSeconds: z.number().min(1).default(60),
  maxTraceBytes: z
    .int()
    .positive()
    .default(100 * 1024 * 1024),
  maxArtifactBytes: z
    .int()
    .positive()
    .default(100 * 1024 * 1024),
  /** Authenticated API requests that a user may send in a minute. */
  requestsPerMinute: z.int().positive().default(2000),
});

type Input = z.output<typeof schema>;

export interface User {
  readonly id: number;
  readonly username: string;
  readonly name: string;
  readonly admin: boolean;
}

export interface Group {
  readonly id: number;
  readonly path: string;
  readonly name: string;
  readonly visibility: string;
}

export interface Project {
  readonly id: number;
  readonly path: string;
  readonly name: string;
  readonly description: string;
  readonly dir: string;
  readonly visibility: string;
  readonly defaultBranch: string;
  readonly protectedBranches: readonly string[];
  readonly buildTimeout: number;
  readonly sharedRunnersEnabled: boolean;
  readonly group: Group;
}

export interface GitLabConfig extends Omit<Input, "users" | "groups" | "projects"> {
  readonly users: readonly User[];
  readonly groups: readonly Group[];
  readonly projects: readonly Project[];
}

/**
 * Checks a configuration and completes it: groups that only appear in a project's path are made.
 *
 * @throws with every error, one a line.
 */
export function parseConfig(input: unknown): GitLabConfig {
  const result = schema.safeParse(input);
  if (!result.success) {
    throw new Error(
      result.error.issues
        .map((issue) => `${issue.path.join(".") || "the file"}: ${issue.message}`)
        .join("\n"),
    );
  }
  const read = result.data;
  const groups: Group[] = read.groups.map((group) => ({
    ...group,
    name: group.name ?? baseName(group.path),
  }));
  const groupAt = (groupPath: string): Group => {
    const known = groups.find((group) => group.path === groupPath);
    if (known !== undefined) return known;
    const id = Math.max(0, ...groups.map((group) => group.id)) + 1;
    const made = { id, path: groupPath, name: baseName(groupPath), visibility: "private" };
    groups.push(made);
    return made;
  };
  const projects = read.projects.map((project) => {
    const parent = path.posix.dirname(project.path);
    if (parent === ".") throw new Error(`projects: ${project.path} needs a group in its path`);
    return {
      ...project,
      dir: path.resolve(project.dir),
      name: project.name ?? baseName(project.path),
      protectedBranches: project.protectedBranches ?? [project.defaultBranch],
      group: groupAt(parent),
    };
  });
  const users = read.users.map((user) => ({ ...user, name: user.name ?? user.username }));
  checkReferences(read, users, projects);
  return { ...read, users, groups, projects };
}

export function readConfig(file: string): GitLabConfig {
  let input: unknown;
  try {
    input = JSON.parse(readFileSync(file, "utf8"));
  } catch (error) {
    throw new Error(`${file}: ${(error as Error).message}`, { cause: error });
  }
  try {
    return parseConfig(input);
  } catch (error) {
    throw new Error(`${file}:\n${(error as Error).message}`, { cause: error });
  }
}

function checkReferences(read: Input, users: readonly User[], projects: readonly Project[]): void {
  const errors: string[] = [];
  const unique = (what: string, values: readonly (string | number)[]) => {
    const twice = values.filter((value, index) => values.indexOf(value) !== index);
    for (const value of new Set(twice)) errors.push(`${what}: ${value} stands there twice`);
  };
  unique(
    "users.id",
    users.map((user) => user.id),
  );
  unique(
    "users.username",
    users.map((user) => user.username),
  );
  unique(
    "projects.id",
    projects.map((project) => project.id),
  );
  unique(
    "projects.path",
    projects.map((project) => project.path),
  );
  unique(
    "groups.id",
    read.groups.map((group) => group.id),
  );
  unique(
    "groups.path",
    read.groups.map((group) => group.path),
  );
  const named: [string, string][] = [
    ...read.tokens.map((token): [string, string] => ["tokens.user", token.user]),
    ...read.members.map((member): [string, string] => ["members.user", member.user]),
    ...read.triggers.map((trigger): [string, string] => ["triggers.owner", trigger.owner]),
  ];
  for (const [where, name] of named) {
    if (!users.some((user) => user.username === name)) errors.push(`${where}: no user ${name}`);
  }
  for (const trigger of read.triggers) {
    if (!projects.some((project) => project.path === trigger.project)) {
      errors.push(`triggers.project: no project ${trigger.project}`);
    }
  }
  if (errors.length > 0) throw new Error(errors.join("\n"));
}

function baseName(fullPath: string): string {
  return path.posix.basename(fullPath);
}
