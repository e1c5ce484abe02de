/** Reading the structured values of a CI file: image, services, artifacts, cache, rules, needs. */

import { isObject } from "../params";
import { type Hash, notModelled } from "./document";
import { parseExpression } from "./expression";
import type { CiArtifacts, CiCache, CiImage, CiNeed, CiRetry, CiRule, CiService } from "./model";
import type { Reader } from "./reader";

const RULE_WHEN = ["on_success", "on_failure", "always", "never", "manual"] as const;
const REPORTS = ["junit", "dotenv"];
const RETRY_WHEN = [
  "always",
  "unknown_failure",
  "script_failure",
  "api_failure",
  "stuck_or_timeout_failure",
  "runner_system_failure",
  "runner_unsupported",
  "stale_schedule",
  "job_execution_timeout",
  "archived_failure",
  "unmet_prerequisites",
  "scheduler_failure",
  "data_integrity_failure",
];

export function readImage(reader: Reader, where: string, value: unknown): CiImage | null {
  if (value === undefined || value === null) return null;
  if (typeof value === "string") return plainImage(value);
  const hash = reader.hash(where, value);
  if (hash === undefined) return null;
  reader.keys(where, hash, ["name", "entrypoint", "pull_policy", "docker", "ports"]);
  return imageOf(reader, where, hash);
}

function plainImage(name: string): CiImage {
  return { name, entrypoint: null, pullPolicy: [], docker: null };
}

function imageOf(reader: Reader, where: string, hash: Hash): CiImage {
  const name = reader.string(`${where}:name`, hash.name);
  if (name === undefined) reader.fail(where, "config should have a name");
  const docker = reader.hash(`${where}:docker`, hash.docker);
  if (docker !== undefined) reader.keys(`${where}:docker`, docker, ["platform", "user"]);
  if (hash.ports !== undefined) reader.problems.push(notModelled(`${where}:ports`));
  const policies = reader.stringOrStrings(`${where}:pull_policy`, hash.pull_policy) ?? [];
  for (const policy of policies) {
    reader.oneOf(`${where}:pull_policy`, policy, ["always", "if-not-present", "never"]);
  }
  return {
    name: name ?? "",
    entrypoint: reader.stringOrStrings(`${where}:entrypoint`, hash.entrypoint) ?? null,
    pullPolicy: policies,
    docker: docker === undefined ? null : (docker as { platform?: string; user?: string }),
  };
}

export function readServices(reader: Reader, where: string, value: unknown): CiService[] {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value)) {
    reader.fail(where, "config should be an array");
    return [];
  }
  return value.flatMap((item: unknown, index): CiService[] => {
    if (typeof item === "string") {
      return [{ ...plainImage(item), alias: null, command: null, variables: [] }];
    }
    const at = `${where}:[${index}]`;
    const hash = reader.hash(at, item);
    if (hash === undefined) return [];
    const known = ["name", "entrypoint", "pull_policy", "docker", "ports"];
    reader.keys(at, hash, [...known, "alias", "command", "variables"]);
    return [
      {
        ...imageOf(reader, at, hash),
        alias: reader.string(`${at}:alias`, hash.alias) ?? null,
        command: reader.stringOrStrings(`${at}:command`, hash.command) ?? null,
        variables: reader.variables(`${at}:variables`, hash.variables),
      },
    ];
  });
}

export function readArtifacts(reader: Reader, where: string, value: unknown): CiArtifacts | null {
  const hash = reader.hash(where, value);
  if (hash === undefined) return null;
  reader.keys(where, hash, [
    "name",
    "untracked",
    "paths",
    "exclude",
    "reports",
    "when",
    "expire_in",
    "expose_as",
    "public",
    "access",
  ]);
  for (const key of ["expose_as", "public", "access"]) {
    if (hash[key] !== undefined) reader.problems.push(notModelled(`${where}:${key}`));
  }
  const expireIn = reader.scalar(`${where}:expire_in`, hash.expire_in);
  if (expireIn !== undefined && expireIn !== "never") {
    reader.duration(`${where}:expire_in`, expireIn);
  }
  const reports: Record<string, string[]> = {};
  const given = reader.hash(`${where}:reports`, hash.reports) ?? {};
  for (const [type, paths] of Object.entries(given)) {
    if (!REPORTS.includes(type)) reader.problems.push(notModelled(`${where}:reports:${type}`));
    const list = reader.stringOrStrings(`${where}:reports:${type}`, paths);
    if (list !== undefined) reports[type] = list;
  }
  return {
    name: reader.string(`${where}:name`, hash.name) ?? null,
    untracked: reader.boolean(`${where}:untracked`, hash.untracked) ?? false,
    paths: reader.strings(`${where}:paths`, hash.paths) ?? [],
    exclude: reader.strings(`${where}:exclude`, hash.exclude) ?? [],
    when:
      reader.oneOf(`${where} when`, hash.when, ["on_success", "on_failure", "always"]) ??
      "on_success",
    expireIn: expireIn ?? null,
    reports,
  };
}

export function readCaches(reader: Reader, where: string, value: unknown): CiCache[] {
  if (value === undefined || value === null) return [];
  const list: unknown[] = Array.isArray(value) ? value : [value];
  return list.flatMap((item): CiCache[] => {
    const hash = reader.hash(where, item);
    if (hash === undefined || Object.keys(hash).length === 0) return [];
    reader.keys(where, hash, [
      "key",
      "untracked",
      "paths",
      "policy",
      "when",
      "unprotect",
      "fallback_keys",
    ]);
    if (isObject(hash.key)) reader.problems.push(notModelled(`${where}:key:files`));
    return [
      {
        key:
          (isObject(hash.key) ? undefined : reader.scalar(`${where}:key`, hash.key)) ?? "default",
        untracked: reader.boolean(`${where}:untracked`, hash.untracked) ?? false,
        paths: reader.strings(`${where}:paths`, hash.paths) ?? [],
        policy: reader.string(`${where}:policy`, hash.policy) ?? "pull-push",
        when:
          reader.oneOf(`${where} when`, hash.when, ["on_success", "on_failure", "always"]) ??
          "on_success",
        fallbackKeys: reader.strings(`${where}:fallback_keys`, hash.fallback_keys) ?? [],
        unprotect: reader.boolean(`${where}:unprotect`, hash.unprotect) ?? false,
      },
    ];
  });
}

/** `keys` are those that a rule may have at this place. */
export function readRules(
  reader: Reader,
  where: string,
  value: unknown,
  keys: readonly string[],
): CiRule[] | null {
  if (value === undefined || value === null) return null;
  if (!Array.isArray(value)) {
    reader.fail(where, "config should be an array of hashes");
    return [];
  }
  return value.flat(MAX_RULE_DEPTH).flatMap((item: unknown): CiRule[] => {
    const at = `${where}:rule`;
    const hash = reader.hash(at, item);
    if (hash === undefined) return [];
    reader.keys(at, hash, [...keys, "start_in", "needs", "interruptible"]);
    for (const key of ["start_in", "needs", "interruptible"]) {
      if (hash[key] !== undefined) reader.problems.push(notModelled(`${at}:${key}`));
    }
    const condition = reader.string(`${at}:if`, hash.if);
    if (condition !== undefined) checkExpression(reader, at, condition);
    if (hash.when === "delayed") reader.problems.push(notModelled(`${at}:when:delayed`));
    return [
      {
        if: condition ?? null,
        exists: reader.stringOrStrings(`${at}:exists`, hash.exists) ?? null,
        when:
          (hash.when === "delayed" ? null : reader.oneOf(`${at} when`, hash.when, RULE_WHEN)) ??
          null,
        allowFailure: reader.boolean(`${at}:allow_failure`, hash.allow_failure) ?? null,
        variables: reader.variables(`${at}:variables`, hash.variables),
      },
    ];
  });
}

const MAX_RULE_DEPTH = 10;

function checkExpression(reader: Reader, where: string, text: string): void {
  try {
    parseExpression(text);
  } catch {
    reader.fail(`${where}:if`, "invalid expression syntax");
  }
}

export function readNeeds(reader: Reader, where: string, value: unknown): CiNeed[] | null {
  if (value === undefined || value === null) return null;
  if (!Array.isArray(value)) {
    reader.fail(where, "config can only be a hash or an array");
    return [];
  }
  return value.flatMap((item: unknown): CiNeed[] => {
    if (typeof item === "string") return [{ job: item, artifacts: true, optional: false }];
    const hash = reader.hash(`${where}:need`, item);
    if (hash === undefined) return [];
    const foreign = ["project", "pipeline", "parallel", "ref"].find((key) => key in hash);
    if (foreign !== undefined) {
      reader.problems.push(notModelled(`${where}:need:${foreign}`));
      return [];
    }
    reader.keys(`${where}:need`, hash, ["job", "artifacts", "optional"]);
    const job = reader.string(`${where}:need:job`, hash.job);
    if (job === undefined) return [];
    return [
      {
        job,
        artifacts: reader.boolean(`${where}:need:artifacts`, hash.artifacts) ?? true,
        optional: reader.boolean(`${where}:need:optional`, hash.optional) ?? false,
      },
    ];
  });
}

export function readRetry(reader: Reader, where: string, value: unknown): CiRetry | null {
  if (value === undefined || value === null) return null;
  if (!isObject(value)) {
    const max = reader.integer(where, value, 0, 2);
    return max === undefined ? null : { max, when: ["always"], exitCodes: [] };
  }
  reader.keys(where, value, ["max", "when", "exit_codes"]);
  const when = reader.stringOrStrings(`${where}:when`, value.when);
  for (const reason of when ?? []) reader.oneOf(`${where}:when`, reason, RETRY_WHEN);
  const exitCodes = reader.integers(`${where}:exit_codes`, value.exit_codes) ?? [];
  return {
    max: reader.integer(`${where}:max`, value.max, 0, 2) ?? 0,
    // Exit codes alone do not mean every other failure too.
    when: when ?? (exitCodes.length > 0 ? [] : ["always"]),
    exitCodes,
  };
}
