/** What the person at the terminal sees of the lab's work, and how long each part took. */

import { performance } from "node:perf_hooks";

/** One line. Standard error, so that the output of a command in the lab's shell stays clean. */
export function say(line: string): void {
  process.stderr.write(`lab: ${line}\n`);
}

/** An error whose sentence is all that a person needs; no stack is shown. */
export class LabError extends Error {}

export interface Phase {
  readonly name: string;
  readonly seconds: number;
}

/** The phases of one run, in order. */
export class Timings {
  private readonly done: Phase[] = [];

  get phases(): readonly Phase[] {
    return this.done;
  }

  /** Runs a phase: says that it begins, and how long it took. */
  async phase<T>(name: string, work: () => Promise<T>): Promise<T> {
    const started = performance.now();
    say(`── ${name}`);
    const result = await work();
    const seconds = (performance.now() - started) / 1000;
    this.done.push({ name, seconds });
    say(`   ${name}: ${duration(seconds)}`);
    return result;
  }
}

/** `0.4 s`, `12 s`, `3 min 5 s`. */
export function duration(seconds: number): string {
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 100) return `${Math.round(seconds)} s`;
  const whole = Math.round(seconds);
  return `${Math.floor(whole / 60)} min ${whole % 60} s`;
}

/** Says every `every` seconds how long something has been going on; call the result to end it. */
export function heartbeat(what: string, limit: number, every = 15): () => void {
  const started = performance.now();
  const timer = setInterval(() => {
    const passed = Math.round((performance.now() - started) / 1000);
    say(`   ${what}: ${passed} s of at most ${limit} s`);
  }, every * 1000);
  return () => clearInterval(timer);
}

/** Lines of a table: columns as wide as their widest cell. */
export function table(rows: readonly (readonly string[])[]): string {
  const widths = rows.reduce<number[]>(
    (sum, row) => row.map((cell, index) => Math.max(cell.length, sum[index] ?? 0)),
    [],
  );
  return rows
    .map((row) => row.map((cell, index) => cell.padEnd(widths[index] ?? 0)).join("   "))
    .map((line) => line.trimEnd())
    .join("\n");
}
