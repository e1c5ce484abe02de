/** A shell in the lab's network and environment, or one command there. */

import { existsSync } from "node:fs";

import { labEnvironment } from "./environment";
import { inNamespace, networkExists } from "./net/namespace";
import { PATHS, ROOT } from "./paths";
import { LabError } from "./progress";
import { STACK } from "./pulumi";
import { attach } from "./run";

/**
 * @param command run instead of an interactive shell
 * @returns the shell's exit status
 */
export async function openShell(command: string | undefined): Promise<number> {
  if (!networkExists() || !existsSync(PATHS.caBundle)) {
    throw new LabError('the lab is not running: start it with "make lab"');
  }
  const args =
    command === undefined
      ? ["--noprofile", "--norc", "-i"]
      : ["--noprofile", "--norc", "-c", command];
  const [program, all] = inNamespace("bash", args);
  return attach(program, all, {
    cwd: ROOT,
    limit: Infinity,
    env: {
      ...labEnvironment(),
      // Without it each command would ask which stack is meant.
      PULUMI_STACK: STACK,
      PS1: "lab:\\w\\$ ",
    },
  });
}
