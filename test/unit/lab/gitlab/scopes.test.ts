import { chmodSync } from "node:fs";

import { Lab, type TestRunner } from "./harness";

let lab: Lab;
let runner: TestRunner;
beforeAll(async () => {
  lab = await Lab.start();
  runner = await lab.runner();
});
afterAll(() => lab.stop());

const ALL = ["api", "create_runner", "manage_runner", "read_api", "read_user"];
const create = { runner_type: "instance_type" };

/** Endpoint, body, and the scopes that open it. */
const table: [string, string, unknown, string[]][] = [
  ["POST", "user/runners", create, ["api", "create_runner"]],
  ["GET", "user", undefined, ["api", "read_api", "read_user"]],
  ["GET", "users/1", undefined, ["api", "read_api", "read_user"]],
  ["GET", "version", undefined, ["api", "read_api", "read_user"]],
  ["GET", "runners", undefined, ["api", "read_api"]],
  ["GET", "runners/all", undefined, ["api", "read_api"]],
  ["GET", "runners/ID", undefined, ["api", "manage_runner", "read_api"]],
  ["PUT", "runners/ID", { paused: false }, ["api", "manage_runner"]],
  ["GET", "runners/ID/managers", undefined, ["api", "manage_runner", "read_api"]],
  ["GET", "runners/ID/jobs", undefined, ["api", "manage_runner", "read_api"]],
  ["POST", "runners/ID/reset_authentication_token", {}, ["api", "manage_runner"]],
  ["GET", "projects/7", undefined, ["api", "read_api"]],
  ["GET", "projects/7/runners", undefined, ["api", "read_api"]],
  ["GET", "groups/3", undefined, ["api", "read_api"]],
  ["GET", "groups/3/runners", undefined, ["api", "read_api"]],
  ["POST", "projects/7/pipeline", { ref: "main" }, ["api"]],
  ["GET", "projects/7/pipelines", undefined, ["api", "read_api"]],
  ["GET", "projects/7/jobs", undefined, ["api", "read_api"]],
  ["GET", "personal_access_tokens/self", undefined, ALL],
];
const cases = table.flatMap(([method, where, body, open]) =>
  ALL.map(
    (scope) =>
      [method, where, scope, open.includes(scope) ? "opens" : "does not open", body] as const,
  ),
);

test.each(cases)("%s %s: %s %s it", async (method, where, scope, verdict, json) => {
  const answer = await lab.call(method, where.replace("ID", String(runner.id)), {
    token: scope,
    ...(json === undefined ? {} : { json }),
  });
  if (verdict === "opens") {
    expect([200, 201]).toContain(answer.status);
    return;
  }
  expect(answer.status).toBe(403);
  expect(answer.json).toEqual({
    error: "insufficient_scope",
    error_description: "The request requires higher privileges than provided by the access token.",
    scope: expect.stringContaining("api read_api") as string,
  });
});

test.each([
  ["no token", {}],
  ["an unknown PRIVATE-TOKEN", { "private-token": "glpat-unknown" }],
  ["an unknown bearer", { authorization: "Bearer glpat-unknown" }],
  ["a runner's token", { "private-token": "RUNNER" }],
])("%s is 401", async (_name, headers: Record<string, string>) => {
  const sent = Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [name, value.replace("RUNNER", runner.token)]),
  );
  const answer = await lab.call("GET", "user", { headers: sent });
  expect(answer.status).toBe(401);
  expect(answer.json).toEqual({ message: "401 Unauthorized" });
});

test("expired and revoked tokens say so", async () => {
  const dead = await Lab.start({
    tokens: [],
  });
  try {
    await dead.restart({
      tokens: [
        { file: dead.file("old"), scopes: ["api"], expiresAt: "2020-01-01T00:00:00Z" },
        { file: dead.file("revoked"), scopes: ["api"], revoked: true },
      ],
    });
    const old = await dead.call("GET", "user", { token: "old" });
    expect([old.status, old.json.error]).toEqual([401, "invalid_token"]);
    expect(old.json.error_description).toMatch(/expired/);
    const revoked = await dead.call("GET", "user", { token: "revoked" });
    expect(revoked.status).toBe(401);
    expect(revoked.json.error_description).toMatch(/revoked/);
  } finally {
    await dead.stop();
  }
});

test("too many requests are 429 with the time to wait", async () => {
  const small = await Lab.start({ requestsPerMinute: 3 });
  try {
    const statuses: number[] = [];
    let last = await small.call("GET", "user", { token: "api" });
    for (let index = 0; index < 8; index += 1) {
      last = await small.call("GET", "user", { token: "api" });
      statuses.push(last.status);
    }
    // A minute may begin in between; the limit must have bitten all the same.
    expect(statuses).toContain(429);
    if (last.status === 429) {
      expect(Number(last.headers.get("retry-after"))).toBeGreaterThan(0);
      expect(last.headers.get("ratelimit-remaining")).toBe("0");
    }
  } finally {
    await small.stop();
  }
});

test("a token file that others can read is refused", async () => {
  const open = await Lab.start();
  chmodSync(open.file("api"), 0o644);
  await expect(open.restart()).rejects.toThrow(/api: holds a token and has mode 0644; chmod 0600/);
  chmodSync(open.file("api"), 0o600);
  await open.restart();
  await open.stop();
});
