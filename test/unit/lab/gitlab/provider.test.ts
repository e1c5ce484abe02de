import { Lab } from "./harness";

let lab: Lab;
beforeAll(async () => {
  lab = await Lab.start();
});
afterAll(() => lab.stop());

const runnerBody = {
  runner_type: "project_type",
  project_id: 7,
  description: "gitlab-runners/lab/ci-01 default",
  maintenance_note: "gitlab-runners/lab/ci-01",
  tag_list: ["proxmox-local", "docker", "ci-01"],
  run_untagged: false,
  locked: true,
  access_level: "ref_protected",
  maximum_timeout: 3600,
};

test("the provider's life of a runner, with the smallest token", async () => {
  const bearer = { authorization: `Bearer ${lab.secret("smallest")}` };
  const made = await lab.call("POST", "user/runners", { headers: bearer, json: runnerBody });
  expect(made.status).toBe(201);
  expect(made.json).toEqual({
    id: expect.any(Number) as number,
    token: expect.stringMatching(/^glrt-[\w-]{20,}\.01\.\w{9}$/) as string,
    token_expires_at: null,
  });
  const where = `runners/${made.json.id}`;

  const read = await lab.call("GET", where, { headers: bearer });
  expect(read.status).toBe(200);
  expect(read.headers.get("ratelimit-limit")).toBe("2000");
  expect(read.json).toMatchObject({
    id: made.json.id,
    description: runnerBody.description,
    runner_type: "project_type",
    is_shared: false,
    paused: false,
    active: true,
    online: false,
    status: "never_contacted",
    contacted_at: null,
    maintenance_note: runnerBody.maintenance_note,
    tag_list: runnerBody.tag_list,
    run_untagged: false,
    locked: true,
    access_level: "ref_protected",
    maximum_timeout: 3600,
    projects: [{ id: 7, path_with_namespace: "platform/my.app" }],
    groups: [],
    version: null,
    ip_address: null,
  });
  expect(read.text).not.toContain("token");
  expect(read.text).not.toContain(made.json.token);

  const change = { description: "new", paused: true, tag_list: ["a", "b"], maintenance_note: "n" };
  const changed = await lab.call("PUT", where, { headers: bearer, json: change });
  expect(changed.status).toBe(200);
  expect(changed.json).toMatchObject({ ...change, active: false, locked: true });

  expect((await lab.call("DELETE", where, { headers: bearer })).status).toBe(204);
  for (const method of ["GET", "PUT", "DELETE"]) {
    const gone = await lab.call(method, where, {
      headers: bearer,
      json: method === "PUT" ? change : undefined,
    });
    expect([method, gone.status, gone.json]).toEqual([method, 404, { message: "404 Not Found" }]);
  }
});

test("group and instance runners name their group, or nothing", async () => {
  const group = await lab.api("POST", "user/runners", { runner_type: "group_type", group_id: 3 });
  const instance = await lab.api("POST", "user/runners", { runner_type: "instance_type" });
  expect(await lab.api("GET", `runners/${group.id}`)).toMatchObject({
    is_shared: false,
    projects: [],
    groups: [{ id: 3, name: "Platform" }],
    run_untagged: true,
  });
  expect(await lab.api("GET", `runners/${instance.id}`)).toMatchObject({
    is_shared: true,
    projects: [],
    groups: [],
    maximum_timeout: null,
    maintenance_note: null,
  });
  const all = await lab.api("GET", "runners/all?type=group_type");
  expect(all.map((runner: { id: number }) => runner.id)).toEqual([group.id]);
  const ofProject = await lab.api("GET", "projects/7/runners?per_page=100");
  const ids = ofProject.map((runner: { id: number }) => runner.id);
  expect(ids).toEqual(expect.arrayContaining([group.id, instance.id]));
});

test.each([
  ["projects/7", 200],
  ["projects/platform%2Fmy%2Eapp", 200],
  ["projects/platform%2Fmy.app", 200],
  ["projects/Platform%2FMy.App", 200],
  ["projects/platform/my.app", 404],
  ["projects/platform%2Fother", 404],
  ["projects/8", 404],
  ["groups/3?with_projects=false", 200],
  ["groups/platform?with_projects=false", 200],
  ["groups/4", 404],
])("the path is split before it is decoded: %s", async (where, status) => {
  const answer = await lab.call("GET", where, { token: "read_api" });
  expect(answer.status).toBe(status);
  // Exactly: python3-gitlab compares it.
  expect(answer.headers.get("content-type")).toBe("application/json");
});

test("look-ups carry what the provider reads", async () => {
  const project = await lab.api("GET", "projects/platform%2Fmy%2Eapp");
  expect(project).toMatchObject({
    id: 7,
    path_with_namespace: "platform/my.app",
    default_branch: "main",
    namespace: { id: 3, kind: "group", full_path: "platform" },
  });
  expect((await lab.call("GET", "projects/7/push_rule", { token: "api" })).status).toBe(404);
  expect(await lab.api("GET", "groups/platform?with_projects=false")).toMatchObject({
    id: 3,
    full_path: "platform",
    parent_id: null,
  });
  expect(await lab.api("GET", "metadata")).toMatchObject({
    version: "19.3.0-ee",
    enterprise: true,
  });
});

test("a registration token is refused for good", async () => {
  const answer = await lab.call("POST", "runners", { json: { token: "GR1348941abc" } });
  expect(answer.status).toBe(410);
  expect(answer.json).toEqual({ message: "410 Gone - runner registration disallowed" });
});

test("reset ends the old token", async () => {
  const runner = await lab.runner();
  expect((await runner.verify()).status).toBe(200);
  const reset = await lab.call("POST", `runners/${runner.id}/reset_authentication_token`, {
    token: "smallest",
  });
  expect(reset.status).toBe(201);
  expect((await runner.verify()).status).toBe(403);
  runner.token = reset.json.token;
  const verified = await runner.verify();
  expect(verified.json).toEqual({ id: runner.id, token: reset.json.token, token_expires_at: null });
});

test("a locked runner stays with its project, others can be shared and taken back", async () => {
  await lab.restart({
    projects: [
      { id: 7, path: "platform/my.app", dir: lab.file("project") },
      { id: 8, path: "platform/second", dir: lab.file("project") },
    ],
    users: [
      { id: 1, username: "root", admin: true },
      { id: 2, username: "ada" },
    ],
    members: [{ user: "ada", path: "platform", role: "maintainer" }],
    tokens: [
      { file: lab.file("api"), scopes: ["api"] },
      { file: lab.file("ada"), user: "ada", scopes: ["api"] },
    ],
  });
  const locked = await lab.runner({ locked: true });
  const open = await lab.runner();
  const assign = (id: number, token: string) =>
    lab.call("POST", "projects/8/runners", { token, json: { runner_id: id } });
  expect((await assign(locked.id, "ada")).json).toEqual({
    message: "403 Forbidden - Runner is locked",
  });
  expect((await assign(open.id, "ada")).status).toBe(201);
  const both = await lab.call("DELETE", `runners/${open.id}`, { token: "ada" });
  expect(both.json).toEqual({
    message: "403 Forbidden - Runner associated with more than one project",
  });
  const back = await lab.call("DELETE", `projects/8/runners/${open.id}`, { token: "ada" });
  expect(back.status).toBe(204);
  expect((await lab.call("DELETE", `runners/${open.id}`, { token: "ada" })).status).toBe(204);
  // Groups are for owners, the instance for administrators.
  for (const body of [
    { runner_type: "group_type", group_id: 3 },
    { runner_type: "instance_type" },
  ]) {
    const answer = await lab.call("POST", "user/runners", { token: "ada", json: body });
    expect(answer.json).toEqual({ message: "403 Forbidden - Insufficient permissions" });
  }
  expect((await lab.call("GET", "runners/all", { token: "ada" })).status).toBe(403);
});

test("lists come in pages", async () => {
  for (let index = 0; index < 5; index += 1) await lab.runner({ tag_list: ["paged"] });
  const first = await lab.call("GET", "runners/all?tag_list=paged&per_page=2", { token: "api" });
  expect(first.json).toHaveLength(2);
  expect(Object.fromEntries(first.headers)).toMatchObject({
    "x-page": "1",
    "x-next-page": "2",
    "x-total": "5",
    "x-total-pages": "3",
  });
  const next = /<([^>]+)>; rel="next"/.exec(first.headers.get("link") ?? "")?.[1] ?? "";
  const second = await lab.call("GET", next.replace(lab.url, ""), { token: "api" });
  expect(second.json).toHaveLength(2);
  expect(second.headers.get("x-prev-page")).toBe("1");
});
