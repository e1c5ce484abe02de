/*
 * npm run schema [-- --check]
 *
 * Writes docs/configuration.md and docs/stack.schema.json, both made of config/schema.ts and
 * config/defaults.ts. With --check nothing is written. Exit status: 0 done, or all is current; 1 with
 * --check, when a file is not; 2 the command line is wrong.
 */
import * as fs from "node:fs";

import * as prettier from "prettier";

import { configurationPage } from "./configuration-page";
import { stackFileSchema } from "./stack-schema";

async function main(args: readonly string[]): Promise<number> {
  const check = args.length === 1 && args[0] === "--check";
  if (args.length > 0 && !check) {
    console.error("usage: npm run schema [-- --check]");
    return 2;
  }
  let stale = 0;
  for (const [file, text] of [
    ["docs/configuration.md", configurationPage()],
    ["docs/stack.schema.json", JSON.stringify(stackFileSchema())],
  ] as const) {
    const options = await prettier.resolveConfig(file);
    const formatted = await prettier.format(text, { ...options, filepath: file });
    if (fs.existsSync(file) && fs.readFileSync(file, "utf8") === formatted) {
      console.log(`${file} is current`);
    } else if (check) {
      console.error(`${file} is not what config/ says: run npm run schema, and read the diff`);
      stale += 1;
    } else {
      fs.writeFileSync(file, formatted);
      console.log(`wrote ${file}`);
    }
  }
  return stale === 0 ? 0 : 1;
}

main(process.argv.slice(2)).then(
  (status) => {
    process.exitCode = status;
  },
  (error: unknown) => {
    console.error(error);
    process.exitCode = 1;
  },
);
