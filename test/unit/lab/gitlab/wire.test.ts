import { readFileSync } from "node:fs";
import { request } from "node:https";

import { inventory } from "../../../../lab/gitlab/admin";
import { Engine } from "../../../../lab/gitlab/ci/engine";
import { FEATURES, Lab, type TestRunner } from "./harness";

let lab: Lab;
let runner: TestRunner;
beforeAll(async () => {
  lab = await Lab.start();
});
beforeEach(async () => {
  runner = await lab.runner();
});
afterEach(() => lab.call("DELETE", `runners/${runner.id}`, { token: "api" }));
afterAll(() => lab.stop());

const ONE = "job:\n  script: [make]\n";

/** A job that the runner has begun with. */
async function running(ci = ONE) {
  const pipeline = await lab.pipeline(ci);
  const job = await runner.take();
  return { pipeline, job };
}

async function status(jobId: number) {
  const job = await lab.api("GET", `projects/7/jobs/${jobId}`);
  return job.status as string;
}

describe("verify", () => {
  test("a good token, and the manager that it makes", async () => {
    const answer = await runner.verify();
    expect(answer.status).toBe(200);
    expect(answer.json).toEqual({ id: runner.id, token: runner.token, token_expires_at: null });
    const [manager] = await lab.api("GET", `runners/${runner.id}/managers`);
    expect(manager).toMatchObject({
      system_id: runner.systemId,
      version: "19.3.0",
      revision: "abcdef01",
      platform: "linux",
      architecture: "amd64",
      ip_address: "127.0.0.1",
      status: "online",
      job_execution_status: "idle",
    });
    expect(await lab.api("GET", `runners/${runner.id}`)).toMatchObject({
      status: "online",
      online: true,
    });
  });

  test("an unknown token is 403, none is 400", async () => {
    const unknown = await lab.call("POST", "runners/verify", { json: { token: "glrt-x" } });
    expect([unknown.status, unknown.json]).toEqual([403, { message: "403 Forbidden" }]);
    const none = await lab.call("POST", "runners/verify", { json: {} });
    expect([none.status, none.json]).toEqual([400, { error: "token is missing" }]);
  });

  test("a runner whose project is gone is 422", async () => {
    const record = lab.gitlab.world.store.runner(runner.id);
    if (record !== undefined) record.projectIds = [999];
    expect((await runner.verify()).status).toBe(422);
  });
});

test("managers are told apart by system id; unregister takes only the caller's", async () => {
  await runner.verify();
  runner.systemId = "s_000000000002";
  await runner.verify();
  await runner.verify();
  const where = `runners/${runner.id}/managers`;
  expect(await lab.api("GET", where)).toHaveLength(2);
  expect((await runner.unregister()).status).toBe(204);
  expect((await runner.unregister()).status).toBe(404);
  expect(await lab.api("GET", where)).toEqual([
    expect.objectContaining({ system_id: "s_000000000001" }),
  ]);
  const nobody = await lab.call("DELETE", "runners/managers", { json: { token: runner.token } });
  expect(nobody.json).toEqual({ error: "system_id is missing" });
});

test("the runner resets its own token", async () => {
  const old = runner.token;
  const answer = await lab.call("POST", "runners/reset_authentication_token", {
    json: { token: old },
  });
  expect(answer.status).toBe(201);
  expect((await runner.request()).status).toBe(403);
  runner.token = answer.json.token;
  expect((await runner.request()).status).toBe(204);
});

test("an expired token is 403", async () => {
  const record = lab.gitlab.world.store.runner(runner.id);
  if (record !== undefined) record.tokenExpiresAt = "2020-01-01T00:00:00.000Z";
  expect((await runner.verify()).status).toBe(403);
});

test("the job router is not there, and says so", async () => {
  const answer = await lab.call("GET", "runners/router/discovery", {
    headers: { "runner-token": runner.token },
  });
  expect(answer.status).toBe(501);
});

test("a deleted runner gets 403, a paused one 204", async () => {
  await lab.pipeline(ONE);
  await lab.api("PUT", `runners/${runner.id}`, { paused: true });
  expect((await runner.request()).status).toBe(204);
  await lab.api("PUT", `runners/${runner.id}`, { paused: false });
  const answer = await runner.request();
  expect(answer.status).toBe(201);
  await lab.api("DELETE", `runners/${runner.id}`);
  expect((await runner.request()).status).toBe(403);
});

describe("long poll", () => {
  test("the first look answers at once; the next waits and gets the job when it comes", async () => {
    expect((await runner.request()).status).toBe(204);
    const began = Date.now();
    const waiting = runner.request(runner.lastUpdate);
    await new Promise((resolve) => setTimeout(resolve, 300));
    await lab.pipeline(ONE);
    expect((await waiting).status).toBe(201);
    const took = Date.now() - began;
    expect(took).toBeGreaterThanOrEqual(300);
    expect(took).toBeLessThan(4000);
  });

  test("a runner that is deleted meanwhile is told", async () => {
    await runner.request();
    const waiting = runner.request(runner.lastUpdate);
    await new Promise((resolve) => setTimeout(resolve, 100));
    await lab.api("DELETE", `runners/${runner.id}`);
    expect((await waiting).status).toBe(403);
  });

  test("it ends with 204 after its time", async () => {
    await lab.restart({ longPollSeconds: 0.2 });
    await runner.request();
    const began = Date.now();
    expect((await runner.request(runner.lastUpdate)).status).toBe(204);
    expect(Date.now() - began).toBeGreaterThanOrEqual(190);
  });

  test("a client that hangs up while it waits loses no job", async () => {
    await lab.restart({ longPollSeconds: 30 });
    await runner.request();
    const sent = request(`${lab.url}/api/v4/jobs/request`, {
      method: "POST",
      ca: readFileSync(lab.ca),
      headers: { "content-type": "application/json" },
      agent: false,
    });
    sent.on("error", () => undefined);
    sent.end(JSON.stringify({ token: runner.token, last_update: runner.lastUpdate }));
    await new Promise((resolve) => setTimeout(resolve, 200));
    sent.destroy();
    await new Promise((resolve) => setTimeout(resolve, 200));
    const pipeline = await lab.pipeline(ONE);
    expect(await lab.states(pipeline.id)).toEqual({ job: "pending" });
    expect((await runner.request()).status).toBe(201);
    await lab.restart({ longPollSeconds: 5 });
  });
});

test("a job from begin to end", async () => {
  const { pipeline, job } = await running(
    "job:\n  image: {name: 'alpine:3.22', entrypoint: ['']}\n  services: [{name: 'postgres:17', alias: db}]\n" +
      "  variables: {WHO: lab}\n  before_script: [one]\n  script: [two, three]\n  after_script: [four]\n" +
      "  cache: {key: k, paths: [c/]}\n",
  );
  expect(job.payload).toMatchObject({
    id: job.id,
    token: expect.stringMatching(/^glcbt-/) as string,
    allow_git_fetch: true,
    job_info: {
      name: "job",
      stage: "test",
      project_id: 7,
      project_full_path: "platform/my.app",
      project_jobs_running_on_instance_runners_count: "+Inf",
    },
    git_info: {
      repo_url: `${lab.url.replace("://", `://gitlab-ci-token:${job.token}@`)}/platform/my.app.git`,
      ref: "main",
      sha: pipeline.sha,
      ref_type: "branch",
      depth: 20,
      protected: true,
    },
    steps: [
      { name: "script", script: ["one", "two", "three"], when: "on_success", allow_failure: false },
      { name: "after_script", script: ["four"], when: "always", allow_failure: true },
    ],
    image: { name: "alpine:3.22", entrypoint: [""] },
    services: [{ name: "postgres:17", alias: "db" }],
    cache: [{ key: "k-protected", paths: ["c/"], policy: "pull-push" }],
  });
  expect(typeof job.payload.job_info.time_in_queue_seconds).toBe("number");
  expect(job.variable("WHO")).toBe("lab");
  expect(job.variable("CI_JOB_TOKEN")).toBe(job.token);
  expect(job.variable("CI_COMMIT_SHA")).toBe(pipeline.sha);
  expect(job.variable("CI_RUNNER_ID")).toBe(String(runner.id));
  expect(await lab.api("GET", `runners/${runner.id}/jobs?status=running`)).toHaveLength(1);
  const [manager] = await lab.api("GET", `runners/${runner.id}/managers`);
  expect(manager.job_execution_status).toBe("active");

  const kept = await job.put({ state: "running" });
  expect([kept.status, kept.headers.get("job-status")]).toEqual([200, "running"]);
  const patched = await job.trace("hello\n");
  expect(patched.status).toBe(202);
  expect(patched.headers.get("range")).toBe("0-6");
  expect(patched.headers.get("job-status")).toBe("running");
  expect(patched.headers.get("x-gitlab-trace-update-interval")).toBe("60");
  const trace = await lab.call("GET", `projects/7/jobs/${job.id}/trace`, { token: "read_api" });
  expect(trace.text).toBe("hello\n");
  // Somebody watches now.
  const next = await job.trace("bye\n");
  expect(next.headers.get("x-gitlab-trace-update-interval")).toBe("3");
  expect((await job.finish("success", { exit_code: 0 })).status).toBe(200);

  const done = await lab.api("GET", `projects/7/jobs/${job.id}`);
  expect(done).toMatchObject({
    status: "success",
    stage: "test",
    pipeline: { id: pipeline.id, status: "success" },
    runner: { id: runner.id },
    runner_manager: { system_id: runner.systemId },
    commit: { id: pipeline.sha },
  });
  expect(done.duration).toBeGreaterThanOrEqual(0);
  expect(await lab.api("GET", `runners/${runner.id}/jobs?status=running`)).toEqual([]);
  // The job's token ends with the job.
  const late = await job.trace("late\n");
  expect([late.status, late.headers.get("job-status")]).toEqual([403, "success"]);
});

describe("two-phase commit", () => {
  beforeEach(() => {
    runner.features = { ...FEATURES, two_phase_job_commit: true };
  });

  test("the job runs once the runner says that it takes it", async () => {
    const { pipeline, job } = await running();
    expect(await lab.states(pipeline.id)).toEqual({ job: "pending" });
    const other = await lab.runner();
    expect((await other.request()).status).toBe(204);
    expect((await job.put({ state: "success" })).status).toBe(400);
    expect((await job.put({ state: "pending" })).status).toBe(200);
    expect((await job.put({ state: "running" })).status).toBe(200);
    expect(await lab.states(pipeline.id)).toEqual({ job: "running" });
    await job.finish("success");
  });

  test("a runner that never says so loses the job to another", async () => {
    await lab.restart({ acknowledgeSeconds: 0.05 });
    const { job } = await running();
    await new Promise((resolve) => setTimeout(resolve, 100));
    sweep();
    const other = await lab.runner();
    const again = await other.take();
    expect(again.id).toBe(job.id);
    expect((await job.put({ state: "running" })).status).toBe(403);
    expect((await again.put({ state: "running" })).status).toBe(200);
    await again.finish("success");
    await lab.restart({ acknowledgeSeconds: 120 });
  });
});

function sweep() {
  new Engine(lab.gitlab.world).sweep();
}

describe("trace", () => {
  test("a hole is 416 with the size that is there", async () => {
    const { job } = await running();
    await job.trace("abc");
    const hole = await job.trace("xyz", 10);
    expect(hole.status).toBe(416);
    expect(hole.headers.get("range")).toBe("0-3");
    expect((await job.trace("def", 3)).headers.get("range")).toBe("0-6");
  });

  test("a part that overlaps is 416, one that is there already is taken", async () => {
    const { job } = await running();
    await job.trace("abcdef");
    expect((await job.trace("cdefgh", 2)).status).toBe(416);
    expect((await job.trace("def", 3)).status).toBe(202);
    const trace = await lab.call("GET", `projects/7/jobs/${job.id}/trace`, { token: "api" });
    expect(trace.text).toBe("abcdef");
  });

  test("a wrong checksum or size is 412, and the log can be sent again from the start", async () => {
    const { job } = await running();
    await job.trace("abc");
    const wrong = { checksum: "crc32:00000000", bytesize: 3 };
    expect((await job.put({ state: "success", output: wrong })).status).toBe(412);
    expect(await status(job.id)).toBe("running");
    expect((await job.trace("abcd", 0)).status).toBe(202);
    const size = { checksum: "crc32:ed82cd11", bytesize: 5 };
    expect((await job.put({ state: "success", output: size })).status).toBe(412);
    await job.trace("abcd", 0);
    // CRC-32 of "abcd", known from elsewhere.
    const right = { checksum: "crc32:ed82cd11", bytesize: 4 };
    expect((await job.put({ state: "success", output: right })).status).toBe(200);
  });

  test("without a range it is 400, with another job's token 403", async () => {
    const { job } = await running();
    const headers = { "job-token": job.token, "content-type": "text/plain" };
    const bare = await lab.call("PATCH", `jobs/${job.id}/trace`, { headers, body: "x" });
    expect(bare.status).toBe(400);
    expect((await job.trace("x", 0, "glcbt-other")).status).toBe(403);
    const unknown = await lab.call("PATCH", "jobs/99999/trace", { headers, body: "x" });
    expect(unknown.status).toBe(403);
  });

  test("a log that grows too long fails the job", async () => {
    await lab.restart({ maxTraceBytes: 10 });
    const { job } = await running();
    const answer = await job.trace("0123456789x");
    expect([answer.status, answer.headers.get("job-status")]).toEqual([403, "failed"]);
    const failed = await lab.api("GET", `projects/7/jobs/${job.id}`);
    expect(failed.failure_reason).toBe("trace_size_exceeded");
    await lab.restart({ maxTraceBytes: 1000 });
  });

  test("bytes stay as they are", async () => {
    const { job } = await running();
    await job.trace("grün \u001b[0K✓\n");
    expect((await job.finish("success")).status).toBe(200);
    const trace = await lab.call("GET", `projects/7/jobs/${job.id}/trace`, { token: "api" });
    expect(trace.text).toBe("grün \u001b[0K✓\n");
  });
});

describe("the end of a job", () => {
  test.each([
    ["script_failure", "script_failure"],
    ["image_pull_failure", "image_pull_failure"],
    ["something_new", "unknown_failure"],
    [undefined, "unknown_failure"],
  ])("failure reason %s is kept as %s", async (sent, kept) => {
    const { job } = await running();
    await job.finish("failed", { failure_reason: sent, exit_code: 1 });
    const failed = await lab.api("GET", `projects/7/jobs/${job.id}`);
    expect(failed).toMatchObject({ status: "failed", failure_reason: kept });
  });

  test("an unknown state is 400", async () => {
    const { job } = await running();
    expect((await job.put({ state: "done" })).status).toBe(400);
    expect(await status(job.id)).toBe("running");
  });

  test("cancel: a runner that cannot clean up is cut off", async () => {
    const { job } = await running();
    await lab.api("POST", `projects/7/jobs/${job.id}/cancel`);
    const answer = await job.trace("x");
    expect([answer.status, answer.headers.get("job-status")]).toEqual([403, "canceled"]);
    expect((await job.put({ state: "running" })).status).toBe(403);
  });

  test("cancel: a runner that can is told, and ends the job itself", async () => {
    runner.features = { ...FEATURES, cancel_gracefully: true };
    const { job } = await running();
    await lab.api("POST", `projects/7/jobs/${job.id}/cancel`);
    const answer = await job.trace("x");
    expect([answer.status, answer.headers.get("job-status")]).toEqual([202, "canceling"]);
    expect(await status(job.id)).toBe("canceling");
    await job.finish("failed", { failure_reason: "job_canceled" });
    expect(await status(job.id)).toBe("canceled");
  });

  test("a job whose runner fell silent is failed after a time", async () => {
    await lab.restart({ stuckSeconds: 0.05 });
    const { job } = await running();
    await new Promise((resolve) => setTimeout(resolve, 100));
    sweep();
    const failed = await lab.api("GET", `projects/7/jobs/${job.id}`);
    expect(failed).toMatchObject({ status: "failed", failure_reason: "stuck_or_timeout_failure" });
    await lab.restart({ stuckSeconds: 3600 });
  });

  test("a job that no runner can take is called stuck, and failed after a time", async () => {
    const pipeline = await lab.pipeline("job:\n  tags: [nobody]\n  script: [x]\n");
    const open = inventory(lab.gitlab.world).open_jobs.find((job) =>
      job.tag_list.includes("nobody"),
    );
    expect(open?.stuck).toMatch(/no runners that match all of the job's tags: nobody$/);
    await lab.restart({ stuckPendingSeconds: 0.01 });
    await new Promise((resolve) => setTimeout(resolve, 30));
    sweep();
    expect(await lab.states(pipeline.id)).toEqual({ job: "failed" });
    await lab.restart({ stuckPendingSeconds: 3600 });
  });
});

test("a runner is offline, then stale, as time passes", async () => {
  await runner.verify();
  const record = lab.gitlab.world.store.runner(runner.id);
  const at = async (hoursAgo: number) => {
    if (record !== undefined) {
      record.contactedAt = new Date(Date.now() - hoursAgo * 3600_000).toISOString();
    }
    return (await lab.api("GET", `runners/${runner.id}`)).status as string;
  };
  expect(await at(1)).toBe("online");
  expect(await at(3)).toBe("offline");
  expect(await at(24 * 8)).toBe("stale");
});
