/** From the text of a `.gitlab-ci.yml` to a checked `CiConfig`. */

import { isObject } from "../params";
import {
  CiError,
  type Hash,
  loadDocument,
  notModelled,
  type ReadFile,
  resolveExtends,
} from "./document";
import {
  readArtifacts,
  readCaches,
  readImage,
  readNeeds,
  readRetry,
  readRules,
  readServices,
} from "./entries";
import type { CiConfig, CiJob } from "./model";
import { Reader } from "./reader";

const DEFAULT_STAGES = ["build", "test", "deploy"];
/** Keys at the top that are not jobs. */
const GLOBAL_KEYS = [
  "default",
  "stages",
  "variables",
  "workflow",
  "image",
  "services",
  "before_script",
  "after_script",
  "cache",
];
/** Keys that a job takes over from `default` unless it has its own. */
const DEFAULT_KEYS = [
  "after_script",
  "artifacts",
  "before_script",
  "cache",
  "image",
  "interruptible",
  "retry",
  "services",
  "tags",
  "timeout",
];
const JOB_KEYS = [
  ...DEFAULT_KEYS,
  "allow_failure",
  "dependencies",
  "environment",
  "inherit",
  "needs",
  "parallel",
  "resource_group",
  "rules",
  "script",
  "stage",
  "variables",
  "when",
];
/** Keys that GitLab knows and this model does not. */
const FOREIGN_KEYS = [
  "coverage",
  "dast_configuration",
  "except",
  "hooks",
  "id_tokens",
  "identity",
  "manual_confirmation",
  "only",
  "pages",
  "publish",
  "release",
  "run",
  "secrets",
  "start_in",
  "trigger",
];
const WHEN = ["on_success", "on_failure", "always", "manual"] as const;
const RULE_KEYS = ["if", "when", "changes", "exists", "allow_failure", "variables"];
const WORKFLOW_RULE_KEYS = ["if", "when", "changes", "exists", "variables", "auto_cancel"];
const MAX_PARALLEL = 200;

/**
 * Reads and checks a CI file.
 *
 * @param read how to get the files that it includes.
 * @throws CiError with every problem.
 */
export async function parseCiFile(path: string, text: string, read: ReadFile): Promise<CiConfig> {
  return parseCi(await loadDocument(path, text, read));
}

function parseCi(root: Hash): CiConfig {
  const reader = new Reader();
  const defaults = reader.hash("default", root.default) ?? {};
  reader.keys("default", defaults, [...DEFAULT_KEYS, ...FOREIGN_KEYS]);
  refuseForeign(reader, "default", defaults);
  const stages = readStages(reader, root.stages);
  const workflow = reader.hash("workflow", root.workflow) ?? {};
  reader.keys("workflow", workflow, ["name", "rules", "auto_cancel"]);
  if (workflow.auto_cancel !== undefined) reader.problems.push(notModelled("workflow:auto_cancel"));

  const names = Object.keys(root).filter((key) => !GLOBAL_KEYS.includes(key));
  const scalars = names.filter((name) => !isObject(root[name]) && !name.startsWith("."));
  if (scalars.length > 0) {
    reader.fail("root", `config contains unknown keys: ${scalars.join(", ")}`);
  }
  const visible = names.filter((name) => isObject(root[name]) && !name.startsWith("."));
  if (visible.length === 0) reader.fail("jobs", "config should contain at least one visible job");

  const globals: Hash = {};
  for (const key of ["image", "services", "before_script", "after_script", "cache"]) {
    if (root[key] !== undefined) globals[key] = root[key];
  }
  const jobs: CiJob[] = [];
  for (const name of visible) {
    const job = resolveExtends(root, name);
    jobs.push(
      readJob(reader, name, inheritDefaults(reader, name, job, { ...globals, ...defaults })),
    );
  }
  const config: CiConfig = {
    stages,
    variables: reader.variables("variables", root.variables),
    workflow: {
      name: reader.string("workflow:name", workflow.name) ?? null,
      rules: readRules(reader, "workflow:rules", workflow.rules, WORKFLOW_RULE_KEYS),
    },
    jobs,
  };
  if (reader.problems.length === 0) checkJobs(reader, config);
  if (reader.problems.length > 0) throw new CiError(reader.problems);
  return config;
}

function readStages(reader: Reader, value: unknown): string[] {
  const own = (reader.strings("stages", value) ?? DEFAULT_STAGES).filter(
    (stage) => stage !== ".pre" && stage !== ".post",
  );
  return [".pre", ...own, ".post"];
}

function refuseForeign(reader: Reader, where: string, hash: Hash): void {
  for (const key of FOREIGN_KEYS) {
    if (hash[key] !== undefined) reader.problems.push(notModelled(`${where}:${key}`));
  }
}

function inheritDefaults(reader: Reader, name: string, job: Hash, defaults: Hash): Hash {
  const where = `jobs:${name}:inherit`;
  const inherit = reader.hash(where, job.inherit) ?? {};
  reader.keys(where, inherit, ["default", "variables"]);
  const wanted =
    typeof inherit.default === "boolean"
      ? inherit.default
      : (reader.strings(`${where}:default`, inherit.default) ?? true);
  const taken = Object.entries(defaults).filter(([key]) =>
    typeof wanted === "boolean" ? wanted : wanted.includes(key),
  );
  return { ...Object.fromEntries(taken), ...job };
}

function readJob(reader: Reader, name: string, job: Hash): CiJob {
  const where = `jobs:${name}`;
  reader.keys(where, job, [...JOB_KEYS, ...FOREIGN_KEYS]);
  refuseForeign(reader, where, job);
  const script = reader.script(`${where}:script`, job.script);
  if (job.script === undefined && job.trigger === undefined && job.run === undefined) {
    reader.fail(where, "config should implement the script:, run:, or trigger: keyword");
  } else if (script?.length === 0) {
    reader.fail(`${where}:script`, "config can't be blank");
  }
  const inherit = (isObject(job.inherit) ? job.inherit.variables : undefined) ?? true;
  const allowFailure = isObject(job.allow_failure) ? job.allow_failure : undefined;
  if (allowFailure !== undefined) {
    reader.keys(`${where}:allow_failure`, allowFailure, ["exit_codes"]);
  }
  if (job.when === "delayed") reader.problems.push(notModelled(`${where}:when:delayed`));
  // Nothing here interrupts a pipeline, but the keyword may stand there.
  reader.boolean(`${where}:interruptible`, job.interruptible);
  const timeout = reader.duration(`${where}:timeout`, job.timeout);
  return {
    name,
    stage: reader.string(`${where}:stage`, job.stage) ?? "test",
    script: script ?? [],
    beforeScript: reader.script(`${where}:before_script`, job.before_script) ?? [],
    afterScript: reader.script(`${where}:after_script`, job.after_script) ?? [],
    image: readImage(reader, `${where}:image`, job.image),
    services: readServices(reader, `${where}:services`, job.services),
    variables: reader.variables(`${where}:variables`, job.variables),
    inheritVariables:
      typeof inherit === "boolean"
        ? inherit
        : (reader.strings(`${where}:inherit:variables`, inherit) ?? true),
    tags: reader.strings(`${where}:tags`, job.tags) ?? [],
    artifacts: readArtifacts(reader, `${where}:artifacts`, job.artifacts),
    cache: readCaches(reader, `${where}:cache`, job.cache),
    needs: readNeeds(reader, `${where}:needs`, job.needs),
    dependencies: reader.strings(`${where}:dependencies`, job.dependencies) ?? null,
    rules: readRules(reader, `${where}:rules`, job.rules, RULE_KEYS),
    when: (job.when === "delayed" ? null : reader.oneOf(`${where} when`, job.when, WHEN)) ?? null,
    allowFailure:
      allowFailure === undefined
        ? (reader.boolean(`${where}:allow_failure`, job.allow_failure) ?? null)
        : false,
    allowFailureExitCodes:
      reader.integers(`${where}:allow_failure:exit_codes`, allowFailure?.exit_codes) ?? [],
    timeout: timeout ?? null,
    retry: readRetry(reader, `${where}:retry`, job.retry),
    parallel: readParallel(reader, where, job.parallel),
    environment: readEnvironment(reader, where, job.environment),
    resourceGroup: reader.string(`${where}:resource_group`, job.resource_group) ?? null,
  };
}

function readParallel(reader: Reader, where: string, value: unknown): number | null {
  if (isObject(value)) {
    reader.problems.push(notModelled(`${where}:parallel:matrix`));
    return null;
  }
  return reader.integer(`${where}:parallel`, value, 1, MAX_PARALLEL) ?? null;
}

function readEnvironment(reader: Reader, where: string, value: unknown): string | null {
  if (!isObject(value)) return reader.string(`${where}:environment`, value) ?? null;
  reader.keys(`${where}:environment`, value, ["name", "url", "deployment_tier", "action"]);
  return reader.string(`${where}:environment:name`, value.name) ?? null;
}

/** What can only be said once all jobs are known. */
function checkJobs(reader: Reader, config: CiConfig): void {
  const byName = new Map(config.jobs.map((job) => [job.name, job]));
  for (const job of config.jobs) {
    const position = config.stages.indexOf(job.stage);
    if (position < 0) {
      reader.problems.push(
        `${job.name} job: chosen stage ${job.stage} does not exist; ` +
          `available stages are ${config.stages.join(", ")}`,
      );
    }
    const stageOf = (name: string) => config.stages.indexOf(byName.get(name)?.stage ?? "");
    for (const need of job.needs ?? []) {
      if (!byName.has(need.job)) {
        if (!need.optional) reader.problems.push(`${job.name} job: undefined need: ${need.job}`);
      } else if (stageOf(need.job) > position) {
        reader.problems.push(
          `${job.name} job: need ${need.job} is not defined in current or prior stages`,
        );
      }
    }
    for (const name of job.dependencies ?? []) {
      if (!byName.has(name)) {
        reader.problems.push(`${job.name} job: undefined dependency: ${name}`);
      } else if (stageOf(name) >= position && !job.needs?.some((need) => need.job === name)) {
        reader.problems.push(
          `${job.name} job: dependency ${name} is not defined in current or prior stages`,
        );
      }
    }
  }
  const cycle = findCycle(config.jobs);
  if (cycle !== undefined) reader.problems.push(`The pipeline has circular dependencies: ${cycle}`);
}

/** A job that needs itself, directly or through others. */
function findCycle(jobs: readonly CiJob[]): string | undefined {
  const needs = new Map(jobs.map((job) => [job.name, (job.needs ?? []).map((need) => need.job)]));
  const done = new Set<string>();
  const visit = (name: string, path: readonly string[]): string | undefined => {
    if (path.includes(name)) return name;
    if (done.has(name)) return undefined;
    for (const next of needs.get(name) ?? []) {
      const found = visit(next, [...path, name]);
      if (found !== undefined) return found;
    }
    done.add(name);
    return undefined;
  };
  for (const name of needs.keys()) {
    const found = visit(name, []);
    if (found !== undefined) return found;
  }
  return undefined;
}
