/** Runs the real Pulumi CLI on this checkout's program. */

import { existsSync, readFileSync } from "node:fs";
import path from "node:path";

import { parse } from "yaml";

import { labEnvironment } from "./environment";
import { PATHS, ROOT } from "./paths";
import { attach, run, type RunResult } from "./run";

/** Seconds after which a Pulumi command is ended. */
const LIMIT = 3600;

/** The stack of `make lab`. */
export const STACK = "lab";

/** Name of the project, which prefixes every configuration key. */
export function projectName(): string {
  const { name } = parse(readFileSync(path.join(ROOT, "Pulumi.yaml"), "utf8")) as { name: string };
  return name;
}

export interface PulumiOptions {
  readonly stack?: string;
  readonly limit?: number;
  readonly input?: string;
  readonly accept?: readonly number[];
  readonly env?: NodeJS.ProcessEnv;
}

function commandLine(args: readonly string[], options: PulumiOptions): string[] {
  return [...args, "--stack", options.stack ?? STACK, "--non-interactive"];
}

/** Runs `pulumi ARGS --stack S` and gives what it printed. */
export function pulumi(args: readonly string[], options: PulumiOptions = {}): Promise<RunResult> {
  return run("pulumi", commandLine(args, options), {
    limit: options.limit ?? LIMIT,
    cwd: ROOT,
    env: { ...labEnvironment(), ...options.env },
    accept: options.accept,
    input: options.input,
  });
}

type AttachedOptions = Omit<PulumiOptions, "input" | "accept">;

/** `pulumi ARGS --stack S` as `attach` takes it. */
export function pulumiCommand(args: readonly string[], options: AttachedOptions = {}) {
  return {
    program: "pulumi",
    args: commandLine(args, options),
    options: {
      limit: options.limit ?? LIMIT,
      cwd: ROOT,
      env: { ...labEnvironment(), ...options.env },
    },
  };
}

/** Runs `pulumi ARGS --stack S` on this terminal. */
export function pulumiAttached(
  args: readonly string[],
  options: AttachedOptions = {},
): Promise<number> {
  const command = pulumiCommand(args, options);
  return attach(command.program, command.args, command.options);
}

/** Makes the stack when there is none. */
export async function ensureStack(stack = STACK): Promise<boolean> {
  if (stackExists(stack)) return false;
  await run("pulumi", ["stack", "init", stack, "--non-interactive"], {
    limit: 120,
    cwd: ROOT,
    env: labEnvironment(),
  });
  return true;
}

/** Path of a stack's file; git ignores those that begin with `lab`. */
export function stackFile(stack = STACK): string {
  return path.join(ROOT, `Pulumi.${stack}.yaml`);
}

/** Whether the backend has state of the stack. */
export function stackExists(stack = STACK): boolean {
  return existsSync(
    path.join(PATHS.pulumiState, ".pulumi", "stacks", projectName(), `${stack}.json`),
  );
}
