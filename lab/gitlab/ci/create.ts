/** Making a pipeline: from a ref and variables to jobs in the state. */

import type { Project, User } from "../config";
import { unprocessable } from "../errors";
import type { Job, JobVariable, JobWhen, Pipeline, PipelineSource } from "../model";
import { now, type World } from "../world";
import { CiError } from "./document";
import { expand, expandAll } from "./expand";
import { parseExpression } from "./expression";
import type { CiConfig, CiJob, CiRule, CiVariable } from "./model";
import { parseCiFile } from "./parse";
import {
  configuredVariables,
  fromYaml,
  jobVariables,
  type PipelineFacts,
  pipelineVariables,
} from "./variables";

export const CI_FILE = ".gitlab-ci.yml";

export interface PipelineRequest {
  readonly ref: string;
  readonly source: PipelineSource;
  readonly user: User;
  readonly variables: readonly JobVariable[];
  /** Of the trigger token, for a triggered pipeline. */
  readonly triggerShortToken?: string;
}

type Variables = ReadonlyMap<string, string>;

/**
 * Makes a pipeline with its jobs, all of them in state `created`; the engine moves them on.
 *
 * @throws ApiError 400 with GitLab's `{"message":{"base":[…]}}` when no pipeline comes of it.
 */
export async function createPipeline(
  world: World,
  project: Project,
  request: PipelineRequest,
): Promise<Pipeline> {
  await world.repositories.sync(project);
  const ref = await world.repositories.findRef(project, request.ref);
  if (ref === undefined) throw unprocessable({ base: ["Reference not found"] });
  const commit = await world.repositories.commit(project, ref.sha);
  if (commit === undefined) throw unprocessable({ base: ["Commit not found"] });
  const config = await readCiConfig(world, project, ref.sha);
  const files = usesExists(config) ? await world.repositories.listFiles(project, ref.sha) : [];

  const { store } = world;
  const id = store.nextId("pipeline");
  const earlier = store.state.pipelines.filter((pipeline) => pipeline.projectId === project.id);
  const createdAt = now();
  const facts: PipelineFacts = {
    id,
    iid: Math.max(0, ...earlier.map((pipeline) => pipeline.iid)) + 1,
    projectId: project.id,
    ref: ref.name,
    tag: ref.tag,
    sha: ref.sha,
    source: request.source,
    name: null,
    userId: request.user.id,
    variables: [...request.variables],
    triggerShortToken: request.triggerShortToken ?? null,
    commit,
    createdAt,
  };
  const fromRules = checkWorkflow(world, project, facts, config, files);
  const globals = merge(config.variables, fromRules);
  const name =
    config.workflow.name === null
      ? null
      : expand(config.workflow.name, pipelineValues(world, project, facts, globals));
  const drafts = config.jobs.flatMap((job) =>
    draftJobs(world, project, { ...facts, name }, job, globals, files),
  );
  checkDrafts(drafts);

  const pipeline: Pipeline = {
    ...facts,
    name,
    stages: config.stages.filter((stage) => drafts.some((draft) => draft.job.stage === stage)),
    status: "created",
    updatedAt: createdAt,
    startedAt: null,
    finishedAt: null,
  };
  await world.repositories.keepForPipeline(project, id, ref.sha);
  store.state.pipelines.push(pipeline);
  const sorted = [...drafts].sort((a, b) => stageIndex(config, a) - stageIndex(config, b));
  for (const draft of sorted) {
    store.state.jobs.push({
      ...draft.job,
      id: store.nextId("job"),
      stageIndex: stageIndex(config, draft),
    });
  }
  store.touch();
  return pipeline;
}

/** Reads and checks the CI file of a commit. */
async function readCiConfig(world: World, project: Project, sha: string): Promise<CiConfig> {
  const read = (file: string) => world.repositories.readFile(project, sha, file);
  const text = await read(CI_FILE);
  if (text === undefined) throw unprocessable({ base: ["Missing CI config file"] });
  try {
    return await parseCiFile(CI_FILE, text, read);
  } catch (error) {
    if (error instanceof CiError) throw unprocessable({ base: error.problems });
    throw error;
  }
}

function stageIndex(config: CiConfig, draft: Draft): number {
  return config.stages.indexOf(draft.job.stage);
}

function usesExists(config: CiConfig): boolean {
  const rules = [config.workflow.rules, ...config.jobs.map((job) => job.rules)];
  return rules.some((list) => list?.some((rule) => rule.exists !== null));
}

function pipelineValues(
  world: World,
  project: Project,
  facts: PipelineFacts,
  globals: readonly CiVariable[],
): Variables {
  return expandAll([
    ...pipelineVariables(world, project, facts),
    ...globals.map(fromYaml),
    ...configuredVariables(world, project, facts),
    ...facts.variables,
  ]);
}

/** @returns the variables that the matching workflow rule adds. */
function checkWorkflow(
  world: World,
  project: Project,
  facts: PipelineFacts,
  config: CiConfig,
  files: readonly string[],
): readonly CiVariable[] {
  const { rules } = config.workflow;
  if (rules === null) return [];
  const values = pipelineValues(world, project, facts, config.variables);
  const rule = firstMatch(rules, values, files);
  if (rule === undefined || rule.when === "never") {
    throw unprocessable({ base: ["Pipeline filtered out by workflow rules."] });
  }
  return rule.variables;
}

/** A rule whose conditions all hold. `changes` holds for pipelines without a push. */
function firstMatch(
  rules: readonly CiRule[],
  values: Variables,
  files: readonly string[],
): CiRule | undefined {
  return rules.find(
    (rule) =>
      (rule.if === null || parseExpression(rule.if)(values)) &&
      (rule.exists === null || rule.exists.some((glob) => exists(expand(glob, values), files))),
  );
}

function exists(glob: string, files: readonly string[]): boolean {
  const pattern = glob
    .split(/(\*\*\/|\*\*|\*|\?)/)
    .map((part) => {
      if (part === "**/") return "(?:.*/)?";
      if (part === "**") return ".*";
      if (part === "*") return "[^/]*";
      if (part === "?") return "[^/]";
      return part.replace(/[.+^${}()|[\]\\]/g, "\\$&");
    })
    .join("");
  const whole = new RegExp(`^${pattern}$`);
  return files.some((file) => whole.test(file));
}

/** A job without what the state gives it. */
interface Draft {
  readonly job: Omit<Job, "id" | "stageIndex">;
}

function draftJobs(
  world: World,
  project: Project,
  facts: PipelineFacts,
  job: CiJob,
  globals: readonly CiVariable[],
  files: readonly string[],
): Draft[] {
  const inherited = globals.filter(
    ({ key }) =>
      job.inheritVariables === true ||
      (typeof job.inheritVariables !== "boolean" && job.inheritVariables.includes(key)),
  );
  let variables = merge(inherited, job.variables);
  const values = (own: readonly CiVariable[]) =>
    expandAll(
      jobVariables(world, project, facts, {
        ...job,
        variables: own,
        node: null,
      }),
    );
  let when: JobWhen = job.when ?? "on_success";
  let allowFailure = job.allowFailure ?? when === "manual";
  if (job.rules !== null) {
    const rule = firstMatch(job.rules, values(variables), files);
    if (rule === undefined || (rule.when ?? job.when) === "never") return [];
    when = (rule.when ?? job.when ?? "on_success") as JobWhen;
    // With rules a manual job blocks unless it is said otherwise.
    allowFailure = rule.allowFailure ?? job.allowFailure ?? false;
    variables = merge(variables, rule.variables);
  }
  const known = values(variables);
  const total = job.parallel;
  const nodes = total === null ? [null] : Array.from({ length: total }, (_, index) => index + 1);
  return nodes.map((index) => ({
    job: {
      pipelineId: facts.id,
      projectId: project.id,
      name: index === null ? job.name : `${job.name} ${index}/${total ?? 1}`,
      stage: job.stage,
      ref: facts.ref,
      tag: facts.tag,
      sha: facts.sha,
      protected: world.isProtected(project, facts.ref, facts.tag),
      userId: facts.userId,
      status: "created",
      failureReason: null,
      exitCode: null,
      allowFailure,
      allowFailureExitCodes: job.allowFailureExitCodes,
      when,
      tags: [...new Set(job.tags.map((tag) => expand(tag, known).trim()))].filter(Boolean),
      beforeScript: job.beforeScript,
      script: job.script,
      afterScript: job.afterScript,
      image: job.image,
      services: job.services,
      variables,
      artifacts: job.artifacts,
      cache: job.cache,
      needs: job.needs,
      dependencies: job.dependencies,
      timeout: job.timeout,
      retry: job.retry,
      node: index === null ? null : { index, total: total ?? 1 },
      environment: job.environment === null ? null : expand(job.environment, known),
      resourceGroup: job.resourceGroup === null ? null : expand(job.resourceGroup, known),
      attempt: 0,
      retried: false,
      playVariables: [],
      dotenv: [],
      runnerId: null,
      managerId: null,
      acknowledgeBy: null,
      cancelGracefully: false,
      tokenHash: null,
      createdAt: facts.createdAt,
      queuedAt: null,
      startedAt: null,
      finishedAt: null,
      erasedAt: null,
      heardAt: null,
      artifactFiles: [],
      artifactsExpireAt: null,
    },
  }));
}

/** The name that `needs` and `dependencies` use: that of the keyword, without `1/3`. */
export function plainName(job: Pick<Job, "name" | "node">): string {
  return job.node === null ? job.name : job.name.replace(/ \d+\/\d+$/, "");
}

function checkDrafts(drafts: readonly Draft[]): void {
  if (drafts.every(({ job }) => job.stage === ".pre" || job.stage === ".post")) {
    throw unprocessable({
      base: [
        "Pipeline will not run for the selected trigger. The rules configuration prevented any " +
          "jobs from being added to the pipeline.",
      ],
    });
  }
  const names = new Set(drafts.map(({ job }) => plainName(job)));
  for (const { job } of drafts) {
    const missing = job.needs?.find((need) => !need.optional && !names.has(need.job));
    if (missing === undefined) continue;
    throw unprocessable({
      base: [
        `'${job.name}' job needs '${missing.job}' job, but '${missing.job}' does not exist in ` +
          "the pipeline. This might be because of the only, except, or rules keywords. To need a " +
          "job that sometimes does not exist in the pipeline, use needs:optional.",
      ],
    });
  }
}

/** Later variables win. */
function merge(below: readonly CiVariable[], above: readonly CiVariable[]): CiVariable[] {
  const names = new Set(above.map((variable) => variable.key));
  return [...below.filter((variable) => !names.has(variable.key)), ...above];
}
