import { createHash } from "node:crypto";
import { posix } from "node:path";

import { Step, STEPS } from "./bundle";

export type StepName = Step;

/** What a step is started with. */
export interface StepCommandArgs {
  readonly step: Step;
  /** Folder of the step scripts on the machine: absolute, or from the login user's home. */
  readonly stepsPath: string;
  /** What `hashOfSteps` says of the scripts. */
  readonly stepsHash: string;
  /** The step's bundle on the machine: absolute, or from the login user's home. */
  readonly bundlePath: string;
  /** SHA-256 of the bundle, in hex. */
  readonly bundleHash: string;
  /** Seconds after which the step is ended. */
  readonly timeoutSeconds: number;
}

/** Longest command that is made: it is echoed whole when a step fails. */
export const MAX_COMMAND = 400;

const SAFE_PATH = /^[A-Za-z0-9._/][A-Za-z0-9._/-]*$/;
const HEX_HASH = /^[0-9a-f]{64}$/;

/** SHA-256 of a text, in hex. */
export function sha256(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

/** Hash of a bundle, as `stepCommand` takes it. */
export const hashOfBundle = sha256;

/**
 * Hash of a flat folder of scripts: the SHA-256 of what `sha256sum *` prints there.
 *
 * @param files Contents by file name.
 * @throws Error when a name would not be part of `*`, or would be printed in another form.
 */
export function hashOfSteps(files: ReadonlyMap<string, string>): string {
  const names = [...files.keys()].sort((a, b) => (a < b ? -1 : 1));
  const odd = names.find((name) => !/^[A-Za-z0-9_][A-Za-z0-9._-]*$/.test(name));
  if (odd !== undefined) {
    throw new Error(`step scripts: "${odd}" is not a plain file name`);
  }
  return sha256(names.map((name) => `${sha256(files.get(name)!)}  ${name}\n`).join(""));
}

/**
 * The command, for the login user's shell, that runs a step as root: it copies scripts and bundle
 * into a folder that only root can reach, compares their hashes there, and runs the copy. Standard
 * input reaches the step; secrets come that way.
 *
 * The outer shell is sh: bash would read root's .bashrc first when sshd gives it a socket.
 *
 * @throws Error when a path, hash or limit is malformed or the command would be too long.
 */
export function stepCommand(args: StepCommandArgs): string {
  const { step, stepsPath, bundlePath, timeoutSeconds } = args;
  for (const path of [stepsPath, bundlePath]) {
    if (!SAFE_PATH.test(path)) {
      throw new Error(`step ${step}: the path "${path}" holds more than letters, digits and ._/-`);
    }
  }
  for (const hash of [args.stepsHash, args.bundleHash]) {
    if (!HEX_HASH.test(hash)) {
      throw new Error(`step ${step}: "${hash}" is not a SHA-256 in hex`);
    }
  }
  if (!STEPS.includes(step)) {
    throw new Error(`step "${step}" does not exist: there are ${STEPS.join(", ")}`);
  }
  if (!Number.isInteger(timeoutSeconds) || timeoutSeconds <= 0) {
    throw new Error(`step ${step}: the limit ${timeoutSeconds} is not a number of seconds`);
  }
  const hash = sha256(`${args.stepsHash}  -\n${args.bundleHash}  -\n`);
  // Both lie in one folder as a rule; named once, it keeps the command short.
  const folder = posix.dirname(bundlePath);
  const shared = posix.dirname(stepsPath) === folder && folder !== ".";
  const [steps, bundle] = [stepsPath, bundlePath].map((path) =>
    shared ? posix.basename(path) : posix.normalize(path).replace(/\/$/, ""),
  );
  const script = [
    "set -e",
    ...(shared ? [`cd ${folder}`] : []),
    "d=`mktemp -d`",
    'trap "rm -r $d" 0',
    `cp -rL ${steps} $d/s`,
    `cp ${bundle} $d/b`,
    "cd $d/s",
    `(sha256sum *|sha256sum;sha256sum<../b)|sha256sum|grep -q ^${hash}` +
      `||{ echo ${step}: its files changed on the host;exit 1;}`,
    `timeout -k 60 ${timeoutSeconds} bash run ${step} ../b`,
  ].join(";");
  const command = `sudo -n sh -c '${script}'`;
  if (command.length > MAX_COMMAND) {
    throw new Error(
      `step ${step}: the command has ${command.length} characters, more than ${MAX_COMMAND}: ` +
        "shorten the paths",
    );
  }
  return command;
}
