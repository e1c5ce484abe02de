/** The lab's environment and the toolchain's own `env` name the same programs. */

import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";

import { toolchainEnvironment } from "../../../lab/environment";
import { ROOT } from "../../../lab/paths";

let cache: string;

beforeEach(() => {
  cache = mkdtempSync(path.join(tmpdir(), "lab-environment-"));
  mkdirSync(path.join(cache, "build", "bin"), { recursive: true });
});
afterEach(() => rmSync(cache, { recursive: true }));

/** PULUMI_* and PATH as a shell has them after `tools/toolchain.sh env`. */
function shellEnvironment(): Record<string, string> {
  const script = path.join(ROOT, "tools", "toolchain.sh");
  const { stdout, status } = spawnSync(
    "bash",
    ["-c", 'eval "$(bash "$0" env "$1")"; env -0', script, path.join(cache, "home")],
    { encoding: "utf8", env: { PATH: process.env.PATH, HOME: cache, GITLAB_RUNNERS_CACHE: cache } },
  );
  expect(status).toBe(0);
  return Object.fromEntries(
    stdout
      .split("\0")
      .filter((line) => /^(PULUMI_|PATH=)/.test(line))
      .map((line) => [line.slice(0, line.indexOf("=")), line.slice(line.indexOf("=") + 1)]),
  );
}

describe.each([
  ["plugins of the lab", false],
  ["an installed pulumi that gets the vendor's plugins", true],
])("with %s", (_, byVendor) => {
  beforeEach(() => {
    const mark = path.join(cache, "build", "plugins-by-vendor");
    if (byVendor) writeFileSync(mark, "/usr/bin/pulumi 3.270.0\n");
  });

  test("both say whether pulumi may download, and which pulumi it is", () => {
    const lab = toolchainEnvironment(path.join(cache, "build"));
    const { PULUMI_HOME: home, PATH: shellPath, ...shell } = shellEnvironment();
    const { PATH: labPath, ...rest } = lab;
    expect(home).toBe(path.join(cache, "home"));
    expect(rest).toEqual(shell);
    expect("PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION" in rest).toBe(!byVendor);
    for (const one of [labPath, shellPath]) {
      expect(one?.split(":").includes(path.join(cache, "build", "bin"))).toBe(!byVendor);
    }
  });
});
