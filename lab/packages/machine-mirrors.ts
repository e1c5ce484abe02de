/** The mirrors that the machine's own apt uses: the guests get the same ones. */

import { existsSync, readdirSync } from "node:fs";

const LIST = "/etc/apt/sources.list";
const FOLDER = "/etc/apt/sources.list.d";

/** Files that hold the machine's apt sources. */
export function aptSourceFiles(): string[] {
  const folder = existsSync(FOLDER) ? readdirSync(FOLDER) : [];
  return [LIST, ...folder.map((name) => `${FOLDER}/${name}`)].filter(
    (file) => /\.(list|sources)$/.test(file) && existsSync(file),
  );
}

const DEBIAN = /^https:\/\/([^/\s]+)\/(?:\S*\/)?debian(?:-security)?\/?$/;

/** Names of Debian mirrors, out of the content of such files, that are reached over TLS. */
export function secureHosts(files: readonly string[]): string[] {
  const hosts = files
    .flatMap((text) => text.split("\n"))
    .filter((line) => /^(URIs:|deb\s)/.test(line))
    .flatMap((line) => line.split(/\s+/))
    .map((word) => DEBIAN.exec(word)?.[1])
    .filter((host) => host !== undefined);
  return [...new Set(hosts)].sort();
}
