/** The state on disk: one JSON file, replaced atomically, readable by its owner only. */

import { mkdirSync, readFileSync } from "node:fs";
import { open, rename } from "node:fs/promises";
import path from "node:path";

import type { Job, Pipeline, Runner, State } from "./model";

/** Milliseconds that contact times may wait to be written. */
const LAZY_MS = 5000;

export class Store {
  readonly state: State;
  private readonly file: string;
  private dirty = false;
  private writing: Promise<void> | undefined;
  private lazyTimer: NodeJS.Timeout | undefined;

  constructor(readonly dir: string) {
    mkdirSync(dir, { recursive: true, mode: 0o700 });
    this.file = path.join(dir, "state.json");
    this.state = read(this.file);
  }

  /** Says that the state has changed; `settled` waits until the change is on disk. */
  touch(): void {
    this.dirty = true;
    this.writing ??= this.write().finally(() => (this.writing = undefined));
  }

  /** As `touch`, for what may be lost when the machine falls over: contact times. */
  touchLazily(): void {
    this.lazyTimer ??= setTimeout(() => {
      this.lazyTimer = undefined;
      this.touch();
    }, LAZY_MS).unref();
  }

  /** Resolves once every change is on disk. */
  async settled(): Promise<void> {
    await this.writing;
  }

  async close(): Promise<void> {
    clearTimeout(this.lazyTimer);
    this.touch();
    await this.settled();
  }

  nextId(kind: keyof State["counters"]): number {
    return ++this.state.counters[kind];
  }

  runner(id: number): Runner | undefined {
    return this.state.runners.find((runner) => runner.id === id);
  }

  pipeline(id: number): Pipeline | undefined {
    return this.state.pipelines.find((pipeline) => pipeline.id === id);
  }

  job(id: number): Job | undefined {
    return this.state.jobs.find((job) => job.id === id);
  }

  jobsOf(pipelineId: number): Job[] {
    return this.state.jobs.filter((job) => job.pipelineId === pipelineId);
  }

  private async write(): Promise<void> {
    // Let the request that changed something finish its changes first.
    await new Promise((resolve) => setImmediate(resolve));
    while (this.dirty) {
      this.dirty = false;
      const next = `${this.file}.next`;
      const handle = await open(next, "w", 0o600);
      try {
        await handle.writeFile(JSON.stringify(this.state));
        await handle.sync();
      } finally {
        await handle.close();
      }
      await rename(next, this.file);
    }
  }
}

function read(file: string): State {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    return {
      format: 1,
      counters: { runner: 0, manager: 0, pipeline: 0, job: 0, trigger: 0 },
      runners: [],
      triggers: [],
      pipelines: [],
      jobs: [],
    };
  }
  const state = JSON.parse(text) as State;
  if (state.format !== 1) {
    throw new Error(`${file}: format ${String(state.format)} is unknown; remove the state folder`);
  }
  return state;
}
