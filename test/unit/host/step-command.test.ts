import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";

import { hashOfBundle, hashOfSteps, stepCommand, StepCommandArgs } from "../../../host";

const BUNDLE = "# bundle docker v1\n==> /etc/x 0644\nx\n";

let folder: string;
beforeEach(() => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), "step-command-"));
  fs.mkdirSync(path.join(folder, "steps-1"));
  fs.writeFileSync(path.join(folder, "docker-1"), BUNDLE);
  // sudo stands for itself here: what is tested is what root's shell would do.
  fs.mkdirSync(path.join(folder, "bin"));
  fs.writeFileSync(path.join(folder, "bin/sudo"), '#!/bin/sh\nshift\nexec "$@"\n', { mode: 0o755 });
});
afterEach(() => fs.rmSync(folder, { recursive: true }));

/** Scripts whose `run` shows where and with what it runs. */
const SCRIPTS = new Map([
  ["run", 'echo "run $1 in $PWD: $(cat "$2" | head -n 1), stdin: $(cat)"\n'],
  ["lib.sh", "# lib\n"],
  ["docker.sh", "# docker\n"],
  ["runner.sh", "# runner\n"],
]);

function upload(scripts: ReadonlyMap<string, string>): void {
  for (const [name, text] of scripts) {
    fs.writeFileSync(path.join(folder, "steps-1", name), text);
  }
}

function command(args: Partial<StepCommandArgs> = {}): string {
  return stepCommand({
    step: "docker",
    stepsPath: `${folder}/steps-1`,
    stepsHash: hashOfSteps(SCRIPTS),
    bundlePath: `${folder}/docker-1`,
    bundleHash: hashOfBundle(BUNDLE),
    timeoutSeconds: 60,
    ...args,
  });
}

function run(text: string) {
  const temporary = path.join(folder, "tmp");
  fs.mkdirSync(temporary, { recursive: true });
  const result = spawnSync("sh", ["-c", text], {
    cwd: folder,
    input: "TOKEN=secret\n",
    encoding: "utf8",
    env: { PATH: `${folder}/bin:${process.env["PATH"]}`, TMPDIR: temporary, LANG: "C.UTF-8" },
  });
  return { ...result, left: fs.readdirSync(temporary) };
}

it("runs a copy of what was uploaded, with standard input, and leaves nothing", () => {
  upload(SCRIPTS);
  const result = run(command());
  expect(result.stderr).toBe("");
  expect(result.stdout).toMatch(
    /^run docker in \S+\/tmp\/\S+\/s: # bundle docker v1, stdin: TOKEN=secret\n$/,
  );
  expect(result.status).toBe(0);
  expect(result.left).toEqual([]);
});

it("takes paths from the login user's home", () => {
  upload(SCRIPTS);
  const result = run(command({ stepsPath: "steps-1", bundlePath: "docker-1" }));
  expect(result.stdout).toContain("run docker in");
});

it.each([
  ["a changed script", () => fs.appendFileSync(`${folder}/steps-1/lib.sh`, "rm -rf /\n")],
  ["a further script", () => fs.writeFileSync(`${folder}/steps-1/other.sh`, "")],
  ["a missing script", () => fs.rmSync(`${folder}/steps-1/lib.sh`)],
  ["a changed bundle", () => fs.appendFileSync(`${folder}/docker-1`, "y\n")],
])("does not run with %s", (_name, change) => {
  upload(SCRIPTS);
  change();
  const result = run(command());
  expect(result.stdout).toBe("docker: its files changed on the host\n");
  expect(result.status).toBe(1);
  expect(result.left).toEqual([]);
});

it("copies what a link leads to, so that it cannot change after the check", () => {
  upload(SCRIPTS);
  fs.renameSync(`${folder}/steps-1/run`, `${folder}/elsewhere`);
  fs.symlinkSync(`${folder}/elsewhere`, `${folder}/steps-1/run`);
  const text = "test ! -L run && echo copied || echo link\n";
  fs.writeFileSync(`${folder}/elsewhere`, text);
  const hash = hashOfSteps(new Map([...SCRIPTS, ["run", text]]));
  expect(run(command({ stepsHash: hash })).stdout).toBe("copied\n");
});

it("ends a step that takes too long, and cleans up", () => {
  const scripts = new Map([["run", "sleep 30\n"]]);
  upload(scripts);
  const result = run(command({ stepsHash: hashOfSteps(scripts), timeoutSeconds: 1 }));
  expect(result.status).toBe(124);
  expect(result.left).toEqual([]);
});

it("hands on the step's own status", () => {
  const scripts = new Map([["run", "exit 7\n"]]);
  upload(scripts);
  expect(run(command({ stepsHash: hashOfSteps(scripts) })).status).toBe(7);
});

it("hashes the scripts of this repository as a host does", () => {
  const steps = path.join(__dirname, "../../../host/steps");
  const files = new Map(
    fs.readdirSync(steps).map((name) => [name, fs.readFileSync(path.join(steps, name), "utf8")]),
  );
  const sum = spawnSync("bash", ["-c", "LC_ALL=C; sha256sum * | sha256sum"], {
    cwd: steps,
    encoding: "utf8",
  });
  expect(sum.stdout).toBe(`${hashOfSteps(files)}  -\n`);
});

it("stays short with the longest user name that a host may have", () => {
  const home = `/home/${"u".repeat(32)}/.gitlab-runners`;
  const text = command({
    stepsPath: `${home}/steps-0123456789ab`,
    bundlePath: `${home}/docker-0123456789ab`,
    timeoutSeconds: 604_800,
  });
  expect(text.length).toBeLessThanOrEqual(400);
});

it.each([
  [{ stepsPath: "a b" }, 'the path "a b" holds more than letters'],
  [{ stepsPath: "-rf" }, 'the path "-rf" holds more than letters'],
  [{ bundlePath: "x';id;'" }, "holds more than letters"],
  [{ bundlePath: "$(id)" }, "holds more than letters"],
  [{ stepsHash: "abc" }, '"abc" is not a SHA-256'],
  [{ bundleHash: `${"a".repeat(63)}G` }, "is not a SHA-256"],
  [{ timeoutSeconds: 0 }, "the limit 0 is not a number of seconds"],
  [{ timeoutSeconds: 1.5 }, "the limit 1.5 is not a number of seconds"],
  [{ step: "other" as "docker" }, 'step "other" does not exist'],
  [{ stepsPath: `/${"x".repeat(300)}` }, "characters, more than"],
])("refuses %j", (args, message) => {
  expect(() => command(args)).toThrow(message);
});

it.each(["-rf", ".hidden", "a b", "a\nb"])("refuses a script named %j", (name) => {
  expect(() => hashOfSteps(new Map([[name, ""]]))).toThrow("is not a plain file name");
});
