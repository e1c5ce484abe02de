/*
 * npm run render -- FILE --out DIR
 *
 * Writes what would land on each host of a stack file, to be read, compared and linted before
 * anything is touched. No cluster, no Pulumi and no secret is needed: tokens are masked. DIR is made,
 * or was made by an earlier run. Exit status: 0 done, 2 the stack file, DIR or the command line is
 * wrong.
 *
 *   DIR/steps/                  the scripts that run on the hosts
 *   DIR/HOST/plan.yaml          machine, records in GitLab, and steps in their order
 *   DIR/HOST/vendor-data.yaml   first boot
 *   DIR/HOST/rootfs/…           each file at its place
 *   DIR/HOST/bundles/STEP       the files of a step as one text, as they travel
 */
import { parseArgs } from "node:util";

import { checkFile } from "./check-file";
import { OutputFolder } from "./output-folder";
import { renderStack } from "./render-stack";

const USAGE = "usage: npm run render -- FILE --out DIR    (FILE: a Pulumi.<stack>.yaml)";

function readArguments(): { file: string; out: string } | undefined {
  try {
    const { positionals, values } = parseArgs({
      allowPositionals: true,
      options: { out: { type: "string" } },
    });
    const [file, ...more] = positionals;
    return file !== undefined && more.length === 0 && values.out
      ? { file, out: values.out }
      : undefined;
  } catch {
    return undefined;
  }
}

function main(): number {
  const args = readArguments();
  if (args === undefined) {
    console.error(USAGE);
    return 2;
  }
  const { stack, errors, warnings } = checkFile(args.file);
  errors.forEach((line) => console.error(`error: ${line}`));
  warnings.forEach((line) => console.error(`warning: ${line}`));
  if (stack === undefined) {
    console.error(`${args.file}: ${errors.length} errors, nothing was written`);
    return 2;
  }
  try {
    const files = renderStack(stack, process.cwd());
    new OutputFolder(args.out).replaceWith(files);
    console.log(`${args.out}: ${files.size} files of ${stack.hosts.length} hosts`);
    return 0;
  } catch (error) {
    console.error(`error: ${(error as Error).message}`);
    return 2;
  }
}

process.exitCode = main();
