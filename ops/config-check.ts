/*
 * npm run config:check -- FILE…
 *
 * Checks stack files (Pulumi.<stack>.yaml) by the rules of the program: no cluster, no Pulumi, no
 * secret is needed. Prints a line for everything that is wrong. Exit status: 0 all are right, 2 one
 * is wrong or the command line is.
 */
import type { StackConfig } from "../config/model";
import { checkFile } from "./check-file";

function summary({ hosts }: StackConfig): string {
  const names = hosts.map(({ name, node, network, profiles }) => {
    const address = network.address.split("/")[0];
    return `${name} (${node}, ${address}, ${profiles.map((profile) => profile.name).join(" + ")})`;
  });
  return `${hosts.length} ${hosts.length === 1 ? "host" : "hosts"}: ${names.join(", ")}`;
}

function main(files: readonly string[]): number {
  if (files.length === 0 || files.some((file) => file.startsWith("-"))) {
    console.error("usage: npm run config:check -- FILE…    (FILE: a Pulumi.<stack>.yaml)");
    return 2;
  }
  let wrong = 0;
  for (const file of files) {
    const { stack, errors, warnings } = checkFile(file);
    errors.forEach((line) => console.error(`error: ${line}`));
    warnings.forEach((line) => console.error(`warning: ${line}`));
    if (stack === undefined) {
      wrong += 1;
      const count = `${errors.length} ${errors.length === 1 ? "error" : "errors"}`;
      console.error(`${file}: ${count}`);
    } else {
      console.log(`${file}: ok, ${summary(stack)}`);
    }
  }
  return wrong === 0 ? 0 : 2;
}

process.exitCode = main(process.argv.slice(2));
