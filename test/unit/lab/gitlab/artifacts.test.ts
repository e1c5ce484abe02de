import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { gzipSync } from "node:zlib";

import { Lab, type TestRunner } from "./harness";

let lab: Lab;
let runner: TestRunner;
let zip: Buffer;
beforeAll(async () => {
  lab = await Lab.start({ longPollSeconds: 0, maxArtifactBytes: 100_000 });
  runner = await lab.runner();
  writeFileSync(lab.file("health.txt"), "healthy\n".repeat(100));
  execFileSync("python3", ["-m", "zipfile", "-c", "a.zip", "health.txt"], { cwd: lab.dir });
  zip = readFileSync(lab.file("a.zip"));
});
afterAll(() => lab.stop());

const CI = `
stages: [build, test]
build:
  stage: build
  script: [make]
  artifacts: {paths: [health.txt], reports: {dotenv: build.env}}
other:
  stage: build
  script: [make]
use:
  stage: test
  script: [use]
`;

test("upload, download by users, and by the jobs that come after", async () => {
  const pipeline = await lab.pipeline(CI);
  const build = await runner.take();
  const other = await runner.take();
  expect(build.payload.artifacts).toEqual([
    expect.objectContaining({
      artifact_type: "archive",
      artifact_format: "zip",
      paths: ["health.txt"],
    }),
    expect.objectContaining({ artifact_type: "dotenv", artifact_format: "gzip", when: "always" }),
  ]);
  const sent = await build.upload(zip);
  expect(sent.status).toBe(201);
  // The same file again is a retry, another one is an error.
  expect((await build.upload(zip)).status).toBe(201);
  expect((await build.upload("other")).status).toBe(400);
  expect((await build.upload(zip, "", other.token)).status).toBe(403);
  const dotenv = gzipSync('VERSION=1.2.3\nQUOTED="a b"\n');
  expect((await build.upload(dotenv, "artifact_type=dotenv&artifact_format=gzip")).status).toBe(
    201,
  );
  await build.finish("success");

  const done = await lab.api("GET", `projects/7/jobs/${build.id}`);
  expect(done.artifacts_file).toEqual({ filename: "artifacts.zip", size: zip.length });
  const days = (Date.parse(done.artifacts_expire_at) - Date.now()) / 86400_000;
  expect(Math.round(days)).toBe(7);
  const file = await lab.call("GET", `projects/7/jobs/${build.id}/artifacts/health.txt`, {
    token: "read_api",
  });
  expect(file.text).toBe("healthy\n".repeat(100));
  const missing = await lab.call("GET", `projects/7/jobs/${build.id}/artifacts/none`, {
    token: "api",
  });
  expect(missing.status).toBe(404);
  const whole = await lab.call("GET", `projects/7/jobs/artifacts/main/download?job=build`, {
    token: "api",
  });
  expect([whole.status, whole.headers.get("content-length")]).toEqual([200, String(zip.length)]);

  expect(
    (await lab.call("GET", `projects/7/jobs/${other.id}/artifacts`, { token: "api" })).status,
  ).toBe(404);
  await other.finish("success");
  const use = await runner.take();
  expect(use.payload.dependencies).toEqual([
    {
      id: build.id,
      name: "build",
      token: use.token,
      artifacts_file: { filename: "artifacts.zip", size: zip.length },
    },
  ]);
  expect([use.variable("VERSION"), use.variable("QUOTED")]).toEqual(["1.2.3", "a b"]);
  const fetched = await lab.call("GET", `jobs/${build.id}/artifacts?direct_download=true`, {
    headers: { "job-token": use.token },
  });
  expect([fetched.status, fetched.headers.get("content-type")]).toEqual([200, "application/zip"]);
  await use.finish("success");
  const over = await lab.call("GET", `jobs/${build.id}/artifacts`, {
    headers: { "job-token": use.token },
  });
  expect(over.status).toBe(401);
  expect(await lab.states(pipeline.id)).toEqual({
    build: "success",
    other: "success",
    use: "success",
  });
});

test.each([
  ["dependencies: []", []],
  ["dependencies: [one]", ["one"]],
  ["needs: [two]", ["two"]],
  ["needs: [{job: one, artifacts: false}, two]", ["two"]],
])("%s gets the artifacts of %j", async (line, names) => {
  const job = (name: string) =>
    `${name}:\n  stage: build\n  script: [x]\n  artifacts: {paths: [x]}\n`;
  await lab.pipeline(`${job("one")}${job("two")}use:\n  stage: test\n  script: [x]\n  ${line}\n`);
  for (let index = 0; index < 2; index += 1) {
    const producer = await runner.take();
    await producer.upload(zip);
    await producer.finish("success");
  }
  const use = await runner.take();
  expect(use.payload.dependencies.map((from: { name: string }) => from.name)).toEqual(names);
  await use.finish("success");
});

test("too large is 413, no file is 400", async () => {
  await lab.pipeline("job:\n  script: [x]\n");
  const job = await runner.take();
  expect((await job.upload(Buffer.alloc(100_001))).status).toBe(413);
  const bare = await lab.call("POST", `jobs/${job.id}/artifacts`, {
    headers: { "job-token": job.token },
    form: { a: "b" },
  });
  expect(bare.status).toBe(400);
  expect(
    (await lab.call("GET", `projects/7/jobs/${job.id}/artifacts`, { token: "api" })).status,
  ).toBe(404);
  await job.finish("success");
});
