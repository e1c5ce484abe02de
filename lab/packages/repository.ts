/** The package repository, laid out as GitLab's own and signed. */

import { createHash } from "node:crypto";
import {
  copyFileSync,
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import path from "node:path";
import { gzipSync } from "node:zlib";

import { hashFile } from "../images/archive";
import { PATHS } from "../paths";
import { say } from "../progress";
import { output } from "../run";
import { ensureSigningKey, exportPublicKey, repositoryFingerprint, sign } from "./signing-key";

/** The folder that is served: a link to the current build. */
export const SERVED = path.join(PATHS.packages, "www");

/** Below the server's name. */
export const REPOSITORY_PATH = "runner/gitlab-runner/debian";
export const KEY_PATH = "gpgkey/gpg.key";

const SUITE = "trixie";
const COMPONENT = "main";
const POOL = "pool/main/g/gitlab-runner";
const LIMIT = 60;
/** Counts up when the layout changes. */
const FORMAT = "1";

const RELEASE: Readonly<Record<string, string>> = {
  Origin: "packages.lab.test/runner/gitlab-runner",
  Label: "gitlab-runner",
  Suite: SUITE,
  Codename: SUITE,
  Components: COMPONENT,
  Architectures: "amd64",
  Description: "Stand-in for packages.gitlab.com",
};

/**
 * Makes the repository hold exactly these packages; the server need not be told. The last build
 * stays beside it, for guests that read from it at this moment.
 *
 * @returns whether anything had to change
 */
export async function publishRepository(debs: readonly string[]): Promise<boolean> {
  await ensureSigningKey();
  const build = await buildName(debs);
  const before = existsSync(SERVED) ? readlinkSync(SERVED) : undefined;
  if (before === build) return false;
  say(`   signs the package repository: ${debs.map((deb) => path.basename(deb)).join(", ")}`);
  const folder = path.join(PATHS.packages, build);
  rmSync(folder, { recursive: true, force: true });
  await fill(folder, debs);
  const link = `${SERVED}.new`;
  rmSync(link, { force: true });
  symlinkSync(build, link);
  renameSync(link, SERVED);
  for (const name of readdirSync(PATHS.packages)) {
    if (name.startsWith("build-") && name !== build && name !== before) {
      rmSync(path.join(PATHS.packages, name), { recursive: true, force: true });
    }
  }
  return true;
}

async function buildName(debs: readonly string[]): Promise<string> {
  const hash = createHash("sha256").update(`${FORMAT} ${await repositoryFingerprint()}\n`);
  for (const deb of debs) hash.update(`${path.basename(deb)} ${await hashFile(deb)}\n`);
  return `build-${hash.digest("hex").slice(0, 16)}`;
}

async function fill(folder: string, debs: readonly string[]): Promise<void> {
  const root = path.join(folder, REPOSITORY_PATH);
  const pool = path.join(root, POOL);
  mkdirSync(pool, { recursive: true });
  for (const deb of debs) linkOrCopy(deb, path.join(pool, path.basename(deb)));

  const ftparchive = (args: readonly string[]) =>
    output("apt-ftparchive", args, { cwd: root, limit: LIMIT });
  const suite = path.join(root, "dists", SUITE);
  const index = path.join(suite, COMPONENT, "binary-amd64");
  mkdirSync(index, { recursive: true });
  const packages = `${await ftparchive(["--arch", "amd64", "packages", "pool"])}\n\n`;
  writeFileSync(path.join(index, "Packages"), packages);
  writeFileSync(path.join(index, "Packages.gz"), gzipSync(packages));

  const options = Object.entries(RELEASE).flatMap(([name, value]) => [
    "-o",
    `APT::FTPArchive::Release::${name}=${value}`,
  ]);
  const release = `${await ftparchive([...options, "release", `dists/${SUITE}`])}\n`;
  const signatures = await sign(release);
  writeFileSync(path.join(suite, "Release"), release);
  writeFileSync(path.join(suite, "Release.gpg"), signatures.detached);
  writeFileSync(path.join(suite, "InRelease"), signatures.inline);

  const key = path.join(folder, KEY_PATH);
  mkdirSync(path.dirname(key), { recursive: true });
  writeFileSync(key, await exportPublicKey());
}

/** The cache may be on another file system. */
function linkOrCopy(from: string, to: string): void {
  try {
    linkSync(from, to);
  } catch {
    copyFileSync(from, to);
  }
}
