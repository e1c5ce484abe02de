/** What the lab's tests share: stacks, hosts and jobs. Runs inside the lab's network. */

import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";

import { ADMIN_USER } from "../../lab/environment";
import { readFacts } from "../../lab/facts";
import { followJob, type Job, pipelineJobs, readJob, startPipeline } from "../../lab/gitlab-client";
import { HEALTH_PROJECT, WORKLOAD_PROJECT } from "../../lab/gitlab-instance";
import { gitlabInventory, proxmoxInventory } from "../../lab/inventory";
import { secretFile } from "../../lab/paths";
import { ensureStack, pulumi, stackExists } from "../../lab/pulumi";
import { run, type RunResult } from "../../lab/run";
import { SECRETS } from "../../lab/secrets";
import {
  type LabFacts,
  type LabHost,
  labStack,
  type StackValues,
  writeStack,
} from "../../lab/stack";
import { type HostOutput, releaseStaleLock, stackHosts } from "../../lab/story";

/** Seconds that an `up` may take: a VM without hardware virtualisation boots in minutes. */
const UP_LIMIT = 1500;
const SSH_LIMIT = 120;

/** A map with other values at some keys, however deep; lists are taken whole. */
export function withValues(base: StackValues, over: StackValues): StackValues {
  const isMap = (value: unknown): value is StackValues =>
    typeof value === "object" && value !== null && !Array.isArray(value);
  const result: Record<string, unknown> = { ...base };
  for (const [key, value] of Object.entries(over)) {
    const old = result[key];
    result[key] = isMap(old) && isMap(value) ? withValues(old, value) : value;
  }
  return result;
}

/** The lab's stack values for a kind of guest, with the profile `load` for the workload project. */
export function testStack(guest: LabFacts["guest"], hosts: readonly LabHost[]): StackValues {
  const base = labStack({ ...readFacts(), guest }, hosts);
  const { default: profile } = base.profiles as { default: StackValues };
  return withValues(base, {
    profiles: { load: { ...profile, project: WORKLOAD_PROJECT.id, tags: ["load"] } },
    defaults: { profiles: ["default", "load"] },
  });
}

/** A stack of its own in the lab, driven by the real Pulumi CLI. */
export class LabStack {
  private constructor(
    readonly name: string,
    private values: StackValues,
  ) {}

  /** Makes the stack, after what an earlier, unfinished run of the same test left. */
  static async create(name: string, values: StackValues): Promise<LabStack> {
    const stack = new LabStack(name, values);
    if (stackExists(name)) {
      await releaseStaleLock(name);
      await writeStack(values, name);
      await stack.destroy();
    }
    await ensureStack(name);
    await writeStack(values, name);
    return stack;
  }

  /** Changes the stack's file. */
  async change(over: StackValues): Promise<void> {
    this.values = withValues(this.values, over);
    await writeStack(this.values, this.name);
  }

  private run(
    args: readonly string[],
    options: { accept?: readonly number[]; limit?: number } = {},
  ): Promise<RunResult> {
    return pulumi(args, {
      stack: this.name,
      limit: UP_LIMIT,
      ...options,
    });
  }

  up(...args: string[]): Promise<RunResult> {
    return this.run(["up", "--yes", "--skip-preview", ...args]);
  }

  /** An `up` that is expected to fail. */
  async failingUp(): Promise<string> {
    const result = await this.run(["up", "--yes", "--skip-preview"], { accept: [0, 1, 255] });
    if (result.status === 0) throw new Error(`pulumi up succeeded:\n${result.stdout}`);
    return result.stdout + result.stderr;
  }

  /** Exit status and text of a preview. */
  preview(...args: string[]): Promise<RunResult> {
    return this.run(["preview", ...args], { accept: [0, 1, 7, 255] });
  }

  /** What a preview would do, as `pulumi preview --json` says: resource name to operation. */
  async plan(): Promise<ReadonlyMap<string, string>> {
    const { stdout } = await this.run(["preview", "--json"]);
    const { steps } = JSON.parse(stdout) as { steps: { op: string; urn: string }[] };
    return new Map(
      steps
        .filter(({ op }) => op !== "same")
        .map(({ op, urn }) => [urn.split("::").at(-1) as string, op]),
    );
  }

  hosts(): Promise<Readonly<Record<string, HostOutput>>> {
    return stackHosts(this.name);
  }

  /** The deployment as `pulumi stack export` gives it: as it stands in the backend. */
  async state(): Promise<string> {
    return (await pulumi(["stack", "export"], { stack: this.name })).stdout;
  }

  async destroy(): Promise<RunResult> {
    return this.run(["destroy", "--yes", "--skip-preview"]);
  }
}

const knownHosts = mkdtempSync(path.join(tmpdir(), "lab-known-hosts-"));

/** Runs a command on a host as its admin user. */
export function ssh(
  host: HostOutput,
  command: string,
  options: { accept?: readonly number[]; limit?: number; input?: string } = {},
): Promise<RunResult> {
  const known = path.join(knownHosts, String(host.vmId));
  writeFileSync(known, `host ${host.hostKey}\n`);
  return run(
    "/usr/bin/ssh",
    [
      ...["-F", "/dev/null", "-i", secretFile(SECRETS.guestKey)],
      ...["BatchMode=yes", "StrictHostKeyChecking=yes", "HostKeyAlias=host", "ConnectTimeout=20"]
        .concat(`UserKnownHostsFile=${known}`)
        .flatMap((option) => ["-o", option]),
      `${ADMIN_USER}@${host.address}`,
      command,
    ],
    { limit: options.limit ?? SSH_LIMIT, accept: options.accept, input: options.input },
  );
}

/** What a command prints on a host, as root. */
export async function asRoot(host: HostOutput, script: string): Promise<string> {
  return (await ssh(host, "sudo -n bash -s", { input: script })).stdout.trim();
}

/** Starts jobs of the workload project on one host. */
export async function startLoad(
  host: string,
  job: string,
  variables: Readonly<Record<string, string>> = {},
): Promise<Job[]> {
  const pipeline = await startPipeline(WORKLOAD_PROJECT.id, {
    RUNNER_TAG: host,
    JOB: job,
    ...variables,
  });
  return pipelineJobs(WORKLOAD_PROJECT.id, pipeline.id);
}

export const loadJob = (id: number): Promise<Job> => readJob(WORKLOAD_PROJECT.id, id);

/** Waits for the end of a job of the workload project, and gives it with its log. */
export async function finishLoad(id: number, limit = 300): Promise<Job & { log: string }> {
  return finish(WORKLOAD_PROJECT.id, id, limit);
}

/** Runs the health project's job on one host. */
export async function runHealth(host: string, limit = 600): Promise<Job & { log: string }> {
  const pipeline = await startPipeline(HEALTH_PROJECT.id, { RUNNER_TAG: host });
  const [job] = await pipelineJobs(HEALTH_PROJECT.id, pipeline.id);
  if (job === undefined) throw new Error("the pipeline has no job");
  return finish(HEALTH_PROJECT.id, job.id, limit);
}

async function finish(project: number, id: number, limit: number): Promise<Job & { log: string }> {
  let log = "";
  const job = await followJob(project, id, limit, (text) => (log += text));
  return { ...job, log };
}

/** Waits until something holds. @param limit seconds */
export async function eventually(
  what: string,
  holds: () => Promise<boolean>,
  limit = 60,
): Promise<void> {
  const deadline = Date.now() + limit * 1000;
  while (!(await holds())) {
    if (Date.now() > deadline) throw new Error(`${what}: not within ${limit} s`);
    await new Promise((resolve) => setTimeout(resolve, 1000));
  }
}

/** Neither Proxmox nor GitLab knows anything of these hosts any more. */
export async function expectNothingLeft(hosts: readonly string[]): Promise<void> {
  const [proxmox, gitlab] = await Promise.all([proxmoxInventory(), gitlabInventory()]);
  // By name: other tests' stacks may be there at the same time.
  const left = JSON.stringify({ ...proxmox, tasks: undefined });
  for (const host of hosts) {
    expect(left).not.toContain(host);
    expect(gitlab.runners.filter(({ tag_list }) => tag_list.includes(host))).toEqual([]);
  }
  const known = gitlab.runners.map(({ id }) => id);
  expect(gitlab.managers.filter(({ runner_id }) => !known.includes(runner_id))).toEqual([]);
}
