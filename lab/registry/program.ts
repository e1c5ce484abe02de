/** The registry's program: Debian's docker-registry, without its package's service. */

import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from "node:fs";
import path from "node:path";

import { PATHS } from "../paths";
import { LabError, say } from "../progress";
import { run } from "../run";

const INSTALLED = "/usr/bin/docker-registry";
const PACKAGE = "docker-registry";
/** A download of 8 MB. */
const LIMIT = 300;

/**
 * Path of the program. Where the package is not installed it is only unpacked, into the cache:
 * installing it would start a registry on the machine itself.
 *
 * @throws LabError when apt cannot get the package
 */
export async function ensureRegistryProgram(): Promise<string> {
  if (existsSync(INSTALLED)) return INSTALLED;
  const folder = path.join(PATHS.build, "docker-registry");
  const program = path.join(folder, INSTALLED);
  if (existsSync(program)) return program;
  say(`   downloads the Debian package ${PACKAGE}`);
  mkdirSync(PATHS.build, { recursive: true });
  const work = mkdtempSync(`${folder}.`);
  try {
    await run("apt-get", ["-q", "download", PACKAGE], { cwd: work, limit: LIMIT });
    const deb = readdirSync(work).find((name) => name.endsWith(".deb"));
    if (deb === undefined) throw new LabError(`apt-get download ${PACKAGE} left no package`);
    await run("dpkg-deb", ["-x", deb, "."], { cwd: work, limit: LIMIT });
    rmSync(path.join(work, deb));
    rmSync(folder, { recursive: true, force: true });
    renameSync(work, folder);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  return program;
}
