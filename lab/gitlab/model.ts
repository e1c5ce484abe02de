/**
 * The records that this GitLab keeps. Field names follow GitLab's REST entities in camel case;
 * times are ISO strings with milliseconds, durations are seconds.
 */

import type {
  CiArtifacts,
  CiCache,
  CiImage,
  CiNeed,
  CiRetry,
  CiService,
  CiVariable,
} from "./ci/model";
import type { Commit } from "./repositories";

export type RunnerType = "instance_type" | "group_type" | "project_type";
export const RUNNER_TYPES: readonly RunnerType[] = ["instance_type", "group_type", "project_type"];

export type AccessLevel = "not_protected" | "ref_protected";
export const ACCESS_LEVELS: readonly AccessLevel[] = ["not_protected", "ref_protected"];

export type RunnerStatus = "online" | "offline" | "stale" | "never_contacted";
export const RUNNER_STATUSES: readonly RunnerStatus[] = [
  "online",
  "offline",
  "stale",
  "never_contacted",
];

/** One machine that uses a runner's token, told apart by its system id. */
export interface RunnerManager {
  readonly id: number;
  readonly systemId: string;
  name: string | null;
  version: string | null;
  revision: string | null;
  platform: string | null;
  architecture: string | null;
  executor: string | null;
  ipAddress: string | null;
  readonly createdAt: string;
  contactedAt: string;
}

/** A runner record. The token itself is not here: only its hash. */
export interface Runner {
  readonly id: number;
  readonly runnerType: RunnerType;
  description: string;
  maintenanceNote: string | null;
  paused: boolean;
  locked: boolean;
  accessLevel: AccessLevel;
  runUntagged: boolean;
  tagList: string[];
  maximumTimeout: number | null;
  readonly groupId: number | null;
  projectIds: number[];
  readonly creatorId: number;
  readonly createdAt: string;
  contactedAt: string | null;
  tokenHash: string;
  tokenExpiresAt: string | null;
  managers: RunnerManager[];
}

/** A pipeline trigger token of a project. */
export interface Trigger {
  readonly id: number;
  readonly projectId: number;
  description: string;
  readonly ownerId: number;
  readonly createdAt: string;
  readonly tokenHash: string;
  /** Made by the configuration, and gone when it no longer names the token. */
  readonly configured: boolean;
  /** The first characters, which GitLab shows in lists and hands to jobs. */
  readonly shortToken: string;
}

export type PipelineSource = "api" | "trigger" | "web" | "push";

/** A variable as the runner gets it. */
export interface JobVariable {
  key: string;
  value: string;
  public: boolean;
  masked: boolean;
  raw: boolean;
  file: boolean;
}

export interface Pipeline {
  readonly id: number;
  readonly iid: number;
  readonly projectId: number;
  readonly ref: string;
  readonly tag: boolean;
  readonly sha: string;
  readonly source: PipelineSource;
  readonly name: string | null;
  readonly userId: number;
  /** What the caller passed along. */
  readonly variables: JobVariable[];
  readonly triggerShortToken: string | null;
  readonly stages: readonly string[];
  readonly commit: Commit;
  status: JobStatus;
  readonly createdAt: string;
  updatedAt: string;
  startedAt: string | null;
  finishedAt: string | null;
}

export type JobStatus =
  | "created"
  | "waiting_for_resource"
  | "pending"
  | "running"
  | "canceling"
  | "success"
  | "failed"
  | "canceled"
  | "skipped"
  | "manual";

export type JobWhen = "on_success" | "on_failure" | "always" | "manual";

/** A stored artifact file of a job. */
export interface JobArtifact {
  readonly fileType: string;
  readonly fileFormat: string;
  readonly filename: string;
  readonly size: number;
}

export interface Job {
  readonly id: number;
  readonly pipelineId: number;
  readonly projectId: number;
  readonly name: string;
  readonly stage: string;
  readonly stageIndex: number;
  readonly ref: string;
  readonly tag: boolean;
  readonly sha: string;
  readonly protected: boolean;
  userId: number;
  status: JobStatus;
  failureReason: string | null;
  exitCode: number | null;
  readonly allowFailure: boolean;
  readonly allowFailureExitCodes: readonly number[];
  readonly when: JobWhen;
  readonly tags: readonly string[];
  readonly beforeScript: readonly string[];
  readonly script: readonly string[];
  readonly afterScript: readonly string[];
  readonly image: CiImage | null;
  readonly services: readonly CiService[];
  readonly variables: readonly CiVariable[];
  readonly artifacts: CiArtifacts | null;
  readonly cache: readonly CiCache[];
  /** Names of the jobs that this one waits for; null: every job of the stages before. */
  readonly needs: readonly CiNeed[] | null;
  readonly dependencies: readonly string[] | null;
  readonly timeout: number | null;
  readonly retry: CiRetry | null;
  readonly node: { readonly index: number; readonly total: number } | null;
  readonly environment: string | null;
  readonly resourceGroup: string | null;
  /** How often this name was retried by itself in this pipeline. */
  readonly attempt: number;
  /** True once a later job of the same name took this one's place. */
  retried: boolean;
  /** Set by hand when a manual job is played. */
  playVariables: JobVariable[];
  /** From a dotenv report, for the jobs that come after. */
  dotenv: JobVariable[];
  runnerId: number | null;
  managerId: number | null;
  /** Until when the runner has to say that it takes the job (two-phase commit). */
  acknowledgeBy: string | null;
  cancelGracefully: boolean;
  tokenHash: string | null;
  readonly createdAt: string;
  queuedAt: string | null;
  startedAt: string | null;
  finishedAt: string | null;
  erasedAt: string | null;
  /** Last sign of life of the runner about this job. */
  heardAt: string | null;
  artifactFiles: JobArtifact[];
  artifactsExpireAt: string | null;
}

/** What lies on disk. */
export interface State {
  readonly format: 1;
  counters: { runner: number; manager: number; pipeline: number; job: number; trigger: number };
  runners: Runner[];
  triggers: Trigger[];
  pipelines: Pipeline[];
  jobs: Job[];
}
