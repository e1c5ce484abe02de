/** GitLab's API as an operator of the lab uses it; runs inside the lab's network. */

import { setTimeout as sleep } from "node:timers/promises";

import { URLS } from "./net/addresses";
import { LabError } from "./progress";
import { readSecret } from "./secrets";

/** Seconds for one request. */
const REQUEST_LIMIT = 30;
const POLL_MS = 1000;

export interface Pipeline {
  readonly id: number;
  readonly status: string;
  readonly web_url: string;
}

export interface Job {
  readonly id: number;
  readonly name: string;
  readonly status: string;
  readonly failure_reason?: string;
  readonly duration: number | null;
  readonly runner: { readonly id: number; readonly description: string } | null;
}

export interface RunnerDetails {
  readonly id: number;
  readonly description: string;
  readonly paused: boolean;
  readonly status: string;
  readonly tag_list: readonly string[];
}

const ENDED = ["success", "failed", "canceled", "skipped"];

/** One request with the operator's token; text where the answer is no JSON. */
export async function gitlab<T>(
  method: "GET" | "POST" | "PUT" | "DELETE",
  path: string,
  body?: unknown,
): Promise<T> {
  const response = await fetch(`${URLS.gitlab}/api/v4/${path}`, {
    method,
    headers: {
      "PRIVATE-TOKEN": readSecret("gitlabOperatorToken"),
      ...(body === undefined ? {} : { "content-type": "application/json" }),
    },
    body: body === undefined ? undefined : JSON.stringify(body),
    signal: AbortSignal.timeout(REQUEST_LIMIT * 1000),
  });
  const text = await response.text();
  if (!response.ok) {
    throw new LabError(`GitLab: ${method} ${path}: ${response.status} ${text.slice(0, 300)}`);
  }
  return (response.headers.get("content-type")?.includes("json") ? JSON.parse(text) : text) as T;
}

/** Starts a pipeline on the default branch. */
export function startPipeline(
  project: number,
  variables: Readonly<Record<string, string>> = {},
): Promise<Pipeline> {
  return gitlab("POST", `projects/${project}/pipeline`, {
    ref: "main",
    variables: Object.entries(variables).map(([key, value]) => ({ key, value })),
  });
}

export const pipelineJobs = (project: number, pipeline: number): Promise<Job[]> =>
  gitlab("GET", `projects/${project}/pipelines/${pipeline}/jobs`);

export const readJob = (project: number, job: number): Promise<Job> =>
  gitlab("GET", `projects/${project}/jobs/${job}`);

export const readTrace = (project: number, job: number): Promise<string> =>
  gitlab("GET", `projects/${project}/jobs/${job}/trace`);

export const cancelJob = (project: number, job: number): Promise<Job> =>
  gitlab("POST", `projects/${project}/jobs/${job}/cancel`);

/**
 * Waits until a job has ended.
 *
 * @param limit seconds
 * @param onLog gets what the job's log has gained since the last call
 * @throws LabError when the limit is reached
 */
export async function followJob(
  project: number,
  id: number,
  limit: number,
  onLog: (text: string) => void = () => undefined,
): Promise<Job> {
  const deadline = Date.now() + limit * 1000;
  let shown = 0;
  for (;;) {
    const job = await readJob(project, id);
    const trace = await readTrace(project, id);
    if (trace.length > shown) onLog(trace.slice(shown));
    shown = trace.length;
    if (ENDED.includes(job.status)) return job;
    if (Date.now() > deadline) {
      throw new LabError(`job ${id} (${job.name}) is ${job.status} after ${limit} s`);
    }
    await sleep(POLL_MS);
  }
}
