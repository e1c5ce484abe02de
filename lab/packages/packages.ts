/** The packages `gitlab-runner` and `gitlab-runner-helper-images`. */

import { createHash } from "node:crypto";
import { existsSync, mkdtempSync, readdirSync, rmSync, statSync, utimesSync } from "node:fs";
import os from "node:os";
import path from "node:path";

import { hashFile } from "../images/archive";
import { PATHS } from "../paths";
import { LabError, say } from "../progress";
import { buildDeb, type PackageContent, type PackageFile } from "./deb/build";
import {
  HELPER_PACKAGE,
  helperControl,
  packageVersion,
  RUNNER_PACKAGE,
  runnerControl,
} from "./deb/control";
import { HELPER_ARCHIVE, helperFiles, writeHelperImage } from "./helper-image";
import { currentBuild, type RunnerBuild, standInBuild } from "./runner-build";

/** Counts up when packages have to be built anew though nothing that is hashed has changed. */
const FORMAT = "1";

/** A build that nobody used for this long goes. */
const KEEP_DAYS = 14;

const HELPER_FOLDER = "/usr/lib/gitlab-runner/helper-images";
const SHARE = "/usr/share/gitlab-runner";
const SOURCES = path.join(__dirname, "deb", "gitlab-runner");

const script = (name: string) => path.join(SOURCES, `${name}.sh`);

export interface BuiltPackages {
  /** Version of the runner, as `runner.version` of a stack file names it. */
  readonly version: string;
  /** Files of the two packages. */
  readonly debs: readonly string[];
}

/**
 * Builds the packages of this lab's runner, and of further versions of the stand-in; what is in the
 * cache already is taken from there.
 *
 * @param extraVersions versions for tests of upgrades, such as `19.3.1`
 * @returns the lab's own version first
 * @throws LabError when a program or the helper's root file system is missing
 */
export async function buildPackages(
  extraVersions: readonly string[] = [],
): Promise<readonly BuiltPackages[]> {
  const current = await currentBuild();
  const built = [await buildVersion(current)];
  for (const version of new Set(extraVersions)) {
    if (version !== current.version) built.push(await buildVersion(await standInBuild(version)));
  }
  pruneCache(PATHS.debs, new Date(Date.now() - KEEP_DAYS * 24 * 3600 * 1000));
  return built;
}

/** Removes the builds that nobody has used since `before`: each change of a program leaves one. */
export function pruneCache(folder: string, before: Date): void {
  for (const name of readdirSync(folder)) {
    const build = path.join(folder, name);
    if (statSync(build).mtime < before) rmSync(build, { recursive: true });
  }
}

/** Builds the packages of one version. */
export async function buildVersion(build: RunnerBuild): Promise<BuiltPackages> {
  return {
    version: build.version,
    debs: [await buildHelperPackage(build), await buildRunnerPackage(build)],
  };
}

const runnerFiles = (build: RunnerBuild): PackageFile[] => [
  { path: "/usr/bin/gitlab-runner", source: build.runner, mode: 0o755 },
  ...["post-install", "pre-remove", "clear-docker-cache"].map(
    (name) => ({ path: `${SHARE}/${name}`, source: script(name), mode: 0o755 }) as const,
  ),
  {
    path: `${SHARE}/service.template`,
    source: path.join(SOURCES, "service.template"),
    mode: 0o644,
  },
];

async function buildRunnerPackage(build: RunnerBuild): Promise<string> {
  const files = runnerFiles(build);
  const content: PackageContent = {
    control: runnerControl(build.version, kilobytes(files.map((file) => file.source))),
    scripts: { postinst: script("postinst"), prerm: script("prerm"), postrm: script("postrm") },
    files,
  };
  const sources = [...files.map((file) => file.source), ...Object.values(content.scripts)];
  return ensureDeb(RUNNER_PACKAGE, build.version, sources, content.control, (target) =>
    buildDeb(content, target),
  );
}

async function buildHelperPackage(build: RunnerBuild): Promise<string> {
  const { version, helper, helperArchives } = build;
  const root = path.join(PATHS.images, "helper.tar");
  const own = helperArchives.length === 0;
  const sources = own ? [root, ...Object.values(helperFiles(helper))] : helperArchives;
  for (const file of sources) {
    if (!existsSync(file)) throw new LabError(`${file} is not there: it has to be built first`);
  }
  return ensureDeb(HELPER_PACKAGE, version, sources, "", async (target) => {
    const work = mkdtempSync(path.join(os.tmpdir(), "gitlab-runners-helper-"));
    try {
      const archive = path.join(work, HELPER_ARCHIVE);
      if (own) await writeHelperImage(version, root, helper, archive);
      const archives = own ? [archive] : helperArchives;
      const files = archives.map(
        (source) =>
          ({ path: `${HELPER_FOLDER}/${path.basename(source)}`, source, mode: 0o644 }) as const,
      );
      await buildDeb(
        { control: helperControl(version, kilobytes(archives)), scripts: {}, files },
        target,
      );
    } finally {
      rmSync(work, { recursive: true, force: true });
    }
  });
}

/** Builds a package unless the cache has one of the same sources. */
async function ensureDeb(
  name: string,
  version: string,
  sources: readonly string[],
  control: string,
  build: (target: string) => Promise<void>,
): Promise<string> {
  const hash = createHash("sha256").update(JSON.stringify([FORMAT, name, version, control]));
  for (const file of sources) hash.update(`${path.basename(file)} ${await hashFile(file)}\n`);
  const key = hash.digest("hex").slice(0, 16);
  const target = path.join(PATHS.debs, key, `${name}_${packageVersion(version)}_amd64.deb`);
  if (!existsSync(target)) {
    say(`   builds the package ${name} ${packageVersion(version)}`);
    await build(target);
  }
  utimesSync(path.dirname(target), new Date(), new Date());
  return target;
}

const kilobytes = (files: readonly string[]) =>
  files.reduce((sum, file) => sum + Math.ceil(statSync(file).size / 1024), 0);
