/** Makes a Debian package out of files: the same bytes for the same input. */

import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import path from "node:path";

import { run } from "../../run";

export interface PackageFile {
  /** Absolute path on the machine that installs it. */
  readonly path: string;
  readonly source: string;
  readonly mode: 0o644 | 0o755;
}

export interface PackageContent {
  readonly control: string;
  /** Maintainer scripts by name, as files. */
  readonly scripts: Readonly<Record<string, string>>;
  readonly files: readonly PackageFile[];
}

/** Later times of files are replaced by this one. */
const EPOCH = "1767225600";
const LIMIT = 300;

/** Writes a package to `target`. */
export async function buildDeb(content: PackageContent, target: string): Promise<void> {
  mkdirSync(path.dirname(target), { recursive: true });
  const work = mkdtempSync(`${target}.`);
  try {
    const root = path.join(work, "root");
    const put = (to: string, from: string, mode: number) => {
      makeFolder(root, path.dirname(to));
      copyFileSync(from, path.join(root, to));
      chmodSync(path.join(root, to), mode);
    };
    makeFolder(root, "DEBIAN");
    for (const file of content.files) put(file.path, file.source, file.mode);
    for (const [name, file] of Object.entries(content.scripts)) put(`DEBIAN/${name}`, file, 0o755);
    const control = path.join(root, "DEBIAN", "control");
    writeFileSync(control, content.control);
    chmodSync(control, 0o644);
    const built = path.join(work, "built.deb");
    // zstd unpacks fast on a guest without hardware virtualisation; one thread: the same bytes.
    const options = ["--root-owner-group", "-Zzstd", "-z9", "--threads-max=1"];
    await run("dpkg-deb", [...options, "--build", root, built], {
      limit: LIMIT,
      env: { ...process.env, SOURCE_DATE_EPOCH: EPOCH },
    });
    renameSync(built, target);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** Folders are part of the package, with their modes; those of `mkdir` depend on the umask. */
function makeFolder(root: string, folder: string): void {
  const parts = folder.split("/").filter(Boolean);
  [".", ...parts].reduce((above, part) => {
    const here = path.join(above, part);
    mkdirSync(here, { recursive: true });
    chmodSync(here, 0o755);
    return here;
  }, root);
}
