/** Looks for secrets where none may be. */

import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import path from "node:path";

import { PATHS } from "../../lab/paths";
import type { HostOutput } from "../../lab/story";
import { asRoot } from "./lab";

/** Files and folders of the lab whose purpose is to hold secrets, or that only Pulumi writes. */
const ALLOWED = [PATHS.secrets, PATHS.ca, PATHS.ssh];

/** Largest file that is read whole; guests' disks are searched from inside. */
const LARGEST = 32 * 1024 * 1024;

/** Paths below the lab's state that hold one of the secrets in plain text. */
export function placesInLab(secrets: readonly string[]): string[] {
  const found: string[] = [];
  const visit = (folder: string) => {
    for (const entry of readdirSync(folder, { withFileTypes: true })) {
      const file = path.join(folder, entry.name);
      if (ALLOWED.includes(file) || file === PATHS.disks || !existsSync(file)) continue;
      if (entry.isDirectory()) visit(file);
      else if (entry.isFile() && statSync(file).size < LARGEST) {
        const text = readFileSync(file).toString("latin1");
        if (secrets.some((secret) => text.includes(secret))) found.push(file);
      }
    }
  };
  visit(path.dirname(PATHS.facts));
  return found;
}

/** The runner tokens in a host's config.toml, the one place that holds them. */
export async function runnerTokens(host: HostOutput): Promise<string[]> {
  const text = await asRoot(host, "cat /etc/gitlab-runner/config.toml");
  return [...text.matchAll(/^ *token = "(glrt-[^"]+)"$/gm)].map((match) => match[1] as string);
}

/**
 * Files of a host that hold one of the secrets: everything that is kept or shown of a machine, as
 * well as what its processes were started with.
 */
export async function placesOnHost(
  host: HostOutput,
  secrets: readonly string[],
): Promise<string[]> {
  // The patterns go in by standard input, or the search would find itself.
  const script = `set -u
patterns=$(mktemp) && cat >"$patterns" <<'PATTERNS'
${secrets.join("\n")}
PATTERNS
cd /
grep -rlaFf "$patterns" --devices=skip etc home root run/cloud-init run/gitlab-runners var/lib/cloud var/log var/tmp var/cache/apt usr/local 2>/dev/null
find tmp -type f ! -path "$patterns" ! -path "/$patterns" -exec grep -laFf "$patterns" {} + 2>/dev/null
journalctl --no-pager -o export 2>/dev/null | grep -qaFf "$patterns" && echo journal
for p in /proc/[0-9]*; do
  for f in cmdline environ; do
    tr '\\0' '\\n' <"$p/$f" 2>/dev/null | grep -qaFf "$patterns" && echo "$p/$f"
  done
done
for device in /dev/sr0; do
  [ -b "$device" ] && grep -qaFf "$patterns" "$device" && echo "$device"
done
docker ps -aq 2>/dev/null | xargs -r docker inspect 2>/dev/null | grep -qaFf "$patterns" && echo docker-inspect
rm -f "$patterns"
true`;
  const text = await asRoot(host, script);
  // mktemp's own file lies below tmp.
  return text.split("\n").filter((line) => line !== "" && !/^tmp\/tmp\.\w+$/.test(line));
}
