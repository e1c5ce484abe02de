/**
 * How long a `pulumi preview` takes that has nothing to do: `npm run bench -- preview`.
 *
 * Compared within one run: this program with some hosts; a program that registers the same
 * resources ready-made (programs/bare); one that makes nothing (programs/empty). The state of many
 * hosts is made out of that of one, which is really brought up for it, as a light guest of the
 * running lab; no preview talks to a host. Every preview has to end without a change, else the run
 * ends with an error: it would measure something else.
 *
 * Needs the running lab. Makes the stack STACK and its host; the other stacks have a backend of
 * their own in a folder that only root reads. Everything is removed at the end, and what an
 * interrupted run left by the next.
 */

import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { performance } from "node:perf_hooks";

import { parse, stringify } from "yaml";

import { readFacts } from "../lab/facts";
import { PREFIX } from "../lab/net/addresses";
import { ROOT, STATE } from "../lab/paths";
import { LabError, say, table } from "../lab/progress";
import { ensureStack, projectName, pulumi, stackExists, stackFile } from "../lab/pulumi";
import { labStack, type StackValues, writeStack } from "../lab/stack";
import { releaseStaleLock, stackHosts } from "../lab/story";
import { load } from "./machine";
import { adopt, type Step } from "./preview/adopt";
import { bareResources, flatten } from "./preview/bare";
import { type HostFacts, replicate } from "./preview/replicate";
import type { State } from "./preview/state";
import { median } from "./statistics";

export interface PreviewOptions {
  /** Numbers of hosts. */
  readonly hosts: readonly number[];
  /** Previews of each program; the table has their median. */
  readonly runs: number;
}

const STACK = "lab-bench";
const HOST = { name: "ci-141", address: "10.77.0.141" };
const NODE = "pve1";
const TEMPORARY = "bench-";
const PROGRAMS = path.join(ROOT, "bench", "programs");
/** Seconds for one host's `up`. */
const UP_LIMIT = 900;
const PREVIEW_LIMIT = 300;
/** Previews in which the state of copies has to come to rest. */
const ROUNDS = 4;

/** A program with a stack, and how it is previewed. */
interface Subject {
  readonly what: string;
  readonly hosts: number;
  readonly stack: string;
  /** Folder of the program. */
  readonly folder: string;
  readonly env: NodeJS.ProcessEnv;
}

/** The copies: addresses between those of the lab's guests and the end of its network. */
function copies(count: number): HostFacts[] {
  return Array.from({ length: count }, (_, index) => ({
    name: `ci-${200 + index}`,
    address: `10.77.0.${200 + index}`,
    vmId: 5200 + index,
  }));
}

/** Runs inside the lab's network. */
export async function measurePreview(options: PreviewOptions): Promise<string> {
  const most = Math.max(...options.hosts);
  if (!(most <= 54)) throw new LabError(`${most} hosts: the lab's network has room for 54`);
  removeLeftovers();
  const folder = mkdtempSync(path.join(STATE, TEMPORARY));
  try {
    const original = await bringUp();
    const subjects = [await emptyProgram(folder)];
    for (const hosts of options.hosts) {
      subjects.push(...(await programsWith(hosts, original, folder)));
    }
    return summary(subjects, await measure(subjects, options.runs), options);
  } finally {
    removeLeftovers();
    await tearDown();
  }
}

/** What the stack file of light hosts says, but for secrets. */
function stackValues(hosts: readonly Pick<HostFacts, "name" | "address">[]): StackValues {
  return labStack(
    { ...readFacts(), guest: "light" },
    hosts.map(({ name, address }) => ({ name, node: NODE, address: `${address}/${PREFIX}` })),
  );
}

/** The state of one real host. */
async function bringUp(): Promise<{ state: State; host: HostFacts }> {
  say(`   brings up ${HOST.name}, whose state is then copied`);
  const values = stackValues([HOST]);
  await ensureStack(STACK);
  await releaseStaleLock(STACK);
  await writeStack(values, STACK);
  await pulumi(["up", "--yes", "--skip-preview"], { stack: STACK, limit: UP_LIMIT });
  const { vmId } = (await stackHosts(STACK))[HOST.name] ?? {};
  if (vmId === undefined) throw new LabError(`the stack's outputs do not name ${HOST.name}`);
  const { stdout } = await pulumi(["stack", "export", "--show-secrets"], { stack: STACK });
  return {
    state: JSON.parse(stdout) as State,
    host: { name: HOST.name, address: HOST.address, vmId },
  };
}

async function tearDown(): Promise<void> {
  if (!stackExists(STACK)) return;
  say(`   destroys ${HOST.name}`);
  await pulumi(["destroy", "--yes", "--skip-preview"], { stack: STACK, limit: UP_LIMIT });
  await pulumi(["stack", "rm", "--yes"], { stack: STACK });
}

/** Folders with states and files of stacks: this run's and those of one that was killed. */
function removeLeftovers(): void {
  for (const name of readdirSync(STATE).filter((entry) => entry.startsWith(TEMPORARY))) {
    rmSync(path.join(STATE, name), { recursive: true });
  }
  for (const folder of [ROOT, ...readdirSync(PROGRAMS).map((name) => path.join(PROGRAMS, name))]) {
    for (const name of readdirSync(folder)) {
      if (name.startsWith(`Pulumi.${STACK}-`)) rmSync(path.join(folder, name));
    }
  }
}

function subject(
  what: string,
  hosts: number,
  folder: string,
  backend: string,
  env: NodeJS.ProcessEnv = {},
): Subject {
  return {
    what,
    hosts,
    stack: `${STACK}-${hosts}`,
    folder,
    env: { ...env, PULUMI_BACKEND_URL: `file://${backend}` },
  };
}

function inSubject(
  { stack, folder, env }: Subject,
  args: readonly string[],
  options: { input?: string; accept?: readonly number[] } = {},
) {
  return pulumi([...args, "--cwd", folder], { stack, env, limit: PREVIEW_LIMIT, ...options });
}

async function initialise(made: Subject): Promise<void> {
  mkdirSync(new URL(made.env.PULUMI_BACKEND_URL ?? "").pathname, { recursive: true });
  await inSubject(made, ["stack", "init"]);
}

async function emptyProgram(temporary: string): Promise<Subject> {
  const made = subject("empty program", 0, path.join(PROGRAMS, "empty"), temporary);
  await initialise(made);
  // Its output is no change only once it is in the state.
  await inSubject(made, ["up", "--yes", "--skip-preview"]);
  await expectNoChange(made);
  return made;
}

/** This program and the bare resources, both with the state of so many hosts. */
async function programsWith(
  count: number,
  original: { state: State; host: HostFacts },
  temporary: string,
): Promise<Subject[]> {
  say(`   makes the state of ${count} host(s)`);
  const hosts = copies(count);
  const full = subject("this program", count, ROOT, temporary);
  writeStackFile(full.stack, hosts);
  await initialise(full);
  const state = await settle(
    full,
    replicate(original.state, { stack: STACK, host: original.host }, { stack: full.stack, hosts }),
  );

  const folder = path.join(PROGRAMS, "bare");
  const file = path.join(temporary, `resources-${count}.json`);
  const bare = subject("bare resources", count, folder, temporary, { BENCH_RESOURCES: file });
  const { name } = parse(readFileSync(path.join(folder, "Pulumi.yaml"), "utf8")) as {
    name: string;
  };
  const flat = flatten(state, name, ROOT);
  writeFileSync(file, JSON.stringify(bareResources(flat)), { mode: 0o600 });
  await initialise(bare);
  await importState(bare, flat);
  await expectNoChange(bare);
  return [bare, full];
}

/** The file of the one host's stack with other hosts; the same passphrase opens its secrets. */
function writeStackFile(stack: string, hosts: readonly HostFacts[]): void {
  const file = parse(readFileSync(stackFile(STACK), "utf8")) as {
    config: Record<string, unknown>;
  };
  file.config[`${projectName()}:hosts`] = stackValues(hosts).hosts;
  writeFileSync(stackFile(stack), stringify(file, { lineWidth: 0 }), { mode: 0o600 });
}

async function importState(made: Subject, state: State): Promise<void> {
  await inSubject(made, ["stack", "import"], { input: JSON.stringify(state) });
}

/** Lets the program say what it would register, until that is what the state holds. */
async function settle(made: Subject, first: State): Promise<State> {
  let state = first;
  for (let round = 0; round < ROUNDS; round++) {
    await importState(made, state);
    const { stdout } = await inSubject(made, ["preview", "--json"]);
    const { steps } = JSON.parse(stdout) as { steps: Step[] };
    if (steps.every(({ op }) => op === "same")) {
      await expectNoChange(made);
      return state;
    }
    state = adopt(state, steps);
  }
  await expectNoChange(made);
  return state;
}

/** @throws LabError with what the preview would change */
async function expectNoChange(made: Subject): Promise<void> {
  const { status, stdout, stderr } = await inSubject(
    made,
    ["preview", "--expect-no-changes", "--diff"],
    { accept: [0, 1, 7, 255] },
  );
  if (status !== 0) {
    const shown = `${stdout}\n${stderr}`.trim().split("\n").slice(-60).join("\n");
    throw new LabError(
      `${made.what}, ${made.hosts} host(s): a preview that should change nothing says\n${shown}`,
    );
  }
}

/** Seconds of each preview by subject; one of each in turn, so that all meet the same machine. */
async function measure(
  subjects: readonly Subject[],
  runs: number,
): Promise<ReadonlyMap<Subject, readonly number[]>> {
  const times = new Map<Subject, number[]>(subjects.map((made) => [made, []]));
  for (let run = 1; run <= runs; run++) {
    say(`   previews, ${run} of ${runs} (load ${load()})`);
    for (const made of subjects) {
      const started = performance.now();
      await inSubject(made, ["preview", "--expect-no-changes"]);
      times.get(made)?.push((performance.now() - started) / 1000);
    }
  }
  return times;
}

function summary(
  subjects: readonly Subject[],
  times: ReadonlyMap<Subject, readonly number[]>,
  { hosts, runs }: PreviewOptions,
): string {
  const medianOf = (what: string, count: number) => {
    const found = subjects.find((made) => made.what === what && made.hosts === count);
    return median((found && times.get(found)) ?? []);
  };
  const empty = medianOf("empty program", 0);
  const seconds = (value: number) => value.toFixed(1);
  const ratio = (value: number) => value.toFixed(2);
  const rows = hosts.map((count) => {
    const full = medianOf("this program", count);
    const bare = medianOf("bare resources", count);
    return [
      String(count),
      seconds(full),
      seconds(bare),
      seconds(empty),
      ratio(full / empty),
      ratio(full / bare),
    ];
  });
  return [
    table([["HOSTS", "THIS s", "BARE s", "EMPTY s", "THIS / EMPTY", "THIS / BARE"], ...rows]),
    "",
    `no-change previews, medians of ${runs} run(s); load ${load()} at the end`,
  ].join("\n");
}
