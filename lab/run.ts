/** Runs other programs: each has a limit, and an error says what failed and what it printed last. */

import { spawn, type SpawnOptions } from "node:child_process";
import { closeSync, openSync, readFileSync } from "node:fs";

import { heartbeat, LabError } from "./progress";

export interface RunOptions {
  /** Seconds until the program is ended. */
  readonly limit: number;
  /** Standard input; nothing otherwise. */
  readonly input?: string;
  readonly env?: NodeJS.ProcessEnv;
  readonly cwd?: string;
  /** Exit statuses that are no error. Default: 0. */
  readonly accept?: readonly number[];
}

export interface RunResult {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

const LAST_LINES = 15;

/** Whether the last word about a program is worth more than its whole output. */
function lastLines(text: string): string {
  return text.trimEnd().split("\n").slice(-LAST_LINES).join("\n");
}

function failure(program: string, args: readonly string[], end: string, output: string): LabError {
  const shown = [program, ...args].join(" ").slice(0, 160);
  const last = lastLines(output);
  return new LabError(`"${shown}" ${end}${last === "" ? "" : `:\n${last}`}`);
}

/**
 * Ends a program, and whatever it started, when its limit is reached.
 *
 * @returns a function that says whether that happened, and gives up the watch
 */
function watch(pid: number | undefined, seconds: number): () => boolean {
  let expired = false;
  const end = (signal: NodeJS.Signals) => {
    expired = true;
    try {
      if (pid !== undefined) process.kill(-pid, signal);
    } catch {
      // It has just ended by itself.
    }
  };
  const soft = setTimeout(() => end("SIGTERM"), seconds * 1000);
  const hard = setTimeout(() => end("SIGKILL"), (seconds + 15) * 1000);
  return () => {
    clearTimeout(soft);
    clearTimeout(hard);
    return expired;
  };
}

/**
 * Runs a program and gives what it printed. Secrets go in by `input`, never by `args`.
 *
 * @throws LabError when it cannot be started, reaches its limit, or ends with another status
 */
export async function run(
  program: string,
  args: readonly string[],
  options: RunOptions,
): Promise<RunResult> {
  const spawned: SpawnOptions = {
    cwd: options.cwd,
    env: options.env ?? process.env,
    stdio: ["pipe", "pipe", "pipe"],
    detached: true,
  };
  const child = spawn(program, args, spawned);
  const expired = watch(child.pid, options.limit);
  let stdout = "";
  let stderr = "";
  child.stdout?.setEncoding("utf8").on("data", (text: string) => (stdout += text));
  child.stderr?.setEncoding("utf8").on("data", (text: string) => (stderr += text));
  // A program may end without having read its input.
  child.stdin?.on("error", () => undefined);
  child.stdin?.end(options.input ?? "");
  const status = await ended(child, program, args);
  if (expired()) {
    throw failure(program, args, `did not end within ${options.limit} s`, stderr || stdout);
  }
  if (!(options.accept ?? [0]).includes(status)) {
    throw failure(program, args, `ended with ${status}`, stderr || stdout);
  }
  return { status, stdout, stderr };
}

/** A program's standard output, without the last line feed. */
export async function output(
  program: string,
  args: readonly string[],
  options: RunOptions,
): Promise<string> {
  return (await run(program, args, options)).stdout.trimEnd();
}

/**
 * Runs a program that takes its time: its output goes to a log, the terminal sees that it goes on.
 *
 * @throws LabError with the end of the log
 */
export async function runLogged(
  what: string,
  program: string,
  args: readonly string[],
  options: Omit<RunOptions, "input"> & { readonly log: string },
): Promise<void> {
  const log = openSync(options.log, "w", 0o600);
  const stop = heartbeat(what, options.limit);
  try {
    const child = spawn(program, args, {
      cwd: options.cwd,
      env: options.env ?? process.env,
      stdio: ["ignore", log, log],
      detached: true,
    });
    const expired = watch(child.pid, options.limit);
    const status = await ended(child, program, args);
    const late = expired();
    if (late || !(options.accept ?? [0]).includes(status)) {
      const end = late ? `did not end within ${options.limit} s` : `ended with ${status}`;
      const written = readFileSync(options.log, "utf8");
      throw failure(program, args, `${end}; its log is ${options.log}`, written);
    }
  } finally {
    stop();
    closeSync(log);
  }
}

/**
 * Runs a program on this terminal, to its end; an interrupt from the keyboard reaches it too.
 *
 * @returns its exit status
 */
export async function attach(
  program: string,
  args: readonly string[],
  options: Omit<RunOptions, "input" | "accept">,
): Promise<number> {
  const child = spawn(program, args, {
    cwd: options.cwd,
    env: options.env ?? process.env,
    stdio: "inherit",
  });
  // The terminal sends Ctrl-C to both: the program decides what it means.
  const ignore = () => undefined;
  const relay = (signal: NodeJS.Signals) => child.kill(signal);
  process.on("SIGINT", ignore).on("SIGTERM", relay);
  const timer = Number.isFinite(options.limit)
    ? setTimeout(() => child.kill("SIGINT"), options.limit * 1000)
    : undefined;
  try {
    return await ended(child, program, args);
  } finally {
    clearTimeout(timer);
    process.off("SIGINT", ignore).off("SIGTERM", relay);
  }
}

function ended(
  child: ReturnType<typeof spawn>,
  program: string,
  args: readonly string[],
): Promise<number> {
  return new Promise((resolve, reject) => {
    child.once("error", (error) =>
      reject(failure(program, args, `cannot be started: ${error.message}`, "")),
    );
    child.once("close", (code, signal) => resolve(code ?? (signal === null ? 1 : 128 + 15)));
  });
}
