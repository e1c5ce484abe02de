import { readdirSync, readFileSync, statSync } from "node:fs";
import { request } from "node:http";
import path from "node:path";

import { parseConfig } from "../../../../lab/gitlab/config";
import { Lab } from "./harness";

let lab: Lab;
beforeEach(async () => {
  lab = await Lab.start({ longPollSeconds: 0 });
});
afterEach(() => lab.stop());

function files(dir: string): string[] {
  return readdirSync(dir, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => path.join(entry.parentPath, entry.name));
}

test("a job goes on across a restart", async () => {
  const runner = await lab.runner();
  const pipeline = await lab.pipeline("a: {script: x}\nb: {stage: deploy, script: x}\n");
  const job = await runner.take();
  await job.trace("before\n");
  await lab.restart();
  expect((await runner.verify()).status).toBe(200);
  expect((await job.trace("after\n")).status).toBe(202);
  expect((await job.finish("success")).status).toBe(200);
  expect(await lab.states(pipeline.id)).toEqual({ a: "success", b: "pending" });
  const trace = await lab.call("GET", `projects/7/jobs/${job.id}/trace`, { token: "api" });
  expect(trace.text).toBe("before\nafter\n");
  const next = await lab.runner();
  expect(next.id).toBe(runner.id + 1);
});

test("what a client was told is on disk, whatever happens next", async () => {
  const runner = await lab.runner({ description: "kept" });
  const state = JSON.parse(readFileSync(lab.file("state/state.json"), "utf8"));
  expect(state.runners).toEqual([expect.objectContaining({ id: runner.id, description: "kept" })]);
});

test("tokens are neither in the state nor in the log, and nothing is open to others", async () => {
  const runner = await lab.runner();
  await lab.pipeline("a: {script: x}\n");
  const job = await runner.take();
  await job.trace("x");
  await lab.call("GET", `user?private_token=${lab.secret("api")}`);
  await lab.call("POST", "projects/7/trigger/pipeline", {
    form: { token: lab.secret("trigger"), ref: "main" },
  });
  await lab.restart();
  const secrets = [runner.token, job.token, lab.secret("api"), lab.secret("trigger")];
  const written = files(lab.file("state"))
    .filter((file) => !file.includes("/repositories/"))
    .map((file) => readFileSync(file, "utf8"));
  expect(written.length).toBeGreaterThan(1);
  for (const secret of secrets) {
    expect(written.some((text) => text.includes(secret))).toBe(false);
    expect(lab.logs.join("\n")).not.toContain(secret);
  }
  expect(lab.logs).toContainEqual(
    expect.stringMatching(/^POST \/api\/v4\/jobs\/request 201 \d+ms$/),
  );
  expect(statSync(lab.file("state/state.json")).mode & 0o777).toBe(0o600);
  expect(statSync(lab.gitlab.adminSocket).mode & 0o777).toBe(0o600);
  expect(statSync(lab.file("api")).mode & 0o777).toBe(0o600);
});

test("the admin socket tells the inventory", async () => {
  const runner = await lab.runner({ maintenance_note: "gitlab-runners/lab/ci-01" });
  await lab.pipeline("a: {script: x}\nb: {script: x}\n");
  const job = await runner.take();
  const read = () =>
    new Promise<Record<string, unknown>>((resolve, reject) => {
      request({ socketPath: lab.gitlab.adminSocket, path: "/inventory" }, (response) => {
        let text = "";
        response.on("data", (chunk: Buffer) => (text += chunk.toString()));
        response.on("end", () => resolve(JSON.parse(text) as Record<string, unknown>));
      })
        .on("error", reject)
        .end();
    });
  expect(await read()).toMatchObject({
    runners: [
      {
        id: runner.id,
        maintenance_note: "gitlab-runners/lab/ci-01",
        status: "online",
        running_jobs: [job.id],
      },
    ],
    managers: [{ runner_id: runner.id, system_id: runner.systemId, running_jobs: [job.id] }],
    jobs: { running: 1, pending: 1 },
  });
  await lab.api("DELETE", `runners/${runner.id}`);
  expect(await read()).toMatchObject({ runners: [], managers: [] });
});

test.each([
  [{ port: "x" }, /port: /],
  [{ url: "https://gitlab.lab.test/" }, /url: must be a URL without a trailing slash/],
  [{ tokens: [{ file: "f", scopes: ["sudo"] }] }, /tokens\.0\.scopes\.0: /],
  [{ tokens: [{ file: "f", user: "nobody", scopes: ["api"] }] }, /tokens\.user: no user nobody/],
  [{ unknown: 1 }, /unknown/i],
  [{ triggers: [{ project: "a/b", file: "f" }] }, /triggers\.project: no project a\/b/],
  [
    {
      groups: [
        { id: 1, path: "a" },
        { id: 1, path: "b" },
      ],
    },
    /groups\.id: 1 stands there twice/,
  ],
])("a wrong configuration is refused: %j", (overrides, message) => {
  const base = { tls: { cert: "c", key: "k" }, url: "https://gitlab.lab.test" };
  expect(() => parseConfig({ ...base, ...overrides })).toThrow(message);
});
