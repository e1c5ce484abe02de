/** JSON of the REST API, in GitLab's field names. */

import { failureAllowed } from "./ci/status";
import type { Group, Project, User } from "./config";
import type { Job, Pipeline, Runner, RunnerManager, Trigger } from "./model";
import type { Commit } from "./repositories";
import type { World } from "./world";

export function userEntity(world: World, user: User) {
  return {
    id: user.id,
    username: user.username,
    public_email: "",
    name: user.name,
    state: "active",
    locked: false,
    avatar_url: null,
    web_url: `${world.config.url}/${user.username}`,
  };
}

/** What `GET /user` tells users about themselves. */
export function currentUserEntity(world: World, user: User) {
  return {
    ...userEntity(world, user),
    created_at: world.startedAt.toISOString(),
    bio: "",
    location: "",
    email: `${user.username}@example.invalid`,
    commit_email: `${user.username}@example.invalid`,
    two_factor_enabled: false,
    external: false,
    bot: false,
    identities: [],
    can_create_group: true,
    can_create_project: true,
    ...(user.admin ? { is_admin: true } : {}),
  };
}

function namespaceEntity(world: World, group: Group) {
  return {
    id: group.id,
    name: group.name,
    path: lastPart(group.path),
    kind: "group",
    full_path: group.path,
    parent_id: parentGroup(world, group)?.id ?? null,
    avatar_url: null,
    web_url: `${world.config.url}/groups/${group.path}`,
  };
}

export function groupEntity(world: World, group: Group) {
  const chain = [...ancestors(world, group), group];
  return {
    id: group.id,
    web_url: `${world.config.url}/groups/${group.path}`,
    name: group.name,
    path: lastPart(group.path),
    description: "",
    visibility: group.visibility,
    full_name: chain.map((part) => part.name).join(" / "),
    full_path: group.path,
    parent_id: parentGroup(world, group)?.id ?? null,
    created_at: world.startedAt.toISOString(),
    shared_runners_setting: "enabled",
    avatar_url: null,
  };
}

/** Identity of a project inside other entities. */
export function projectIdentity(world: World, project: Project) {
  const chain = [...ancestors(world, project.group), project.group];
  return {
    id: project.id,
    description: project.description,
    name: project.name,
    name_with_namespace: [...chain.map((part) => part.name), project.name].join(" / "),
    path: lastPart(project.path),
    path_with_namespace: project.path,
    created_at: world.startedAt.toISOString(),
  };
}

export function projectEntity(world: World, project: Project) {
  const url = `${world.config.url}/${project.path}`;
  return {
    ...projectIdentity(world, project),
    default_branch: project.defaultBranch,
    tag_list: [],
    topics: [],
    ssh_url_to_repo: `git@${new URL(world.config.url).hostname}:${project.path}.git`,
    http_url_to_repo: `${url}.git`,
    web_url: url,
    readme_url: null,
    forks_count: 0,
    avatar_url: null,
    star_count: 0,
    last_activity_at: world.startedAt.toISOString(),
    visibility: project.visibility,
    namespace: namespaceEntity(world, project.group),
    archived: false,
    empty_repo: false,
    jobs_enabled: true,
    builds_access_level: "enabled",
    shared_runners_enabled: project.sharedRunnersEnabled,
    group_runners_enabled: true,
    build_timeout: project.buildTimeout,
    ci_default_git_depth: 20,
    ci_config_path: "",
    public_jobs: false,
  };
}

export function runnerEntity(world: World, runner: Runner) {
  const status = world.runnerStatus(runner);
  return {
    id: runner.id,
    description: runner.description,
    ip_address: latestManager(runner)?.ipAddress ?? null,
    active: !runner.paused,
    paused: runner.paused,
    is_shared: runner.runnerType === "instance_type",
    runner_type: runner.runnerType,
    name: latestManager(runner)?.name ?? null,
    online: status === "online",
    created_at: runner.createdAt,
    status,
    job_execution_status: world.runningJobs(runner.id).length > 0 ? "active" : "idle",
  };
}

/** `GET /runners/:id`. The token is never part of it. */
export function runnerDetailsEntity(world: World, runner: Runner) {
  const manager = latestManager(runner);
  const creator = world.user(runner.creatorId);
  return {
    ...runnerEntity(world, runner),
    tag_list: runner.tagList,
    run_untagged: runner.runUntagged,
    locked: runner.locked,
    maximum_timeout: runner.maximumTimeout,
    access_level: runner.accessLevel,
    version: manager?.version ?? null,
    revision: manager?.revision ?? null,
    platform: manager?.platform ?? null,
    architecture: manager?.architecture ?? null,
    contacted_at: runner.contactedAt,
    maintenance_note: runner.maintenanceNote,
    created_by: creator === undefined ? null : userEntity(world, creator),
    projects: runner.projectIds.flatMap((id) => {
      const project = world.project(id);
      return project === undefined ? [] : [projectIdentity(world, project)];
    }),
    groups: [runner.groupId].flatMap((id) => {
      const group = id === null ? undefined : world.group(id);
      if (group === undefined) return [];
      return [
        { id: group.id, name: group.name, web_url: `${world.config.url}/groups/${group.path}` },
      ];
    }),
  };
}

export function managerEntity(world: World, runner: Runner, manager: RunnerManager) {
  return {
    id: manager.id,
    system_id: manager.systemId,
    version: manager.version,
    revision: manager.revision,
    platform: manager.platform,
    architecture: manager.architecture,
    created_at: manager.createdAt,
    contacted_at: manager.contactedAt,
    ip_address: manager.ipAddress,
    status: world.managerStatus(manager),
    job_execution_status: world.runningJobs(runner.id, manager.id).length > 0 ? "active" : "idle",
  };
}

export function commitEntity(world: World, project: Project, commit: Commit) {
  return {
    id: commit.id,
    short_id: commit.id.slice(0, 8),
    created_at: commit.date,
    parent_ids: commit.parents,
    title: commit.title,
    message: `${commit.title}\n`,
    author_name: commit.author,
    author_email: commit.email,
    authored_date: commit.date,
    committer_name: commit.author,
    committer_email: commit.email,
    committed_date: commit.date,
    web_url: `${world.config.url}/${project.path}/-/commit/${commit.id}`,
  };
}

export function branchEntity(
  world: World,
  project: Project,
  branch: { readonly name: string },
  commit: Commit,
) {
  const isProtected = world.isProtected(project, branch.name, false);
  return {
    name: branch.name,
    commit: commitEntity(world, project, commit),
    merged: false,
    protected: isProtected,
    developers_can_push: false,
    developers_can_merge: false,
    can_push: false,
    default: branch.name === project.defaultBranch,
    web_url: `${world.config.url}/${project.path}/-/tree/${branch.name}`,
  };
}

export function pipelineEntity(world: World, project: Project, pipeline: Pipeline) {
  return {
    id: pipeline.id,
    iid: pipeline.iid,
    project_id: project.id,
    sha: pipeline.sha,
    ref: pipeline.ref,
    status: pipeline.status,
    source: pipeline.source,
    created_at: pipeline.createdAt,
    updated_at: pipeline.updatedAt,
    web_url: `${world.config.url}/${project.path}/-/pipelines/${pipeline.id}`,
    name: pipeline.name,
  };
}

export function pipelineDetailsEntity(world: World, project: Project, pipeline: Pipeline) {
  const user = world.user(pipeline.userId);
  return {
    ...pipelineEntity(world, project, pipeline),
    before_sha: "0".repeat(40),
    tag: pipeline.tag,
    yaml_errors: null,
    user: user === undefined ? null : userEntity(world, user),
    started_at: pipeline.startedAt,
    finished_at: pipeline.finishedAt,
    committed_at: null,
    duration: wholeSeconds(pipeline.startedAt, pipeline.finishedAt),
    queued_duration: wholeSeconds(pipeline.createdAt, pipeline.startedAt),
    coverage: null,
    archived: false,
    detailed_status: {
      icon: `status_${pipeline.status}`,
      text: pipeline.status,
      label: pipeline.status,
      group: pipeline.status,
      tooltip: pipeline.status,
      has_details: true,
      details_path: `/${project.path}/-/pipelines/${pipeline.id}`,
      illustration: null,
      favicon: null,
    },
  };
}

/** A job without its artifacts and runner: `GET /runners/:id/jobs` shows it so. */
export function jobBasicEntity(world: World, job: Job) {
  const project = world.project(job.projectId);
  const pipeline = world.store.pipeline(job.pipelineId);
  const user = world.user(job.userId);
  return {
    id: job.id,
    status: job.status,
    stage: job.stage,
    name: job.name,
    ref: job.ref,
    tag: job.tag,
    coverage: null,
    allow_failure: job.allowFailure || (job.status === "failed" && failureAllowed(job)),
    created_at: job.createdAt,
    started_at: job.startedAt,
    finished_at: job.finishedAt,
    erased_at: job.erasedAt,
    duration: seconds(job.startedAt, job.finishedAt ?? endOfRunning(job)),
    queued_duration: seconds(job.queuedAt, job.startedAt ?? endOfQueue(job)),
    user: user === undefined ? null : userEntity(world, user),
    commit:
      project === undefined || pipeline === undefined
        ? null
        : commitEntity(world, project, pipeline.commit),
    pipeline:
      project === undefined || pipeline === undefined
        ? null
        : pipelineEntity(world, project, pipeline),
    ...(job.failureReason === null ? {} : { failure_reason: job.failureReason }),
    web_url: `${world.config.url}/${project?.path ?? ""}/-/jobs/${job.id}`,
    project: { ci_job_token_scope_enabled: false },
  };
}

export function jobEntity(world: World, job: Job) {
  const runner = job.runnerId === null ? undefined : world.store.runner(job.runnerId);
  const manager = runner?.managers.find(({ id }) => id === job.managerId);
  const archive = job.artifactFiles.find((file) => file.fileType === "archive");
  return {
    ...jobBasicEntity(world, job),
    ...(archive === undefined
      ? {}
      : { artifacts_file: { filename: archive.filename, size: archive.size } }),
    artifacts: job.artifactFiles.map((file) => ({
      file_type: file.fileType,
      size: file.size,
      filename: file.filename,
      file_format: file.fileFormat,
    })),
    runner: runner === undefined ? null : runnerEntity(world, runner),
    runner_manager:
      runner === undefined || manager === undefined ? null : managerEntity(world, runner, manager),
    artifacts_expire_at: job.artifactsExpireAt,
    archived: false,
    tag_list: job.tags,
  };
}

export function triggerEntity(world: World, trigger: Trigger, token?: string) {
  const owner = world.user(trigger.ownerId);
  return {
    id: trigger.id,
    // Everyone but the maker of a token sees its first characters only.
    token: token ?? trigger.shortToken,
    description: trigger.description,
    created_at: trigger.createdAt,
    updated_at: trigger.createdAt,
    last_used: null,
    expires_at: null,
    owner: owner === undefined ? null : userEntity(world, owner),
  };
}

function latestManager(runner: Runner): RunnerManager | undefined {
  return [...runner.managers].sort((a, b) => b.contactedAt.localeCompare(a.contactedAt))[0];
}

function endOfRunning(job: Job): string | null {
  return job.startedAt !== null && job.finishedAt === null ? new Date().toISOString() : null;
}

function endOfQueue(job: Job): string | null {
  return job.status === "pending" ? new Date().toISOString() : job.finishedAt;
}

function seconds(from: string | null, to: string | null): number | null {
  if (from === null || to === null) return null;
  return Math.max(0, Date.parse(to) - Date.parse(from)) / 1000;
}

function wholeSeconds(from: string | null, to: string | null): number | null {
  const value = seconds(from, to);
  return value === null ? null : Math.round(value);
}

function parentGroup(world: World, group: Group): Group | undefined {
  const slash = group.path.lastIndexOf("/");
  return slash < 0 ? undefined : world.groupAt(group.path.slice(0, slash));
}

function ancestors(world: World, group: Group): Group[] {
  const parent = parentGroup(world, group);
  return parent === undefined ? [] : [...ancestors(world, parent), parent];
}

function lastPart(fullPath: string): string {
  return fullPath.slice(fullPath.lastIndexOf("/") + 1);
}
