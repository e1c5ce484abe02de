/**
 * Figures of this machine, for people to read; no test asserts them: `npm run bench -- NAME…`.
 *
 *   memory    what the lab's servers hold in memory
 *
 * Without a name: all of them. `make lab` prints the times of its phases by itself.
 */

import { LabError, say } from "../lab/progress";
import { requireRoot } from "../lab/requirements";
import { machineFacts } from "./machine";
import { measureMemory } from "./memory";

const BENCHES: Readonly<Record<string, () => Promise<string>>> = {
  memory: measureMemory,
};

async function main(args: readonly string[]): Promise<void> {
  const names = args.length > 0 ? args : Object.keys(BENCHES);
  requireRoot();
  process.stdout.write(`${machineFacts()}\n`);
  for (const name of names) {
    const bench = BENCHES[name];
    if (bench === undefined) {
      throw new LabError(`usage: npm run bench -- [${Object.keys(BENCHES).join("|")}]…`);
    }
    say(`── ${name}`);
    process.stdout.write(`\n${await bench()}\n`);
  }
}

main(process.argv.slice(2)).catch((error: unknown) => {
  say(error instanceof LabError ? error.message : String((error as Error).stack ?? error));
  process.exitCode = 1;
});
