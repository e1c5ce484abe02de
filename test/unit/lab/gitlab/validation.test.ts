import { Lab } from "./harness";

let lab: Lab;
beforeAll(async () => {
  lab = await Lab.start();
});
afterAll(() => lab.stop());

const project = { runner_type: "project_type", project_id: 7 };
const untagged = "can not be empty when runner is not allowed to pick untagged jobs";

/** Body of POST /user/runners and the 400 that it gets. */
const refused: [string, Record<string, unknown>, Record<string, unknown>][] = [
  ["nothing", {}, { error: "runner_type is missing" }],
  ["an unknown type", { runner_type: "x" }, { error: "runner_type does not have a valid value" }],
  ["no project", { runner_type: "project_type" }, { error: "project_id is missing" }],
  ["no group", { runner_type: "group_type" }, { error: "group_id is missing" }],
  [
    "a project for a group runner",
    { runner_type: "group_type", group_id: 3, project_id: 7 },
    { message: "400 Bad request - project_id is not allowed with runner_type group_type" },
  ],
  [
    "a group for a project runner",
    { ...project, group_id: 3 },
    { message: "400 Bad request - group_id is not allowed with runner_type project_type" },
  ],
  [
    "a project for an instance runner",
    { runner_type: "instance_type", project_id: 7 },
    { message: "400 Bad request - project_id is not allowed with runner_type instance_type" },
  ],
  [
    "an unknown project",
    { ...project, project_id: 99 },
    { message: "400 Bad request - Missing/invalid scope" },
  ],
  [
    "a project that is no number",
    { ...project, project_id: "x" },
    { error: "project_id is invalid" },
  ],
  [
    "no tags for tagged jobs only",
    { ...project, run_untagged: false },
    { message: `400 Bad request - Tags list ${untagged}` },
  ],
  [
    "a short timeout",
    { ...project, maximum_timeout: 599 },
    { message: "400 Bad request - Maximum timeout needs to be at least 10 minutes" },
  ],
  [
    "a long note",
    { ...project, maintenance_note: "x".repeat(1025) },
    { message: "400 Bad request - Maintenance note is too long (maximum is 1024 characters)" },
  ],
  [
    "an unknown access level",
    { ...project, access_level: "x" },
    { error: "access_level does not have a valid value" },
  ],
  ["a flag that is none", { ...project, paused: "maybe" }, { error: "paused is invalid" }],
  [
    "two problems",
    { ...project, maximum_timeout: 1, run_untagged: false },
    {
      message: `400 Bad request - Maximum timeout needs to be at least 10 minutes and Tags list ${untagged}`,
    },
  ],
  [
    "malformed parameters all at once",
    { runner_type: "x", locked: "maybe" },
    { error: "runner_type does not have a valid value, locked is invalid" },
  ],
];

test.each(refused)("create refuses %s", async (_name, json, body) => {
  const before = lab.gitlab.world.store.state.runners.length;
  const answer = await lab.call("POST", "user/runners", { token: "smallest", json });
  expect(answer.status).toBe(400);
  expect(answer.json).toEqual(body);
  expect(lab.gitlab.world.store.state.runners).toHaveLength(before);
});

test.each([
  ["600 seconds", { maximum_timeout: 600 }, { maximum_timeout: 600 }],
  ["a note of 1024 characters", { maintenance_note: "é".repeat(1024) }, {}],
  ["tags as a comma separated string", { tag_list: "a, b,,a" }, { tag_list: ["a", "b"] }],
  ["flags as strings", { paused: "true", locked: "0" }, { paused: true, locked: false }],
])("create takes %s", async (_name, json, read) => {
  const made = await lab.api("POST", "user/runners", { ...project, ...json });
  expect(await lab.api("GET", `runners/${made.id}`)).toMatchObject(read);
});

test("create takes a form as well", async () => {
  const answer = await lab.call("POST", "user/runners", {
    token: "smallest",
    form: { runner_type: "project_type", project_id: "7", "tag_list[]": "one" },
  });
  expect(answer.status).toBe(201);
  expect(await lab.api("GET", `runners/${answer.json.id}`)).toMatchObject({ tag_list: ["one"] });
});

test.each<[string, Record<string, unknown>, Record<string, unknown>]>([
  [
    "nothing",
    {},
    {
      error: expect.stringMatching(
        /are missing, at least one parameter must be provided$/,
      ) as string,
    },
  ],
  ["taking the tags away", { tag_list: [] }, { message: { tags_list: [untagged] } }],
  [
    "a short timeout",
    { maximum_timeout: 10 },
    { message: { maximum_timeout: ["needs to be at least 10 minutes"] } },
  ],
  [
    "two words for one thing",
    { active: true, paused: true },
    { error: "active, paused are mutually exclusive" },
  ],
])("update refuses %s", async (_name, json, body) => {
  const runner = await lab.runner({ run_untagged: false, tag_list: ["a"] });
  const answer = await lab.call("PUT", `runners/${runner.id}`, { token: "smallest", json });
  expect(answer.status).toBe(400);
  expect(answer.json).toEqual(body);
  expect(await lab.api("GET", `runners/${runner.id}`)).toMatchObject({ tag_list: ["a"] });
});

test("an id that is none is 400, a body that is no JSON too", async () => {
  expect((await lab.call("GET", "runners/x", { token: "api" })).json).toEqual({
    error: "id is invalid",
  });
  const answer = await lab.call("POST", "user/runners", {
    token: "api",
    headers: { "content-type": "application/json" },
    body: "{",
  });
  expect(answer.status).toBe(400);
});
