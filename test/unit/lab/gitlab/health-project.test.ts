import { execFile } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync } from "node:fs";
import path from "node:path";
import { promisify } from "node:util";

import { Lab, type TestJob, type TestRunner } from "./harness";

const PROJECT = path.join(__dirname, "../../../../lab/projects/runner-health");
const run = promisify(execFile);

let lab: Lab;
let runner: TestRunner;
beforeAll(async () => {
  lab = await Lab.start({ longPollSeconds: 0 });
  await lab.restart({
    projects: [{ id: 7, path: "platform/runner-health", dir: PROJECT }],
    triggers: [{ project: "platform/runner-health", file: lab.file("trigger") }],
  });
  runner = await lab.runner({
    tag_list: ["proxmox-local", "docker", "ci-01"],
    run_untagged: false,
  });
});
afterAll(() => lab.stop());

test("a pipeline holds the health job, a triggered one the canary of one host", async () => {
  const jobsOf = async (pipeline: { id: number }) => {
    const jobs = await lab.api("GET", `projects/7/pipelines/${pipeline.id}/jobs`);
    return jobs.map(({ name, tag_list }: Record<string, unknown>) => ({ name, tag_list }));
  };
  const plain = await lab.api("POST", "projects/7/pipeline", { ref: "main" });
  expect(await jobsOf(plain)).toEqual([
    { name: "runner-health", tag_list: ["proxmox-local", "docker"] },
  ]);
  const triggered = await lab.call("POST", "projects/7/trigger/pipeline", {
    form: { token: lab.secret("trigger"), ref: "main", "variables[RUNNER_TAG]": "ci-02" },
  });
  expect(await jobsOf(triggered.json)).toEqual([{ name: "canary", tag_list: ["ci-02"] }]);
  for (const { id } of [plain, triggered.json]) {
    await lab.api("POST", `projects/7/pipelines/${id}/cancel`);
  }
});

/** Runs the job's script as a runner would, with `overrides` in its environment. */
async function runScript(job: TestJob, overrides: Record<string, string> = {}) {
  const dir = mkdtempSync(lab.file("work-"));
  cpSync(PROJECT, dir, { recursive: true });
  const variables = job.payload.variables as { key: string; value: string }[];
  const [line] = job.payload.steps[0].script as string[];
  const { stdout } = await run("sh", ["-ec", line ?? ""], {
    cwd: dir,
    env: {
      PATH: process.env.PATH,
      ...Object.fromEntries(variables.map(({ key, value }) => [key, value])),
      CI_RUNNER_VERSION: "19.3.0",
      CI_SERVER_TLS_CA_FILE: lab.ca,
      ...overrides,
    },
  });
  return { stdout, report: readFileSync(path.join(dir, "health.txt"), "utf8") };
}

async function health(): Promise<TestJob> {
  await lab.api("POST", "projects/7/pipeline", { ref: "main" });
  return runner.take();
}

test("the script says what it finds, and reaches GitLab over verified TLS", async () => {
  const job = await health();
  const { stdout, report } = await runScript(job);
  const { stdout: kernel } = await run("uname", ["-r"]);
  expect(stdout).toContain(`kernel: ${kernel.trim()}\n`);
  expect(stdout).toContain("version 19.3.0\n");
  expect(stdout).toMatch(/^memory limit: \S+/m);
  expect(stdout).toMatch(/^cpu limit: \S+/m);
  expect(stdout).toContain("gitlab: localhost answers 200, TLS verify result 0\n");
  expect(stdout.endsWith("healthy\n")).toBe(true);
  expect(report).toBe(stdout);
  expect(stdout).not.toContain(job.token);
  await job.finish("success");
});

test("it fails without the CA, and with a token that is none", async () => {
  const job = await health();
  await expect(runScript(job, { CI_SERVER_TLS_CA_FILE: "" })).rejects.toThrow(/certificate/i);
  await expect(runScript(job, { CI_JOB_TOKEN: "glcbt-wrong" })).rejects.toThrow(/401/);
  await job.finish("success");
}, 30_000);
