import { FormData } from "undici";

import { Lab, type TestRunner } from "./harness";

let lab: Lab;
let runner: TestRunner;
beforeAll(async () => {
  lab = await Lab.start({ longPollSeconds: 0 });
  runner = await lab.runner({ tag_list: ["docker", "ci-01"] });
});
afterEach(async () => {
  for (const pipeline of await lab.api("GET", "projects/7/pipelines")) {
    await lab.api("POST", `projects/7/pipelines/${pipeline.id}/cancel`);
  }
});
afterAll(() => lab.stop());

type End = "success" | "failed";

/** Runs what can run; `ends` says how jobs end, by name. Returns the names in their order. */
async function drain(ends: Record<string, End> = {}): Promise<string[]> {
  const names: string[] = [];
  for (;;) {
    const answer = await runner.request();
    if (answer.status !== 201) return names;
    const name = answer.json.job_info.name as string;
    names.push(name);
    const state = ends[name] ?? "success";
    const failure = state === "failed" ? { failure_reason: "script_failure", exit_code: 7 } : {};
    await lab.call("PUT", `jobs/${answer.json.id}`, {
      json: { token: answer.json.token, state, ...failure },
    });
  }
}

async function pipelineStatus(id: number): Promise<string> {
  return (await lab.api("GET", `projects/7/pipelines/${id}`)).status as string;
}

const STAGES = "stages: [one, two, three]\n";
const job = (name: string, more: Record<string, unknown> = {}) =>
  `${name}: ${JSON.stringify({ script: ["x"], ...more })}\n`;

interface Case {
  readonly name: string;
  readonly ci: string;
  readonly ends?: Record<string, End>;
  readonly order: string[];
  readonly states: Record<string, string>;
  readonly pipeline: string;
}

const cases: Case[] = [
  {
    name: "stages gate each other",
    ci:
      STAGES +
      job("c", { stage: "three" }) +
      job("a", { stage: "one" }) +
      job("b", { stage: "two" }),
    order: ["a", "b", "c"],
    states: { a: "success", b: "success", c: "success" },
    pipeline: "success",
  },
  {
    name: "a failure stops the stages after it",
    ci:
      STAGES +
      job("a", { stage: "one" }) +
      job("b", { stage: "two" }) +
      job("c", { stage: "three" }),
    ends: { a: "failed" },
    order: ["a"],
    states: { a: "failed", b: "skipped", c: "skipped" },
    pipeline: "failed",
  },
  {
    name: "on_failure and always run after a failure",
    ci:
      STAGES +
      job("a", { stage: "one" }) +
      job("mend", { stage: "two", when: "on_failure" }) +
      job("normal", { stage: "two" }) +
      job("report", { stage: "three", when: "always" }),
    ends: { a: "failed" },
    order: ["a", "mend", "report"],
    states: { a: "failed", mend: "success", normal: "skipped", report: "success" },
    pipeline: "failed",
  },
  {
    name: "on_failure is skipped after success",
    ci: STAGES + job("a", { stage: "one" }) + job("mend", { stage: "two", when: "on_failure" }),
    order: ["a"],
    states: { a: "success", mend: "skipped" },
    pipeline: "success",
  },
  {
    name: "an allowed failure stops nothing",
    ci: STAGES + job("a", { stage: "one", allow_failure: true }) + job("b", { stage: "two" }),
    ends: { a: "failed" },
    order: ["a", "b"],
    states: { a: "failed", b: "success" },
    pipeline: "success",
  },
  {
    name: "an allowed exit code stops nothing",
    ci:
      STAGES +
      job("a", { stage: "one", allow_failure: { exit_codes: 7 } }) +
      job("b", { stage: "two" }),
    ends: { a: "failed" },
    order: ["a", "b"],
    states: { a: "failed", b: "success" },
    pipeline: "success",
  },
  {
    name: "an exit code that is not allowed does",
    ci:
      STAGES +
      job("a", { stage: "one", allow_failure: { exit_codes: 8 } }) +
      job("b", { stage: "two" }),
    ends: { a: "failed" },
    order: ["a"],
    states: { a: "failed", b: "skipped" },
    pipeline: "failed",
  },
  {
    name: "needs let a job start before its stage",
    ci:
      STAGES +
      job("slow", { stage: "one", tags: ["nobody"] }) +
      job("a", { stage: "one" }) +
      job("b", { stage: "two", needs: ["a"] }) +
      job("c", { stage: "three", needs: [] }),
    order: ["a", "b", "c"],
    states: { slow: "pending", a: "success", b: "success", c: "success" },
    pipeline: "running",
  },
  {
    name: "a manual job that may be left lets the pipeline pass",
    ci: STAGES + job("ask", { stage: "one", when: "manual" }) + job("b", { stage: "two" }),
    order: ["b"],
    states: { ask: "manual", b: "success" },
    pipeline: "success",
  },
  {
    name: "a manual job that blocks holds the next stage",
    ci:
      STAGES +
      job("a", { stage: "one" }) +
      job("ask", { stage: "one", when: "manual", allow_failure: false }) +
      job("b", { stage: "two" }),
    order: ["a"],
    states: { a: "success", ask: "manual", b: "created" },
    pipeline: "manual",
  },
  {
    name: "parallel jobs",
    ci: job("p", { parallel: 3 }),
    order: ["p 1/3", "p 2/3", "p 3/3"],
    states: { "p 1/3": "success", "p 2/3": "success", "p 3/3": "success" },
    pipeline: "success",
  },
  {
    name: ".pre comes first, .post last",
    ci: job("z", { stage: ".post" }) + job("m") + job("p", { stage: ".pre" }),
    order: ["p", "m", "z"],
    states: { p: "success", m: "success", z: "success" },
    pipeline: "success",
  },
  {
    name: "a job that waits for nobody leaves its pipeline pending",
    ci: job("a", { tags: ["nobody"] }),
    order: [],
    states: { a: "pending" },
    pipeline: "pending",
  },
];

test.each(cases)("$name", async ({ ci, ends, order, states, pipeline }) => {
  const made = await lab.pipeline(ci);
  expect(await drain(ends)).toEqual(order);
  expect(await lab.states(made.id)).toEqual(states);
  expect(await pipelineStatus(made.id)).toBe(pipeline);
});

test("retry by itself: as often as it says, for the reasons that it names", async () => {
  const ci =
    job("a", { retry: { max: 2, when: ["script_failure"] } }) +
    job("b", { retry: { max: 2, when: ["api_failure"] } });
  const made = await lab.pipeline(ci);
  const order = await drain({ a: "failed", b: "failed" });
  expect(order.sort()).toEqual(["a", "a", "a", "b"]);
  const all = await lab.api("GET", `projects/7/pipelines/${made.id}/jobs?include_retried=true`);
  expect(all).toHaveLength(4);
  expect(await pipelineStatus(made.id)).toBe("failed");
});

test("retry by hand runs the job and what was skipped after it", async () => {
  const made = await lab.pipeline(STAGES + job("a", { stage: "one" }) + job("b", { stage: "two" }));
  await drain({ a: "failed" });
  const [, a] = await lab.api("GET", `projects/7/pipelines/${made.id}/jobs`);
  expect(a.name).toBe("a");
  const again = await lab.api("POST", `projects/7/jobs/${a.id}/retry`);
  expect(again).toMatchObject({ name: "a", status: "pending" });
  expect(again.id).not.toBe(a.id);
  const twice = await lab.call("POST", `projects/7/jobs/${a.id}/retry`, { token: "api" });
  expect([twice.status, twice.json]).toEqual([
    403,
    { message: "403 Forbidden - Job is not retryable" },
  ]);
  expect(await drain()).toEqual(["a", "b"]);
  expect(await pipelineStatus(made.id)).toBe("success");
});

test("a whole pipeline is retried in its order", async () => {
  const made = await lab.pipeline(STAGES + job("a", { stage: "one" }) + job("b", { stage: "two" }));
  await drain({ a: "failed" });
  await lab.api("POST", `projects/7/pipelines/${made.id}/retry`);
  expect(await drain()).toEqual(["a", "b"]);
});

test("cancelling a pipeline leaves nothing that could start", async () => {
  const made = await lab.pipeline(
    STAGES + job("a", { stage: "one" }) + job("b", { stage: "two", when: "always" }),
  );
  const answer = await lab.api("POST", `projects/7/pipelines/${made.id}/cancel`);
  expect(answer.status).toBe("canceled");
  expect(await drain()).toEqual([]);
  expect(await lab.states(made.id)).toEqual({ a: "canceled", b: "canceled" });
});

test("play starts a manual job, with variables, and nothing else", async () => {
  const made = await lab.pipeline(job("ask", { when: "manual", rules: undefined }));
  const [ask] = await lab.api("GET", `projects/7/pipelines/${made.id}/jobs`);
  const played = await lab.call("POST", `projects/7/jobs/${ask.id}/play`, {
    token: "api",
    json: { job_variables_attributes: [{ key: "WHAT", value: "this" }] },
  });
  expect([played.status, played.json.status]).toEqual([200, "pending"]);
  const taken = await runner.take();
  expect(taken.variable("WHAT")).toBe("this");
  expect(taken.variable("CI_JOB_MANUAL")).toBe("true");
  const again = await lab.call("POST", `projects/7/jobs/${ask.id}/play`, { token: "api" });
  expect([again.status, again.json]).toEqual([
    400,
    { message: "400 Bad request - Unplayable Job" },
  ]);
});

test("a resource group lets one job run at a time", async () => {
  const ci = job("deploy", { resource_group: "$TARGET" });
  const first = await lab.pipeline(ci, { TARGET: "prod" });
  const second = await lab.pipeline(ci, { TARGET: "prod" });
  const other = await lab.pipeline(ci, { TARGET: "dev" });
  expect(await lab.states(first.id)).toEqual({ deploy: "pending" });
  expect(await lab.states(second.id)).toEqual({ deploy: "waiting_for_resource" });
  expect(await lab.states(other.id)).toEqual({ deploy: "pending" });
  const running = await runner.take();
  expect(await lab.states(second.id)).toEqual({ deploy: "waiting_for_resource" });
  await running.finish("success");
  expect(await lab.states(second.id)).toEqual({ deploy: "pending" });
});

test("variables: the later source wins", async () => {
  await lab.restart({
    variables: [
      { key: "V", value: "instance" },
      { key: "V", value: "group", path: "platform" },
      { key: "HIDDEN", value: "s3cret", path: "platform", masked: true, protected: true },
      { key: "FILE", value: "content", type: "file" },
    ],
  });
  const ci = `variables: {V: global, G: global}\n${job("a", { variables: { V: "job", J: "$G!" } })}`;
  await lab.pipeline(ci);
  const plain = await runner.take();
  expect([plain.variable("V"), plain.variable("G"), plain.variable("J")]).toEqual([
    "group",
    "global",
    "$G!",
  ]);
  expect(plain.payload.variables).toContainEqual({
    key: "HIDDEN",
    value: "s3cret",
    public: false,
    masked: true,
    raw: false,
    file: false,
  });
  expect(plain.payload.variables).toContainEqual({
    key: "FILE",
    value: "content",
    public: false,
    masked: false,
    raw: false,
    file: true,
  });
  await plain.finish("success");
  await lab.pipeline(ci, { V: "pipeline" });
  const given = await runner.take();
  expect(given.variable("V")).toBe("pipeline");
  await given.finish("success");
  await lab.api("POST", "projects/7/repository/branches", { branch: "topic", ref: "main" });
  await lab.api("POST", "projects/7/pipeline", { ref: "topic" });
  const open = await runner.take();
  expect(open.variable("HIDDEN")).toBeUndefined();
  expect(open.payload.git_info).toMatchObject({ ref: "topic", protected: false });
});

describe("rules", () => {
  const rules = (...list: unknown[]) => job("a", { rules: list }) + job("always");
  test.each([
    ["a match", rules({ if: "$GO" }), { GO: "1" }, { a: "pending", always: "pending" }],
    ["no match", rules({ if: "$GO" }), {}, { always: "pending" }],
    [
      "never",
      rules({ if: "$GO", when: "never" }, { when: "on_success" }),
      { GO: "1" },
      { always: "pending" },
    ],
    ["manual", rules({ when: "manual" }), {}, { a: "manual", always: "pending" }],
    [
      "the source",
      rules({ if: '$CI_PIPELINE_SOURCE == "api"' }),
      {},
      { a: "pending", always: "pending" },
    ],
    [
      "a file that exists",
      rules({ exists: ["**/*-ci.yml"] }),
      {},
      { a: "pending", always: "pending" },
    ],
    ["a file that does not", rules({ exists: ["Dockerfile"] }), {}, { always: "pending" }],
    [
      "the branch",
      rules({ if: "$CI_COMMIT_BRANCH == $CI_DEFAULT_BRANCH" }),
      {},
      { a: "pending", always: "pending" },
    ],
  ])("%s", async (_name, ci, variables, states) => {
    const made = await lab.pipeline(ci, variables as Record<string, string>);
    expect(await lab.states(made.id)).toEqual(states);
  });

  test("workflow rules filter, name and add variables", async () => {
    const ci = `workflow: {name: "run of $WHO", rules: [{if: $WHO, variables: {EXTRA: "1"}}]}\n${job("a")}`;
    const made = await lab.pipeline(ci, { WHO: "me" });
    expect(made.name).toBe("run of me");
    expect((await runner.take()).variable("EXTRA")).toBe("1");
    await expect(lab.pipeline(ci)).rejects.toThrow("Pipeline filtered out by workflow rules.");
  });
});

describe("no pipeline comes of", () => {
  const create = async (ci: string | undefined, ref = "main") => {
    lab.writeProject(ci === undefined ? { other: "" } : { ".gitlab-ci.yml": ci });
    const answer = await lab.call("POST", "projects/7/pipeline", { token: "api", json: { ref } });
    expect(answer.status).toBe(400);
    return answer.json.message.base as string[];
  };
  test.each([
    ["a ref that is not there", "none", job("a"), ["Reference not found"]],
    ["no file", "main", undefined, ["Missing CI config file"]],
    ["an unknown key", "main", job("a", { foo: 1 }), ["jobs:a config contains unknown keys: foo"]],
    [
      "rules that take every job away",
      "main",
      job("a", { rules: [{ when: "never" }] }),
      [expect.stringMatching(/^Pipeline will not run for the selected trigger/)],
    ],
    [
      "a need that rules took away",
      "main",
      job("b", { rules: [{ when: "never" }] }) + job("a", { needs: ["b"] }),
      [expect.stringMatching(/^'a' job needs 'b' job, but 'b' does not exist in the pipeline/)],
    ],
  ])("%s", async (_name, ref, ci, base) => {
    expect(await create(ci, ref)).toEqual(base);
  });

  test("a commit instead of a ref", async () => {
    const made = await lab.pipeline(job("a"));
    expect(await create(job("a"), made.sha)).toEqual(["Reference not found"]);
  });
});

describe("trigger tokens", () => {
  const CANARY = `canary: {tags: [$RUNNER_TAG], script: [x], rules: [{if: $RUNNER_TAG}]}\n${job("a", { rules: [{ if: "!$RUNNER_TAG" }] })}`;
  const path = "projects/7/trigger/pipeline";

  test.each(["form", "multipart", "json"])(
    "start a pipeline aimed at one host, as %s",
    async (kind) => {
      lab.writeProject({ ".gitlab-ci.yml": CANARY });
      const fields = {
        token: lab.secret("trigger"),
        ref: "main",
        "variables[RUNNER_TAG]": "ci-01",
      };
      const multipart = new FormData();
      for (const [name, value] of Object.entries(fields)) multipart.append(name, value);
      const { token, ref } = fields;
      const answer = await lab.call("POST", path, {
        ...(kind === "form" ? { form: fields } : {}),
        ...(kind === "multipart" ? { multipart } : {}),
        ...(kind === "json" ? { json: { token, ref, variables: { RUNNER_TAG: "ci-01" } } } : {}),
      });
      expect([answer.status, answer.text]).toEqual([201, answer.text]);
      expect(answer.json).toMatchObject({ source: "trigger", ref: "main", status: "pending" });
      const [canary] = await lab.api("GET", `projects/7/pipelines/${answer.json.id}/jobs`);
      expect(canary).toMatchObject({ name: "canary", tag_list: ["ci-01"] });
      const taken = await runner.take();
      expect(taken.variable("CI_PIPELINE_TRIGGERED")).toBe("true");
      expect(taken.variable("RUNNER_TAG")).toBe("ci-01");
    },
  );

  test("a wrong token, another project and a wrong value are refused", async () => {
    const send = (where: string, token: string, json: Record<string, unknown> = {}) =>
      lab.call("POST", where, { json: { token, ref: "main", ...json } });
    const wrong = await send(path, "glptt-wrong");
    expect([wrong.status, wrong.json]).toEqual([404, { message: "404 Not Found" }]);
    expect((await send("projects/8/trigger/pipeline", lab.secret("trigger"))).status).toBe(404);
    const nested = await send(path, lab.secret("trigger"), { variables: { A: { b: 1 } } });
    expect(nested.json.message).toMatch(/needs to be a map of key-valued strings/);
  });

  test("can be made, are shown once, and removed", async () => {
    const made = await lab.api("POST", "projects/7/triggers", { description: "gate" });
    expect(made.token).toMatch(/^glptt-/);
    const list = await lab.api("GET", "projects/7/triggers");
    expect(JSON.stringify(list)).not.toContain(made.token);
    const send = () =>
      lab.call("POST", path, {
        form: { token: made.token, ref: "main", "variables[RUNNER_TAG]": "ci-01" },
      });
    expect((await send()).status).toBe(201);
    expect(
      (await lab.call("DELETE", `projects/7/triggers/${made.id}`, { token: "api" })).status,
    ).toBe(204);
    expect((await send()).status).toBe(404);
  });
});

test("lint says what a pipeline would say", async () => {
  const good = await lab.api("POST", "projects/7/ci/lint", { content: job("a") });
  expect(good).toMatchObject({ valid: true, errors: [] });
  const bad = await lab.api("POST", "projects/7/ci/lint", { content: job("a", { foo: 1 }) });
  expect(bad).toMatchObject({ valid: false, errors: ["jobs:a config contains unknown keys: foo"] });
});
