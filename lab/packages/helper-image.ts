/** The runner's helper image, as an archive that the runner loads into Docker by itself. */

import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  utimesSync,
} from "node:fs";
import path from "node:path";

import { writeArchive } from "../images/archive";
import { run } from "../run";

/** The name that a runner of this version asks for. */
export const helperImageName = (version: string) =>
  `registry.gitlab.com/gitlab-org/gitlab-runner/gitlab-runner-helper:x86_64-v${version}`;

/** What such an archive is called beside the runner. */
export const HELPER_ARCHIVE = "prebuilt-alpine-x86_64.docker.tar.zst";

const LIMIT = 120;
const FOLDER = path.join(__dirname, "deb", "helper-image");

/** What is added to the root file system of lab/images: path in the image, source. */
export function helperFiles(helper: string): Readonly<Record<string, string>> {
  return {
    entrypoint: path.join(FOLDER, "entrypoint.sh"),
    "usr/bin/gitlab-runner-build": path.join(FOLDER, "gitlab-runner-build.sh"),
    "usr/bin/gitlab-runner-helper": helper,
  };
}

/**
 * Writes the archive.
 *
 * @param root tar of the root file system without the helper
 * @param helper the program gitlab-runner-helper
 */
export async function writeHelperImage(
  version: string,
  root: string,
  helper: string,
  target: string,
): Promise<void> {
  mkdirSync(path.dirname(target), { recursive: true });
  const work = mkdtempSync(`${target}.`);
  try {
    const added = path.join(work, "added");
    const files = helperFiles(helper);
    for (const [to, from] of Object.entries(files)) {
      const file = path.join(added, to);
      mkdirSync(path.dirname(file), { recursive: true });
      copyFileSync(from, file);
      chmodSync(file, 0o755);
      utimesSync(file, 0, 0);
    }
    const layer = path.join(work, "layer.tar");
    copyFileSync(root, layer);
    const plain = [
      "--owner=0",
      "--group=0",
      "--numeric-owner",
      "--pax-option=delete=atime,delete=ctime",
    ];
    // Only the files: a folder in the second part would overwrite the mode of the first one's.
    const names = Object.keys(files).map((name) => `./${name}`);
    await run("tar", ["-C", added, ...plain, "-rf", layer, ...names], { limit: LIMIT });
    const archive = path.join(work, "archive.tar");
    await writeArchive(
      {
        layer,
        config: { command: ["sh"], entrypoint: ["/usr/bin/dumb-init", "/entrypoint"] },
        names: [helperImageName(version)],
      },
      archive,
    );
    const packed = path.join(work, "archive.tar.zst");
    await run("zstd", ["-q", "-10", "-T1", archive, "-o", packed], { limit: LIMIT });
    renameSync(packed, target);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}
