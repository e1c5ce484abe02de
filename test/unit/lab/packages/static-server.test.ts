import { once } from "node:events";
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import http from "node:http";
import type { AddressInfo } from "node:net";
import os from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

import { fileHandler } from "../../../../lab/packages/static-server";

let folder: string;
let server: http.Server;
let url: string;
let log: string[];

beforeEach(async () => {
  folder = mkdtempSync(path.join(os.tmpdir(), "static-"));
  for (const build of ["one", "two"]) {
    mkdirSync(path.join(folder, build));
    writeFileSync(path.join(folder, build, "Release"), `release ${build}`);
  }
  writeFileSync(path.join(folder, "secret"), "secret");
  symlinkSync("one", path.join(folder, "www"));
  log = [];
  const handler = fileHandler(path.join(folder, "www"), (line) => log.push(line));
  server = http.createServer((request, response) => void handler(request, response));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});

afterEach(() => {
  server.close();
  server.closeAllConnections();
  rmSync(folder, { recursive: true });
});

test("serves a file, a range of it, and nothing when it is unchanged", async () => {
  const whole = await fetch(`${url}/Release`);
  expect(await whole.text()).toBe("release one");
  const part = await fetch(`${url}/Release`, { headers: { range: "bytes=8-" } });
  expect([part.status, await part.text()]).toEqual([206, "one"]);
  const since = whole.headers.get("last-modified") ?? "";
  const again = await fetch(`${url}/Release`, {
    headers: { "if-modified-since": since, "cache-control": "max-age=0" },
  });
  expect(again.status).toBe(304);
});

test("serves the new build as soon as the link is turned", async () => {
  symlinkSync("two", path.join(folder, "new"));
  renameSync(path.join(folder, "new"), path.join(folder, "www"));
  expect(await (await fetch(`${url}/Release`)).text()).toBe("release two");
});

test("refuses what is outside, what is not there, and other methods", async () => {
  const outside = http.get({ port: new URL(url).port, path: "/../secret" });
  const [response] = (await once(outside, "response")) as [http.IncomingMessage];
  response.resume();
  expect([403, 404]).toContain(response.statusCode);
  expect((await fetch(`${url}/missing`)).status).toBe(404);
  expect((await fetch(`${url}/`)).status).toBe(403);
  expect((await fetch(`${url}/Release`, { method: "DELETE" })).status).toBe(405);
});

test("logs requests without their queries", async () => {
  await (await fetch(`${url}/Release?token=hidden`)).text();
  while (log.length === 0) await sleep(5);
  expect(log.join("\n")).toMatch(/GET \/Release 200/);
  expect(log.join("\n")).not.toContain("hidden");
});
