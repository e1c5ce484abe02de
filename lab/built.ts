/** What a script of the lab builds once into the cache: again only when the script, or what it sources, has changed. */

import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";

import { PATHS, ROOT } from "./paths";
import { say } from "./progress";
import { runLogged } from "./run";

/** What every script here sources. */
const SHARED = path.join(ROOT, "lab", "debian-sources.sh");

export interface Build {
  /** What is built, for the person to read. */
  readonly what: string;
  /** Bash script; called with the target folder. */
  readonly script: string;
  readonly target: string;
  /** Seconds. */
  readonly limit: number;
}

/** @returns whether it had to be built */
export async function ensureBuilt({ what, script, target, limit }: Build): Promise<boolean> {
  const stampFile = `${target}.stamp`;
  const hash = createHash("sha256");
  for (const file of [script, SHARED]) hash.update(readFileSync(file));
  const stamp = hash.digest("hex");
  if (existsSync(target) && existsSync(stampFile) && readFileSync(stampFile, "utf8") === stamp) {
    return false;
  }
  say(`   builds ${what}: once, about a minute`);
  mkdirSync(path.dirname(target), { recursive: true });
  mkdirSync(PATHS.log, { recursive: true, mode: 0o700 });
  await runLogged(what, "bash", [script, target], {
    limit,
    log: path.join(PATHS.log, `${path.basename(target)}-build.log`),
  });
  writeFileSync(stampFile, stamp);
  return true;
}
