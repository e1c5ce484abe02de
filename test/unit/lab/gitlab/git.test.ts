import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { promisify } from "node:util";

import { Lab, type TestRunner } from "./harness";

let lab: Lab;
let runner: TestRunner;
beforeAll(async () => {
  lab = await Lab.start({ longPollSeconds: 0 });
  runner = await lab.runner();
});
afterAll(() => lab.stop());

const run = promisify(execFile);

/** Real git, over TLS that it verifies with the lab's CA. */
async function git(...args: string[]): Promise<string> {
  const env = {
    PATH: process.env.PATH,
    HOME: lab.dir,
    GIT_TERMINAL_PROMPT: "0",
    GIT_SSL_CAINFO: lab.ca,
    GIT_CONFIG_NOSYSTEM: "1",
    LC_ALL: "C",
  };
  const { stdout } = await run("git", args, { cwd: lab.dir, env });
  return stdout.trim();
}

const url = (user: string, secret: string) =>
  `${lab.url.replace("://", `://${user}:${secret}@`)}/platform/my.app.git`;

test("a job fetches its commit as a runner does: shallow, by refspec, with the job's token", async () => {
  lab.writeProject({ ".gitlab-ci.yml": "job: {script: x}\n", "sub/file.txt": "content\n" });
  const pipeline = await lab.api("POST", "projects/7/pipeline", { ref: "main" });
  const job = await runner.take();
  const { repo_url, refspecs, sha, depth } = job.payload.git_info;
  await git("init", "-q", "work");
  await git("-C", "work", "fetch", "-q", "--depth", String(depth), repo_url, ...refspecs);
  await git("-C", "work", "checkout", "-q", sha);
  expect(await git("-C", "work", "rev-parse", "HEAD")).toBe(pipeline.sha);
  expect(readFileSync(lab.file("work/sub/file.txt"), "utf8")).toBe("content\n");

  // The branch moves on; the pipeline's commit can still be had.
  lab.writeProject({ ".gitlab-ci.yml": "job: {script: y}\n" });
  const later = await lab.api("POST", "projects/7/pipeline", { ref: "main" });
  expect(later.sha).not.toBe(pipeline.sha);
  await git("init", "-q", "again");
  await git("-C", "again", "fetch", "-q", "--depth", "1", repo_url, refspecs[0]);
  expect(await git("-C", "again", "rev-parse", "FETCH_HEAD")).toBe(pipeline.sha);

  await job.finish("success");
  await expect(git("ls-remote", repo_url)).rejects.toThrow(/Access denied|Authentication failed/);
});

test("a clone with a personal token", async () => {
  await git("clone", "-q", url("oauth2", lab.secret("read_repository")), "clone");
  const log = await git("-C", "clone", "log", "--format=%an %aI");
  expect(log.split("\n").at(-1)).toBe("GitLab lab 2026-01-01T00:00:00+00:00");
});

test.each([
  ["no token", () => `${lab.url}/platform/my.app.git`, /could not read Username|Authentication/],
  ["a wrong token", () => url("x", "glpat-wrong"), /Authentication failed|Access denied/],
  [
    "a token without the scope",
    () => url("x", lab.secret("smallest")),
    /Authentication failed|Access denied/,
  ],
  [
    "another project",
    () => url("x", lab.secret("read_repository")).replace("my.app", "none"),
    /not found|could not be found/,
  ],
])("%s opens nothing", async (_name, where, message) => {
  await expect(git("ls-remote", where())).rejects.toThrow(message);
});

test("pushing is refused", async () => {
  const where = url("x", lab.secret("api"));
  await git("clone", "-q", where, "push");
  await expect(git("-C", "push", "push", "-q", where, "HEAD:refs/heads/new")).rejects.toThrow(
    /not allowed to push|403/,
  );
});

test("without the CA git refuses the server", async () => {
  const env = { PATH: process.env.PATH, HOME: lab.dir, GIT_TERMINAL_PROMPT: "0" };
  await expect(run("git", ["ls-remote", url("x", lab.secret("api"))], { env })).rejects.toThrow(
    /certificate/,
  );
});

test("the same content makes the same commit, in any state folder", async () => {
  const files = { ".gitlab-ci.yml": "job: {script: x}\n", a: "1" };
  const shas: string[] = [];
  for (let index = 0; index < 2; index += 1) {
    const other = await Lab.start();
    other.writeProject(files);
    await other.restart({
      triggers: [],
      projects: [{ id: 7, path: "platform/fresh", dir: other.file("project") }],
    });
    const made = await other.api("POST", "projects/7/pipeline", { ref: "main" });
    const again = await other.api("POST", "projects/7/pipeline", { ref: "main" });
    expect(again.sha).toBe(made.sha);
    shas.push(made.sha);
    await other.stop();
  }
  expect(shas[0]).toBe(shas[1]);
});

test("whatever else is asked for outside the API is 404", async () => {
  for (const path of [
    "/platform/my.app.git/config",
    "/platform/my.app.git/../state.json",
    "/x/y",
  ]) {
    expect((await lab.call("GET", path)).status).toBe(404);
  }
  expect((await lab.call("GET", "/")).status).toBe(302);
  expect((await lab.call("GET", "/api/v4/nothing")).json).toEqual({ error: "404 Not Found" });
});
