/** What a runner gets when it gets a job. */

import type { Project } from "../config";
import type { Job, JobVariable, Pipeline, Runner } from "../model";
import { TOKEN_PREFIXES } from "../tokens";
import type { World } from "../world";
import { plainName } from "./create";
import type { CiImage } from "./model";
import { jobVariables, plain } from "./variables";

const DEFAULT_GIT_DEPTH = 20;
const DEFAULT_EXPIRY = "30 days";

/** Failure reasons that the runner may report; anything else becomes `unknown_failure`. */
export const FAILURE_REASONS = [
  "unknown_failure",
  "script_failure",
  "runner_system_failure",
  "job_execution_timeout",
  "runner_unsupported",
  "image_pull_failure",
  "configuration_error",
  "runner_configuration_error",
  "runner_interrupted",
  "job_canceled",
  "api_failure",
  "stuck_or_timeout_failure",
  "data_integrity_failure",
];

/** How long the job may take on this runner, in seconds. */
export function timeoutFor(project: Project, job: Job, runner: Runner): number {
  const wanted = job.timeout ?? project.buildTimeout;
  return runner.maximumTimeout === null ? wanted : Math.min(wanted, runner.maximumTimeout);
}

/** Jobs whose artifacts this one gets. */
export function artifactSources(world: World, job: Job): Job[] {
  const others = world.store
    .jobsOf(job.pipelineId)
    .filter((other) => !other.retried && other.id !== job.id);
  let wanted: Job[];
  if (job.needs !== null) {
    const names = job.needs.filter((need) => need.artifacts).map((need) => need.job);
    wanted = others.filter((other) => names.includes(plainName(other)));
  } else {
    wanted = others.filter((other) => other.stageIndex < job.stageIndex);
  }
  const named = job.dependencies;
  return named === null ? wanted : wanted.filter((other) => named.includes(plainName(other)));
}

/**
 * The body of the 201 of `jobs/request`.
 *
 * @param token the job's token, in clear only here.
 */
export function jobPayload(
  world: World,
  project: Project,
  pipeline: Pipeline,
  job: Job,
  runner: Runner,
  token: string,
): Record<string, unknown> {
  const sources = artifactSources(world, job);
  const repositoryUrl = urlWithToken(`${world.config.url}/${project.path}.git`, token);
  const variables = [
    ...jobVariables(world, project, pipeline, job, {
      predefined: [
        ...runtimeVariables(world, project, job, runner),
        { ...plain("CI_JOB_TOKEN", token), public: false, masked: true },
        { ...plain("CI_REPOSITORY_URL", repositoryUrl), public: false },
      ],
      dotenv: sources.flatMap((source) => source.dotenv),
    }),
    ...job.playVariables,
  ];
  const timeout = timeoutFor(project, job, runner);
  const depth = gitDepth(variables);
  return {
    id: job.id,
    token,
    allow_git_fetch: true,
    job_info: jobInfo(world, project, job, runner),
    git_info: {
      repo_url: repositoryUrl,
      repo_object_format: "sha1",
      ref: job.ref,
      sha: job.sha,
      before_sha: "0".repeat(40),
      ref_type: job.tag ? "tag" : "branch",
      refspecs: refspecs(job, depth),
      depth,
      protected: job.protected,
    },
    runner_info: { timeout, runner_session_url: null },
    variables,
    steps: steps(job, timeout),
    image: imagePayload(job.image),
    services: job.services.map((service) => ({
      ...imagePayload(service),
      alias: service.alias,
      command: service.command,
      variables: service.variables.map((variable) => plain(variable.key, variable.value)),
    })),
    artifacts: artifactsPayload(job),
    cache: job.cache.map((cache) => ({
      key: cache.unprotect
        ? cache.key
        : `${cache.key}-${job.protected ? "protected" : "non_protected"}`,
      untracked: cache.untracked,
      paths: cache.paths,
      policy: cache.policy,
      when: cache.when,
      fallback_keys: cache.fallbackKeys,
    })),
    credentials: [],
    dependencies: sources.flatMap((source) => {
      const archive = source.artifactFiles.find((file) => file.fileType === "archive");
      if (archive === undefined) return [];
      return [
        {
          id: source.id,
          name: source.name,
          token,
          artifacts_file: { filename: archive.filename, size: archive.size },
        },
      ];
    }),
    features: {
      trace_sections: true,
      token_mask_prefixes: TOKEN_PREFIXES,
      failure_reasons: FAILURE_REASONS,
    },
  };
}

function jobInfo(world: World, project: Project, job: Job, runner: Runner) {
  const queued = job.queuedAt === null ? 0 : (Date.now() - Date.parse(job.queuedAt)) / 1000;
  const rootPath = project.path.split("/")[0] ?? "";
  const instanceRunners = new Set(
    world.store.state.runners
      .filter((other) => other.runnerType === "instance_type")
      .map((other) => other.id),
  );
  const running = world.store.state.jobs.filter(
    (other) =>
      other.id !== job.id &&
      other.projectId === project.id &&
      other.status === "running" &&
      other.runnerId !== null &&
      instanceRunners.has(other.runnerId),
  );
  const waiting = world.store.state.jobs.filter((other) => other.status === "pending").length;
  return {
    id: job.id,
    name: job.name,
    stage: job.stage,
    pipeline_id: job.pipelineId,
    project_id: project.id,
    project_name: project.name,
    project_full_path: project.path,
    namespace_id: project.group.id,
    root_namespace_id: world.groupAt(rootPath)?.id ?? project.group.id,
    organization_id: 1,
    instance_id: "lab",
    instance_uuid: "lab",
    user_id: job.userId,
    time_in_queue_seconds: queued,
    // Only counted for instance runners; Prometheus' infinity stands for the others.
    project_jobs_running_on_instance_runners_count:
      runner.runnerType === "instance_type" ? String(running.length) : "+Inf",
    queue_size: waiting,
    queue_depth: 0,
  };
}

function runtimeVariables(world: World, project: Project, job: Job, runner: Runner): JobVariable[] {
  const values: Record<string, string> = {
    CI_JOB_ID: String(job.id),
    CI_JOB_URL: `${world.config.url}/${project.path}/-/jobs/${job.id}`,
    CI_JOB_STARTED_AT: job.startedAt ?? new Date().toISOString(),
    CI_JOB_STATUS: "running",
    CI_RUNNER_ID: String(runner.id),
    CI_RUNNER_DESCRIPTION: runner.description,
    CI_RUNNER_TAGS: JSON.stringify(runner.tagList),
    CI_DEPENDENCY_PROXY_SERVER: new URL(world.config.url).host,
  };
  if (job.when === "manual") values.CI_JOB_MANUAL = "true";
  return Object.entries(values).map(([key, value]) => plain(key, value));
}

function urlWithToken(url: string, token: string): string {
  return url.replace("://", `://gitlab-ci-token:${token}@`);
}

function gitDepth(variables: readonly JobVariable[]): number {
  const said = variables.findLast((variable) => variable.key === "GIT_DEPTH")?.value;
  return said !== undefined && /^\d+$/.test(said) ? Number(said) : DEFAULT_GIT_DEPTH;
}

function refspecs(job: Job, depth: number): string[] {
  const own = `+refs/pipelines/${job.pipelineId}:refs/pipelines/${job.pipelineId}`;
  if (depth === 0) {
    return ["+refs/heads/*:refs/remotes/origin/*", "+refs/tags/*:refs/tags/*", own];
  }
  return job.tag
    ? [own, `+refs/tags/${job.ref}:refs/tags/${job.ref}`]
    : [own, `+refs/heads/${job.ref}:refs/remotes/origin/${job.ref}`];
}

function steps(job: Job, timeout: number) {
  const script = {
    name: "script",
    script: [...job.beforeScript, ...job.script],
    timeout,
    when: "on_success",
    allow_failure: false,
  };
  if (job.afterScript.length === 0) return [script];
  const after = { name: "after_script", script: job.afterScript, when: "always" };
  return [script, { ...after, timeout, allow_failure: true }];
}

function imagePayload(image: CiImage | null) {
  if (image === null) return null;
  return {
    name: image.name,
    entrypoint: image.entrypoint,
    pull_policy: image.pullPolicy,
    ports: [],
    executor_opts: image.docker === null ? {} : { docker: image.docker },
  };
}

function artifactsPayload(job: Job) {
  const { artifacts } = job;
  if (artifacts === null) return [];
  const expire_in = artifacts.expireIn ?? DEFAULT_EXPIRY;
  const archive = {
    name: artifacts.name,
    untracked: artifacts.untracked,
    paths: artifacts.paths,
    exclude: artifacts.exclude,
    when: artifacts.when,
    expire_in,
    artifact_type: "archive",
    artifact_format: "zip",
  };
  const reports = Object.entries(artifacts.reports).map(([type, paths]) => ({
    name: type === "junit" ? "junit.xml" : ".env",
    untracked: false,
    paths,
    when: "always",
    expire_in,
    artifact_type: type,
    artifact_format: "gzip",
  }));
  const hasArchive = artifacts.paths.length > 0 || artifacts.untracked;
  return hasArchive ? [archive, ...reports] : reports;
}
