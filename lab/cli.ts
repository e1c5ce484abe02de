/**
 * The lab's commands: `npm run lab -- COMMAND`.
 *
 *   up        start the lab, run `pulumi up` and a job on the new host
 *   start     start the lab's servers only
 *   test      start the lab and run its tests; further arguments go to jest
 *   shell     a shell in the lab; -c 'COMMAND', or the variable LAB_COMMAND, runs one command there
 *   down      destroy the stack, stop everything, leave nothing
 *   env       print the facts of the running lab as JSON (no secrets)
 */

import { start, story, test, up } from "./commands";
import { down } from "./down";
import { readFacts } from "./facts";
import { LabError, say } from "./progress";
import { openShell } from "./shell";

const USAGE = "usage: npm run lab -- up|start|test|shell [-c COMMAND]|down|env";

async function main([command, ...args]: readonly string[]): Promise<number> {
  switch (command) {
    case "up":
      return up();
    case "start":
      return start();
    case "test":
      return test(args);
    case "story":
      return story();
    case "down":
      return down();
    case "shell":
      return openShell(args[0] === "-c" ? args[1] : process.env.LAB_COMMAND || undefined);
    case "env":
      process.stdout.write(`${JSON.stringify(readFacts(), null, 2)}\n`);
      return 0;
    default:
      throw new LabError(USAGE);
  }
}

main(process.argv.slice(2)).then(
  (status) => process.exit(status),
  (error: unknown) => {
    say(error instanceof LabError ? error.message : String((error as Error).stack ?? error));
    process.exit(1);
  },
);
