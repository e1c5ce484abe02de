/**
 * Makes one file of a TypeScript program, as plain Node runs it: without the compiler that would
 * otherwise stay in the memory of each server.
 */

import { mkdirSync, renameSync, writeFileSync } from "node:fs";
import path from "node:path";

import { buildSync } from "esbuild";

import { PATHS, ROOT } from "../paths";

export interface Bundle {
  /** What Node runs; npm packages are looked for from where it stands. */
  readonly text: string;
  /** The sources in it, as paths from the checkout's root. */
  readonly sources: readonly string[];
}

/**
 * One file of a program of the lab and what of the checkout it imports.
 *
 * @param main path of its entry, from the checkout's root
 * @throws Error of esbuild, naming file and line, when a source is no TypeScript
 */
export function bundle(main: string): Bundle {
  const { outputFiles, metafile } = buildSync({
    absWorkingDir: ROOT,
    entryPoints: [main],
    bundle: true,
    platform: "node",
    format: "cjs",
    target: "node22",
    packages: "external",
    // One file has one folder: that of paths.ts, which says where everything else is.
    define: { __dirname: JSON.stringify(path.join(ROOT, "lab")) },
    write: false,
    metafile: true,
    logLevel: "silent",
  });
  return { text: outputFiles[0]?.text ?? "", sources: Object.keys(metafile.inputs) };
}

/**
 * Bundles a program into `PATHS.run/NAME.cjs`. A process that runs an older one is not disturbed.
 *
 * @returns the file's path
 */
export function writeBundle(name: string, main: string): string {
  const file = path.join(PATHS.run, `${name}.cjs`);
  mkdirSync(PATHS.run, { recursive: true, mode: 0o700 });
  writeFileSync(`${file}.new`, bundle(main).text, { mode: 0o600 });
  renameSync(`${file}.new`, file);
  return file;
}
