/** The programs that go into the packages: the stand-in, or the vendor's own. */

import { createHash } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  writeFileSync,
} from "node:fs";
import path from "node:path";

import { PATHS, ROOT } from "../paths";
import { LabError } from "../progress";
import { output, runLogged } from "../run";

export interface RunnerBuild {
  readonly version: string;
  /** The program `gitlab-runner`. */
  readonly runner: string;
  /** The program `gitlab-runner-helper` of the helper image. */
  readonly helper: string;
  /** Archives of the vendor's helper images, in the place of ours. */
  readonly helperArchives: readonly string[];
}

const VERSION_LIMIT = 30;
/** Most of a build is there already, in Go's own cache. */
const BUILD_LIMIT = 900;
const VERSION_VARIABLE = "gitlab-runner-proxmox/lab/internal/runner/version.Version";

const builtFolder = path.join(PATHS.build, "gitlab-runner");

/**
 * The runner of this lab: LAB_RUNNER, or what tools/toolchain.sh has built.
 *
 * @throws LabError when it is not there or says no version
 */
export async function currentBuild(env: NodeJS.ProcessEnv = process.env): Promise<RunnerBuild> {
  const runner = env.LAB_RUNNER
    ? path.resolve(env.LAB_RUNNER)
    : path.join(builtFolder, "gitlab-runner");
  if (!existsSync(runner)) {
    throw new LabError(
      env.LAB_RUNNER
        ? `LAB_RUNNER names ${runner}, which is not there`
        : `${runner} is not built yet: run tools/toolchain.sh ensure`,
    );
  }
  return {
    version: await askVersion(runner),
    runner,
    helper: path.join(builtFolder, "gitlab-runner-helper"),
    helperArchives: env.LAB_HELPER_IMAGES ? findArchives(path.resolve(env.LAB_HELPER_IMAGES)) : [],
  };
}

/**
 * The stand-in under another version, for tests of upgrades; built when its sources have changed.
 *
 * @throws LabError when Go fails
 */
export async function standInBuild(version: string): Promise<RunnerBuild> {
  const folder = path.join(PATHS.build, `gitlab-runner-${version}`);
  const stampFile = path.join(folder, "stamp");
  const build = {
    version,
    runner: path.join(folder, "gitlab-runner"),
    helper: path.join(folder, "gitlab-runner-helper"),
    helperArchives: [],
  };
  const stamp = sourceStamp(path.join(ROOT, "lab", "go"));
  if (existsSync(stampFile) && readFileSync(stampFile, "utf8") === stamp) return build;
  mkdirSync(folder, { recursive: true });
  mkdirSync(PATHS.log, { recursive: true, mode: 0o700 });
  for (const name of ["gitlab-runner", "gitlab-runner-helper"]) {
    const target = path.join(folder, name);
    const flags = `-s -w -X ${VERSION_VARIABLE}=${version}`;
    await runLogged(
      `building ${name} ${version}`,
      "go",
      ["build", "-trimpath", "-ldflags", flags, "-o", `${target}.new`, `./cmd/${name}`],
      {
        limit: BUILD_LIMIT,
        cwd: path.join(ROOT, "lab", "go"),
        env: { ...process.env, CGO_ENABLED: "0" },
        log: path.join(PATHS.log, `${name}-${version}-build.log`),
      },
    );
    renameSync(`${target}.new`, target);
  }
  writeFileSync(stampFile, stamp);
  return build;
}

async function askVersion(runner: string): Promise<string> {
  const text = await output(runner, ["--version"], { limit: VERSION_LIMIT });
  const version = /^Version:\s*(\S+)$/m.exec(text)?.[1];
  if (version === undefined) throw new LabError(`"${runner} --version" names no version`);
  return version;
}

/** Prebuilt helper images, as the runner looks for them by name. */
function findArchives(folder: string): string[] {
  const names = existsSync(folder) ? readdirSync(folder) : [];
  const found = names.filter((name) => /^prebuilt-.+\.(docker\.tar\.zst|tar\.xz)$/.test(name));
  if (!found.some((name) => name.startsWith("prebuilt-alpine-x86_64."))) {
    throw new LabError(
      `LAB_HELPER_IMAGES names ${folder}, which holds no prebuilt-alpine-x86_64.docker.tar.zst ` +
        `and no prebuilt-alpine-x86_64.tar.xz`,
    );
  }
  return found.sort().map((name) => path.join(folder, name));
}

function sourceStamp(folder: string): string {
  const hash = createHash("sha256");
  const names = readdirSync(folder, { recursive: true }).map(String).sort();
  for (const name of names.filter((file) => /(\.go|go\.mod|go\.sum)$/.test(file))) {
    hash.update(`${name}\0`).update(readFileSync(path.join(folder, name)));
  }
  return hash.digest("hex");
}
