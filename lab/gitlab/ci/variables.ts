/** The variables of a job, in the order in which later ones win. */

import type { Project } from "../config";
import type { Job, JobVariable, Pipeline } from "../model";
import type { World } from "../world";
import type { CiVariable } from "./model";

/** What of a pipeline is known while it is being made. */
export type PipelineFacts = Pick<
  Pipeline,
  | "id"
  | "iid"
  | "projectId"
  | "ref"
  | "tag"
  | "sha"
  | "source"
  | "name"
  | "userId"
  | "variables"
  | "triggerShortToken"
  | "commit"
  | "createdAt"
>;

/** What of a job is known while its pipeline is being made. */
export type JobFacts = Pick<
  Job,
  "name" | "stage" | "variables" | "node" | "environment" | "image" | "timeout"
>;

export function plain(key: string, value: string): JobVariable {
  return { key, value, public: true, masked: false, raw: false, file: false };
}

export function fromYaml(variable: CiVariable): JobVariable {
  return { ...plain(variable.key, variable.value), raw: variable.raw };
}

/** Everything that a pipeline's variables say before there are jobs. */
export function pipelineVariables(
  world: World,
  project: Project,
  pipeline: PipelineFacts,
): JobVariable[] {
  return predefined(
    serverFacts(world),
    projectFacts(world, project),
    pipelineFacts(world, project, pipeline),
  );
}

/**
 * All variables of a job.
 *
 * @param late what only a job that runs has: ids, the runner, tokens; from jobs before.
 */
export function jobVariables(
  world: World,
  project: Project,
  pipeline: PipelineFacts,
  job: JobFacts,
  late: { readonly predefined: readonly JobVariable[]; readonly dotenv: readonly JobVariable[] } = {
    predefined: [],
    dotenv: [],
  },
): JobVariable[] {
  return [
    ...pipelineVariables(world, project, pipeline),
    ...predefined(jobFacts(job, project)),
    ...late.predefined,
    ...job.variables.map(fromYaml),
    ...late.dotenv,
    ...configuredVariables(world, project, pipeline),
    ...pipeline.variables,
  ];
}

/** Instance, group and project variables; protected ones only for protected refs. */
export function configuredVariables(
  world: World,
  project: Project,
  pipeline: Pick<Pipeline, "ref" | "tag">,
): JobVariable[] {
  const isProtected = world.isProtected(project, pipeline.ref, pipeline.tag);
  const depth = (path: string | undefined) => path?.length ?? 0;
  return world.config.variables
    .filter(
      ({ path }) =>
        path === undefined || project.path === path || project.path.startsWith(`${path}/`),
    )
    .filter((variable) => isProtected || !variable.protected)
    .sort((a, b) => depth(a.path) - depth(b.path))
    .map((variable) => ({
      key: variable.key,
      value: variable.value,
      public: false,
      masked: variable.masked,
      raw: variable.raw,
      file: variable.type === "file",
    }));
}

function predefined(...facts: Record<string, string | number | null>[]): JobVariable[] {
  return facts.flatMap((group) =>
    Object.entries(group).flatMap(([key, value]) =>
      value === null ? [] : [plain(key, String(value))],
    ),
  );
}

function serverFacts(world: World): Record<string, string | number | null> {
  const url = new URL(world.config.url);
  const version = world.config.version;
  const [major = "", minor = "", patch = ""] = version.replace(/-.*$/, "").split(".");
  const secure = url.protocol === "https:";
  return {
    CI: "true",
    GITLAB_CI: "true",
    GITLAB_FEATURES: "",
    CI_SERVER: "yes",
    CI_SERVER_NAME: "GitLab",
    CI_SERVER_URL: world.config.url,
    CI_SERVER_FQDN: url.host,
    CI_SERVER_HOST: url.hostname,
    CI_SERVER_PORT: url.port === "" ? (secure ? 443 : 80) : url.port,
    CI_SERVER_PROTOCOL: url.protocol.replace(":", ""),
    CI_SERVER_VERSION: version,
    CI_SERVER_VERSION_MAJOR: major,
    CI_SERVER_VERSION_MINOR: minor,
    CI_SERVER_VERSION_PATCH: patch,
    CI_API_V4_URL: `${world.config.url}/api/v4`,
    CI_API_GRAPHQL_URL: `${world.config.url}/api/graphql`,
    CI_TEMPLATE_REGISTRY_HOST: "registry.gitlab.com",
  };
}

function projectFacts(world: World, project: Project): Record<string, string | number | null> {
  const slash = project.path.lastIndexOf("/");
  return {
    CI_PROJECT_ID: project.id,
    CI_PROJECT_NAME: project.path.slice(slash + 1),
    CI_PROJECT_TITLE: project.name,
    CI_PROJECT_DESCRIPTION: project.description,
    CI_PROJECT_PATH: project.path,
    CI_PROJECT_PATH_SLUG: slug(project.path),
    CI_PROJECT_NAMESPACE: project.group.path,
    CI_PROJECT_NAMESPACE_ID: project.group.id,
    CI_PROJECT_NAMESPACE_SLUG: slug(project.group.path),
    CI_PROJECT_ROOT_NAMESPACE: project.path.split("/")[0] ?? "",
    CI_PROJECT_URL: `${world.config.url}/${project.path}`,
    CI_PROJECT_VISIBILITY: project.visibility,
    CI_DEFAULT_BRANCH: project.defaultBranch,
    CI_CONFIG_PATH: ".gitlab-ci.yml",
  };
}

function pipelineFacts(
  world: World,
  project: Project,
  pipeline: PipelineFacts,
): Record<string, string | number | null> {
  const user = world.user(pipeline.userId);
  const commit = pipeline.commit;
  return {
    CI_PIPELINE_ID: pipeline.id,
    CI_PIPELINE_IID: pipeline.iid,
    CI_PIPELINE_SOURCE: pipeline.source,
    CI_PIPELINE_URL: `${world.config.url}/${project.path}/-/pipelines/${pipeline.id}`,
    CI_PIPELINE_CREATED_AT: pipeline.createdAt,
    CI_PIPELINE_NAME: pipeline.name,
    CI_PIPELINE_TRIGGERED: pipeline.triggerShortToken === null ? null : "true",
    CI_TRIGGER_SHORT_TOKEN: pipeline.triggerShortToken,
    CI_COMMIT_SHA: pipeline.sha,
    CI_COMMIT_SHORT_SHA: pipeline.sha.slice(0, 8),
    CI_COMMIT_BEFORE_SHA: "0".repeat(40),
    CI_COMMIT_REF_NAME: pipeline.ref,
    CI_COMMIT_REF_SLUG: slug(pipeline.ref),
    CI_COMMIT_REF_PROTECTED: String(world.isProtected(project, pipeline.ref, pipeline.tag)),
    CI_COMMIT_BRANCH: pipeline.tag ? null : pipeline.ref,
    CI_COMMIT_TAG: pipeline.tag ? pipeline.ref : null,
    CI_COMMIT_AUTHOR: `${commit.author} <${commit.email}>`,
    CI_COMMIT_TIMESTAMP: commit.date,
    CI_COMMIT_TITLE: commit.title,
    CI_COMMIT_MESSAGE: commit.title,
    CI_COMMIT_DESCRIPTION: "",
    GITLAB_USER_ID: user?.id ?? null,
    GITLAB_USER_LOGIN: user?.username ?? null,
    GITLAB_USER_NAME: user?.name ?? null,
    GITLAB_USER_EMAIL: user === undefined ? null : `${user.username}@example.invalid`,
  };
}

function jobFacts(job: JobFacts, project: Project): Record<string, string | number | null> {
  return {
    CI_JOB_NAME: job.name,
    CI_JOB_NAME_SLUG: slug(job.name),
    CI_JOB_STAGE: job.stage,
    CI_JOB_TIMEOUT: job.timeout ?? project.buildTimeout,
    CI_JOB_IMAGE: job.image?.name ?? null,
    CI_NODE_INDEX: job.node?.index ?? null,
    CI_NODE_TOTAL: job.node?.total ?? 1,
    CI_ENVIRONMENT_NAME: job.environment,
    CI_ENVIRONMENT_SLUG: job.environment === null ? null : slug(job.environment),
  };
}

/** Lower case, everything but letters and digits as a dash, at most 63 characters. */
export function slug(text: string): string {
  return text
    .toLowerCase()
    .replace(/[^a-z0-9]/g, "-")
    .slice(0, 63)
    .replace(/^-+|-+$/g, "");
}
