import { execFileSync } from "node:child_process";
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import os from "node:os";
import path from "node:path";

import { buildDeb } from "../../../../lab/packages/deb/build";
import { helperControl, runnerControl } from "../../../../lab/packages/deb/control";
import { helperImageName } from "../../../../lab/packages/helper-image";
import { pruneCache } from "../../../../lab/packages/packages";

const SOURCES = path.join(__dirname, "../../../../lab/packages/deb/gitlab-runner");
const source = (name: string) => readFileSync(path.join(SOURCES, name), "utf8");

let folder: string;
beforeEach(() => (folder = mkdtempSync(path.join(os.tmpdir(), "deb-"))));
afterEach(() => rmSync(folder, { recursive: true }));

describe("control files", () => {
  test("the runner needs the helper images of exactly its version", () => {
    const text = runnerControl("19.3.0", 100);
    expect(text).toContain("\nVersion: 19.3.0-1\n");
    expect(text).toContain(
      "\nDepends: gitlab-runner-helper-images (= 19.3.0-1), ca-certificates, git, curl, tar\n",
    );
    expect(text).not.toContain("Recommends");
    expect(helperControl("19.3.0", 1)).toContain("\nVersion: 19.3.0-1\n");
  });

  test("a version that dpkg would misread is refused", () => {
    expect(() => runnerControl("19.3.0-rc1", 1)).toThrow("19.3.0-rc1");
    expect(() => helperControl("development version", 1)).toThrow("development version");
  });
});

test("the unit is what the vendor's program installs", () => {
  const unit = source("service.template");
  for (const line of [
    'ExecStart=/usr/bin/gitlab-runner "run" "--working-directory" "@HOME@" "--config" "/etc/gitlab-runner/config.toml" "--service" "gitlab-runner" "--user" "@USER@"',
    "EnvironmentFile=-/etc/sysconfig/gitlab-runner",
    "Restart=always",
    "RestartSec=120",
    "After=network.target",
    "WantedBy=multi-user.target",
  ]) {
    expect(unit.split("\n")).toContain(line);
  }
  expect(unit).not.toMatch(/ExecReload|KillSignal|TimeoutStop/);
});

test("postinst prunes Docker unless it is told not to", () => {
  const called = path.join(folder, "called");
  // The script's own commands are replaced by ones that say that they ran.
  const script = source("postinst.sh").replace(
    /\/usr\/share\/gitlab-runner\/([a-z-]+)/g,
    "echo $1",
  );
  const run = (env: NodeJS.ProcessEnv) =>
    execFileSync("sh", ["-c", script, called, "configure"], {
      env: { PATH: process.env.PATH, ...env },
      encoding: "utf8",
    });
  expect(run({})).toBe("post-install\nclear-docker-cache prune\n");
  expect(run({ NO_DOCKER_PRUNE: "1" })).toBe("post-install\n");
});

test("the helper image has the name that the runner asks for", () => {
  expect(helperImageName("19.3.0")).toBe(
    "registry.gitlab.com/gitlab-org/gitlab-runner/gitlab-runner-helper:x86_64-v19.3.0",
  );
});

test("the same content gives the same package, whenever and whoever builds it", async () => {
  const program = path.join(folder, "program");
  writeFileSync(program, "#!/bin/sh\n");
  const content = {
    control: runnerControl("19.3.0", 1),
    scripts: { postinst: program },
    files: [{ path: "/usr/bin/gitlab-runner", source: program, mode: 0o755 }],
  } as const;
  const first = path.join(folder, "first.deb");
  const second = path.join(folder, "second.deb");
  await buildDeb(content, first);
  const mask = process.umask(0o077);
  try {
    utimesSync(program, 2e9, 2e9);
    await buildDeb(content, second);
  } finally {
    process.umask(mask);
  }
  expect(readFileSync(second).equals(readFileSync(first))).toBe(true);
  const list = execFileSync("dpkg-deb", ["-c", second], { encoding: "utf8" });
  expect(list).toMatch(/^-rwxr-xr-x root\/root .* \.\/usr\/bin\/gitlab-runner$/m);
  expect(list).toMatch(/^drwxr-xr-x root\/root .* \.\/usr\/bin\/$/m);
});

test("builds that nobody uses any more leave the cache", () => {
  for (const name of ["old", "new"]) {
    mkdirSync(path.join(folder, name));
    writeFileSync(path.join(folder, name, "a.deb"), "");
  }
  utimesSync(path.join(folder, "old"), 1e9, 1e9);
  pruneCache(folder, new Date(1.1e12));
  expect(readdirSync(folder)).toEqual(["new"]);
});
