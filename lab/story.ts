/**
 * What `make lab` shows, inside the lab's network: `pulumi up`, a pipeline whose job runs on the new
 * host, and a preview that has nothing to do.
 */

import { existsSync, readdirSync } from "node:fs";
import path from "node:path";
import { stripVTControlCharacters } from "node:util";

import { writeSshHosts } from "./environment";
import { followJob, type Job, pipelineJobs, startPipeline } from "./gitlab-client";
import { HEALTH_PROJECT } from "./gitlab-instance";
import { PATHS } from "./paths";
import { duration, LabError, type Phase, say, table, Timings } from "./progress";
import { ensureStack, projectName, pulumi, pulumiAttached, STACK } from "./pulumi";
import { type LabFacts, labStack, writeStack } from "./stack";

/** Seconds for the story's job, from the start of its pipeline. */
const JOB_LIMIT = 900;

/** What the program says of a host; as `HostSummary` of components/runner-host.ts. */
export interface HostOutput {
  readonly address: string;
  readonly hostKey: string;
  readonly node: string;
  readonly vmId: number;
  readonly vmName: string;
  readonly user: string;
  readonly runners: Readonly<Record<string, string>>;
}

/** Runs the story and gives its phases. */
export async function tellStory(facts: LabFacts, before: readonly Phase[]): Promise<void> {
  const timings = new Timings();
  let hosts: Readonly<Record<string, HostOutput>> = {};
  await timings.phase("stack file", async () => {
    await ensureStack();
    await writeStack(labStack(facts));
    await releaseStaleLock(STACK);
  });
  await timings.phase("pulumi up", async () => {
    const status = await pulumiAttached(["up", "--yes", "--skip-preview", "--suppress-progress"]);
    // Also after a failure: the shell is then of more use than ever.
    hosts = await stackHosts();
    writeSshHosts(Object.entries(hosts).map(([name, host]) => ({ name, ...host })));
    if (status !== 0) {
      throw new LabError(
        `pulumi up ended with ${status}; the last error above says why. ` +
          `"make lab" goes on from there, "make lab-shell" lets you look`,
      );
    }
  });
  const job = await timings.phase("job", () => runHealthJob());
  await timings.phase("second preview", async () => {
    const preview = await pulumi(["preview", "--expect-no-changes", "--diff"], {
      accept: [0, 1, 7],
    });
    if (preview.status !== 0) {
      throw new LabError(`a second preview wants to change something:\n${preview.stdout}`);
    }
  });
  process.stdout.write(`\n${summary(hosts, job, [...before, ...timings.phases])}\n`);
}

/** The hosts that a stack's outputs name. */
export async function stackHosts(stack = STACK): Promise<Readonly<Record<string, HostOutput>>> {
  const { stdout } = await pulumi(["stack", "output", "--json"], { stack, limit: 60 });
  return (JSON.parse(stdout) as { hosts?: Record<string, HostOutput> }).hosts ?? {};
}

/** A run that was killed leaves a lock; whoever calls this has the lab's own, so nobody uses it. */
export async function releaseStaleLock(stack: string): Promise<void> {
  const folder = path.join(
    PATHS.pulumiState,
    ".pulumi",
    "locks",
    "organization",
    projectName(),
    stack,
  );
  if (existsSync(folder) && readdirSync(folder).length > 0) {
    say("   an earlier run was ended half-way: releases its lock on the stack");
    await pulumi(["cancel", "--yes"], { stack, limit: 60 });
  }
}

async function runHealthJob(): Promise<Job> {
  const pipeline = await startPipeline(HEALTH_PROJECT.id);
  say(`   pipeline ${pipeline.web_url}`);
  const [job] = await pipelineJobs(HEALTH_PROJECT.id, pipeline.id);
  if (job === undefined) throw new LabError("the pipeline of runner-health has no job");
  const ended = await followJob(HEALTH_PROJECT.id, job.id, JOB_LIMIT, (text) => {
    process.stdout.write(readableLog(text));
  });
  if (ended.status !== "success") {
    throw new LabError(
      `job ${ended.id} (${ended.name}) ended as ${ended.status}` +
        (ended.failure_reason === undefined ? "" : `: ${ended.failure_reason}`),
    );
  }
  return ended;
}

/** A job's log as GitLab shows it: without time stamps, stream numbers, marks of sections, colours. */
export function readableLog(text: string): string {
  return stripVTControlCharacters(text)
    .replace(/^\d{4}-\d\d-\d\dT[\d:.]+Z \d\d[OE][ +]/gm, "")
    .replace(/^section_(start|end):\d+:\w+\r*\n?/gm, "");
}

function summary(
  hosts: Readonly<Record<string, HostOutput>>,
  job: Job,
  phases: readonly Phase[],
): string {
  const rows = Object.entries(hosts).map(([name, host]) => [
    name,
    host.address,
    `${host.vmId} on ${host.node}`,
    Object.entries(host.runners)
      .map(([profile, id]) => `${id} (${profile})`)
      .join(", "),
    job.runner !== null && Object.values(host.runners).includes(String(job.runner.id))
      ? `${job.id} ${job.name}: ${job.status}, ${duration(job.duration ?? 0)}`
      : "",
  ]);
  return [
    table([["HOST", "ADDRESS", "VM", "RUNNER", "JOB"], ...rows]),
    "",
    table([["PHASE", "TIME"], ...phases.map(({ name, seconds }) => [name, duration(seconds)])]),
    "",
    `The second preview found nothing to change. Look around: make lab-shell`,
  ].join("\n");
}
