import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";

import { parse as parseToml } from "smol-toml";
import { parse as parseYaml } from "yaml";

import { stackText, stackWith, Values, writeStack } from "../config/fixture";

let folder: string;
beforeEach(() => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), "render-"));
});
afterEach(() => fs.rmSync(folder, { recursive: true }));

const out = (...parts: string[]) => path.join(folder, "out", ...parts);
const read = (...parts: string[]) => fs.readFileSync(out(...parts), "utf8");

function render(...args: string[]) {
  return spawnSync("node_modules/.bin/tsx", ["ops/render.ts", ...args], {
    encoding: "utf8",
    timeout: 60_000,
  });
}

function renderStack(changes: Readonly<Values> = {}) {
  return render(writeStack(stackText(stackWith(changes))), "--out", out());
}

/** All files with their contents, by path. */
function tree(): Record<string, string> {
  const names = fs.readdirSync(out(), { recursive: true, encoding: "utf8" });
  return Object.fromEntries(
    names
      .filter((name) => fs.statSync(out(name)).isFile())
      .sort()
      .map((name) => [name, read(name)]),
  );
}

it("writes what would land on each host, and masks the tokens", () => {
  const { status, stdout, stderr } = renderStack();
  expect([status, stderr]).toEqual([0, ""]);
  expect(stdout).toContain("files of 2 hosts");
  expect(fs.readdirSync(out()).sort()).toEqual([
    ".gitlab-runners-render",
    "ci-01",
    "ci-02",
    "steps",
  ]);
  const config = parseToml(read("ci-01", "rootfs/etc/gitlab-runner/config.toml")) as {
    runners: { token: string }[];
  };
  expect(config.runners.map(({ token }) => token)).toEqual(["glrt-masked"]);
  expect(fs.statSync(out("ci-01/rootfs/etc/gitlab-runner/config.toml")).mode & 0o777).toBe(0o600);
  expect(JSON.parse(read("ci-01", "rootfs/etc/docker/daemon.json"))).toHaveProperty("live-restore");
  expect(read("ci-01", "vendor-data.yaml")).toMatch(/^#cloud-config\n/);
  expect(parseYaml(read("ci-01", "vendor-data.yaml"))).toHaveProperty("fs_setup");
  expect(read("ci-01", "rootfs/etc/systemd/system/gitlab-runner.service.d/10-host.conf")).toContain(
    "KillSignal=SIGQUIT",
  );
  expect(read("steps", "run")).toBe(fs.readFileSync("host/steps/run", "utf8"));
  expect(fs.readdirSync(out("ci-01", "bundles")).sort()).toEqual([
    "config",
    "docker",
    "gate",
    "runner",
  ]);
});

it("writes the plan of a host: its records, its machine, its steps in their order", () => {
  renderStack({ "hosts.ci-01.cores": 6 });
  const plan = parseYaml(read("ci-01", "plan.yaml"));
  expect(plan).toMatchObject({
    host: "ci-01",
    runners: [{ record: "ci-01-default", tags: ["ci", "ci-01", "docker", "proxmox-local"] }],
    machine: { node: "pve1", cores: 6, network: { address: "10.0.0.11/24" } },
    drain: { seconds: 3600 },
  });
  expect(plan.steps.map(({ step, secrets }: Values) => [step, secrets])).toEqual([
    ["docker", []],
    ["runner", []],
    ["config", ["RUNNER_TOKEN_DEFAULT"]],
    ["gate", ["RUNNER_TOKEN_DEFAULT"]],
  ]);
});

it("writes the same again, and takes away what is no longer there", () => {
  renderStack();
  const first = tree();
  renderStack();
  expect(tree()).toEqual(first);
  fs.writeFileSync(out("ci-02", "note.txt"), "mine");
  renderStack({ "hosts.ci-02": undefined });
  expect(fs.readdirSync(out("ci-02"))).toEqual(["note.txt"]);
  expect(fs.existsSync(out("ci-01", "plan.yaml"))).toBe(true);
});

it("leaves a folder alone that it has not made", () => {
  fs.mkdirSync(out());
  fs.writeFileSync(out("precious"), "data");
  const { status, stderr } = renderStack();
  expect(stderr).toContain(
    "holds files that this command has not made: name a new or empty folder",
  );
  expect(status).toBe(2);
  expect(tree()).toEqual({ precious: "data" });
});

it("removes nothing outside of its folder, whatever its list says", () => {
  fs.mkdirSync(out());
  fs.writeFileSync(path.join(folder, "precious"), "data");
  fs.writeFileSync(out(".gitlab-runners-render"), "../precious\n");
  const { status, stderr } = renderStack();
  expect(stderr).toContain('names "../precious", outside of the folder');
  expect(status).toBe(2);
  expect(fs.readFileSync(path.join(folder, "precious"), "utf8")).toBe("data");
});

it("writes nothing of a stack that is wrong", () => {
  const { status, stderr } = renderStack({ "hosts.ci-01.cores": "x" });
  expect(stderr).toMatch(/^error: .*hosts\.ci-01\.cores: is "x"/);
  expect(status).toBe(2);
  expect(fs.existsSync(out())).toBe(false);
});

it.each([[[]], [["Pulumi.dev.yaml"]], [["Pulumi.dev.yaml", "--into", "x"]]])(
  "does not guess what %j means",
  (args) => {
    const { status, stderr } = render(...args);
    expect(stderr).toMatch(/^usage: npm run render -- FILE --out DIR/);
    expect(status).toBe(2);
  },
);
