/**
 * Figures of this machine, for people to read; no test asserts them: `npm run bench -- [NAME…]`.
 *
 *   memory    what the lab's servers hold in memory
 *   preview   how long a preview takes that changes nothing; --hosts 1,10,50 --runs 3
 *
 * Without a name: all of them. Needs root and the running lab (`make lab`, which prints the times
 * of its own phases).
 */

import path from "node:path";
import { parseArgs } from "node:util";

import { labEnvironment } from "../lab/environment";
import { takeLock } from "../lab/lock";
import { inNamespace, networkExists, networkOwner } from "../lab/net/namespace";
import { ROOT } from "../lab/paths";
import { LabError, say } from "../lab/progress";
import { requireRoot } from "../lab/requirements";
import { attach } from "../lab/run";
import { machineFacts } from "./machine";
import { measureMemory } from "./memory";
import { measurePreview, type PreviewOptions } from "./preview";

const NAMES = ["memory", "preview"] as const;
type Name = (typeof NAMES)[number];

const USAGE = `usage: npm run bench -- [${NAMES.join("|")}]… [--hosts N,N…] [--runs N]`;

interface CommandLine {
  readonly names: readonly Name[];
  readonly preview: PreviewOptions;
  /** Runs in the lab's network already. */
  readonly inside: boolean;
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        hosts: { type: "string", default: "1,10,50" },
        runs: { type: "string", default: "3" },
        inside: { type: "boolean", default: false },
      },
    });
  } catch (error) {
    throw new LabError(`${(error as Error).message}\n${USAGE}`);
  }
}

/** @throws LabError saying how the command is used */
function readArguments(args: readonly string[]): CommandLine {
  const { values, positionals } = parse(args);
  const names = positionals.length > 0 ? positionals : NAMES;
  const preview = { hosts: values.hosts.split(",").map(Number), runs: Number(values.runs) };
  const counts = [...preview.hosts, preview.runs];
  const isName = (name: string): name is Name => (NAMES as readonly string[]).includes(name);
  if (!names.every(isName) || !counts.every((count) => Number.isInteger(count) && count > 0)) {
    throw new LabError(USAGE);
  }
  return { names, preview, inside: values.inside };
}

async function main(args: readonly string[]): Promise<number> {
  const { names, preview, inside } = readArguments(args);
  requireRoot();
  if (!networkExists() || networkOwner() !== ROOT) {
    throw new LabError('the lab is not running: start it with "make lab"');
  }
  if (!inside) {
    // Nobody stops the lab, or keeps the CPUs busy with its tests, in the middle.
    takeLock("bench");
    const [program, all] = inNamespace(process.execPath, [
      ...["--import", path.join(ROOT, "node_modules", "tsx", "dist", "loader.mjs")],
      path.join(ROOT, "bench", "cli.ts"),
      "--inside",
      ...args,
    ]);
    return attach(program, all, { cwd: ROOT, limit: Infinity, env: labEnvironment() });
  }
  process.stdout.write(`${machineFacts()}\n`);
  for (const name of names) {
    say(`── ${name}`);
    const figures = name === "memory" ? await measureMemory() : await measurePreview(preview);
    process.stdout.write(`\n${figures}\n`);
  }
  return 0;
}

main(process.argv.slice(2)).then(
  (status) => process.exit(status),
  (error: unknown) => {
    say(error instanceof LabError ? error.message : String((error as Error).stack ?? error));
    process.exit(1);
  },
);
