import { Lab, type TestRunner } from "./harness";

let lab: Lab;
beforeAll(async () => {
  lab = await Lab.start({ longPollSeconds: 0 });
  await lab.restart({
    groups: [
      { id: 3, path: "platform" },
      { id: 4, path: "elsewhere" },
    ],
    projects: [
      { id: 7, path: "platform/my.app", dir: lab.file("project") },
      { id: 8, path: "platform/deep/own", dir: lab.file("project"), sharedRunnersEnabled: false },
      { id: 9, path: "elsewhere/app", dir: lab.file("project") },
    ],
  });
});
afterAll(() => lab.stop());

interface Case {
  readonly name: string;
  readonly runner: Record<string, unknown>;
  readonly tags?: string[];
  readonly project?: number;
  readonly ref?: string;
  readonly taken: boolean;
}

const instance = { runner_type: "instance_type", project_id: undefined };
const group = { runner_type: "group_type", project_id: undefined, group_id: 3 };

const cases: Case[] = [
  { name: "no tags, runner takes untagged", runner: {}, taken: true },
  {
    name: "no tags, runner wants tags",
    runner: { run_untagged: false, tag_list: ["a"] },
    taken: false,
  },
  { name: "one of two tags is there", runner: { tag_list: ["a"] }, tags: ["a", "b"], taken: false },
  {
    name: "all tags are there",
    runner: { tag_list: ["a", "b", "c"] },
    tags: ["a", "b"],
    taken: true,
  },
  { name: "tags mind capitals", runner: { tag_list: ["A"] }, tags: ["a"], taken: false },
  { name: "a tagged job, a runner without tags", runner: {}, tags: ["a"], taken: false },
  { name: "paused", runner: { paused: true }, taken: false },
  { name: "locked changes nothing for its own project", runner: { locked: true }, taken: true },
  { name: "another project", runner: {}, project: 9, taken: false },
  {
    name: "protected runner, protected ref",
    runner: { access_level: "ref_protected" },
    taken: true,
  },
  {
    name: "protected runner, open ref",
    runner: { access_level: "ref_protected" },
    ref: "topic",
    taken: false,
  },
  { name: "open runner, open ref", runner: {}, ref: "topic", taken: true },
  { name: "instance runner, any project", runner: instance, project: 9, taken: true },
  { name: "instance runner, project without them", runner: instance, project: 8, taken: false },
  { name: "group runner, project below it", runner: group, project: 8, taken: true },
  { name: "group runner, project elsewhere", runner: group, project: 9, taken: false },
];

test.each(cases)("$name", async ({ runner, tags = [], project = 7, ref = "main", taken }) => {
  lab.writeProject({ ".gitlab-ci.yml": JSON.stringify({ job: { script: ["x"], tags } }) });
  await lab
    .api("POST", `projects/${project}/pipeline`, { ref: "main" })
    .then((made) => lab.api("POST", `projects/${project}/pipelines/${made.id}/cancel`));
  if (ref !== "main") {
    const branches = await lab.api("GET", `projects/${project}/repository/branches`);
    if (!branches.some((branch: { name: string }) => branch.name === ref)) {
      await lab.api("POST", `projects/${project}/repository/branches`, {
        branch: ref,
        ref: "main",
      });
    }
  }
  const pipeline = await lab.api("POST", `projects/${project}/pipeline`, { ref });
  const client = await lab.runner(runner);
  try {
    expect((await client.request()).status).toBe(taken ? 201 : 204);
  } finally {
    await lab.api("POST", `projects/${project}/pipelines/${pipeline.id}/cancel`);
    await lab.api("DELETE", `runners/${client.id}`);
  }
});

describe("the timeout that the runner is told", () => {
  test.each([
    ["the project's", undefined, undefined, 3600],
    ["the job's, longer than the project's", "2h", undefined, 7200],
    ["the runner's, when that is shorter", "2h", 900, 900],
    ["the job's, when that is shorter", "5m", 900, 300],
  ])("%s", async (_name, timeout, maximum, seconds) => {
    const client = await lab.runner(maximum === undefined ? {} : { maximum_timeout: maximum });
    await lab.pipeline(JSON.stringify({ job: { script: ["x"], timeout } }));
    const job = await client.take();
    expect(job.payload.runner_info.timeout).toBe(seconds);
    expect(job.payload.steps[0].timeout).toBe(seconds);
    await job.finish("success");
    await lab.api("DELETE", `runners/${client.id}`);
  });
});

test("a runner that lacks what a job needs never gets it: the job fails", async () => {
  const client = await lab.runner();
  client.features = {};
  const pipeline = await lab.pipeline(
    JSON.stringify({ job: { script: ["x"], allow_failure: { exit_codes: [3] } } }),
  );
  expect((await client.request()).status).toBe(204);
  const [job] = await lab.api("GET", `projects/7/pipelines/${pipeline.id}/jobs`);
  expect(job).toMatchObject({ status: "failed", failure_reason: "runner_unsupported" });
  await lab.api("DELETE", `runners/${client.id}`);
});

test("two runners never get the same job", async () => {
  await lab.pipeline(JSON.stringify({ job: { script: ["x"], parallel: 3 } }));
  const clients: TestRunner[] = [];
  for (let index = 0; index < 5; index += 1) clients.push(await lab.runner());
  const answers = await Promise.all(clients.map((client) => client.request()));
  const ids = answers.filter((answer) => answer.status === 201).map((answer) => answer.json.id);
  expect(new Set(ids).size).toBe(3);
  expect(ids).toHaveLength(3);
});
