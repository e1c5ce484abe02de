/** The apt cache before a mirror on loopback. */

import { createHash } from "node:crypto";
import { once } from "node:events";
import {
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import http from "node:http";
import net, { type AddressInfo } from "node:net";
import os from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

import { AptCache, type AptCacheOptions, listen } from "../../../../lab/packages/apt-cache/proxy";

type Answer = (request: http.IncomingMessage, response: http.ServerResponse) => void;

const sha256 = (text: string) => createHash("sha256").update(text).digest("hex");
const portOf = (server: net.Server) => (server.address() as AddressInfo).port;

let folder: string;
let mirror: http.Server;
let answer: Answer;
let asked: string[];
let log: string[];
const proxies: http.Server[] = [];

beforeEach(async () => {
  folder = mkdtempSync(path.join(os.tmpdir(), "apt-cache-"));
  asked = [];
  log = [];
  mirror = http.createServer((request, response) => {
    asked.push(request.url ?? "");
    answer(request, response);
  });
  await listen(mirror, "127.0.0.1", 0);
});

afterEach(async () => {
  for (const server of [...proxies.splice(0), mirror]) await stop(server);
  rmSync(folder, { recursive: true, force: true });
});

async function stop(server: http.Server): Promise<void> {
  if (!server.listening) return;
  const closed = once(server, "close");
  server.close();
  server.closeAllConnections();
  await closed;
}

async function startProxy(options: Partial<AptCacheOptions> = {}): Promise<http.Server> {
  const cache = new AptCache({ folder, log: (line) => log.push(line), ...options });
  const proxy = cache.server();
  await listen(proxy, "127.0.0.1", 0);
  proxies.push(proxy);
  return proxy;
}

interface Got {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly text: string;
}

/** One request as apt sends it to a proxy; rejects when the answer is cut. */
function get(
  proxy: http.Server,
  file: string,
  headers: http.OutgoingHttpHeaders = {},
  method = "GET",
): Promise<Got> {
  const url = file.startsWith("http") ? file : `http://127.0.0.1:${portOf(mirror)}${file}`;
  return new Promise((resolve, reject) => {
    const options = { host: "127.0.0.1", port: portOf(proxy), path: url, method, agent: false };
    const request = http.request({ ...options, headers }, (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (part: string) => (text += part));
      response.on("end", () =>
        resolve({ status: response.statusCode ?? 0, headers: response.headers, text }),
      );
      response.on("error", reject);
    });
    request.on("error", reject).end();
  });
}

const DEB = "/debian/pool/main/a/a_1_amd64.deb";
const RELEASE = "/debian/dists/trixie/InRelease";
const MODIFIED = "Sat, 03 Oct 2026 10:00:00 GMT";

const plain =
  (text: string, headers: http.OutgoingHttpHeaders = {}): Answer =>
  (_request, response) =>
    response.writeHead(200, { "content-length": String(text.length), ...headers }).end(text);

test("a package is fetched once, also by another process later and without a mirror", async () => {
  answer = plain("package");
  expect(await get(await startProxy(), DEB)).toMatchObject({ status: 200, text: "package" });
  const url = `http://127.0.0.1:${portOf(mirror)}${DEB}`;
  await stop(mirror);
  const second = await get(await startProxy(), url);
  expect(second).toMatchObject({ status: 200, text: "package" });
  expect(second.headers["content-length"]).toBe("7");
  expect(asked).toEqual([DEB]);
});

test("clients at the same time share one fetch, and see its bytes as they come", async () => {
  let finish = () => undefined as void;
  answer = (_request, response) => {
    response.writeHead(200, { "content-length": "10" }).write("first");
    finish = () => void response.end("later");
  };
  const proxy = await startProxy();
  const socket = net.connect(portOf(proxy), "127.0.0.1");
  socket.write(`GET http://127.0.0.1:${portOf(mirror)}${DEB} HTTP/1.1\r\nHost: mirror\r\n\r\n`);
  let seen = "";
  socket.setEncoding("utf8").on("data", (text: string) => (seen += text));
  while (!seen.endsWith("firs")) await sleep(5);
  const other = get(proxy, DEB);
  await sleep(20);
  finish();
  expect((await other).text).toBe("firstlater");
  while (!seen.endsWith("later")) await sleep(5);
  socket.destroy();
  expect(asked).toHaveLength(1);
});

test("a transfer that breaks off reaches the client as broken, and is not kept", async () => {
  answer = (_request, response) => {
    response.writeHead(200, { "content-length": "100" }).write("part");
    setTimeout(() => response.destroy(), 20);
  };
  const proxy = await startProxy();
  await expect(get(proxy, DEB)).rejects.toThrow();
  answer = plain("whole");
  expect((await get(proxy, DEB)).text).toBe("whole");
  expect(readdirSync(path.join(folder, "content")).filter((name) => /^new-/.test(name))).toEqual(
    [],
  );
});

test("an index whose content is not what its name says is cut off, and not kept", async () => {
  answer = plain("tampered");
  const file = `/debian/dists/trixie/main/binary-amd64/by-hash/SHA256/${sha256("genuine")}`;
  const proxy = await startProxy();
  await expect(get(proxy, file)).rejects.toThrow();
  answer = plain("genuine");
  expect((await get(proxy, file)).text).toBe("genuine");
  await get(proxy, file);
  expect(asked).toHaveLength(2);
});

describe("a changing file", () => {
  test("is not asked for again while it is fresh", async () => {
    answer = plain("release", { "last-modified": MODIFIED });
    const proxy = await startProxy();
    await get(proxy, RELEASE);
    const again = await get(proxy, RELEASE, { "if-modified-since": MODIFIED });
    expect(again).toMatchObject({ status: 304, text: "" });
    expect(asked).toHaveLength(1);
  });

  test("is asked for conditionally afterwards", async () => {
    answer = plain("old", { "last-modified": MODIFIED, etag: '"1"' });
    const proxy = await startProxy({ freshFor: 0 });
    await get(proxy, RELEASE);
    let condition: http.IncomingHttpHeaders = {};
    answer = (request, response) => {
      condition = request.headers;
      response.writeHead(304).end();
    };
    expect(await get(proxy, RELEASE)).toMatchObject({ status: 200, text: "old" });
    expect(condition).toMatchObject({ "if-modified-since": MODIFIED, "if-none-match": '"1"' });
    answer = plain("new", { "last-modified": "Sun, 04 Oct 2026 10:00:00 GMT" });
    const changed = await get(proxy, RELEASE, { "if-modified-since": MODIFIED });
    expect(changed).toMatchObject({ status: 200, text: "new" });
  });

  test("is served as it was when the mirror fails", async () => {
    answer = plain("release");
    const proxy = await startProxy({ freshFor: 0, serverLimit: 1 });
    await get(proxy, RELEASE);
    answer = (_request, response) => void response.writeHead(502).end();
    expect(await get(proxy, RELEASE)).toMatchObject({ status: 200, text: "release" });
    answer = () => undefined;
    expect(await get(proxy, RELEASE)).toMatchObject({ status: 200, text: "release" });
  });

  test("is asked for when the client insists, or when what it names has gone", async () => {
    answer = plain("release");
    const proxy = await startProxy();
    await get(proxy, RELEASE);
    await get(proxy, RELEASE, { "cache-control": "no-cache" });
    expect(asked).toHaveLength(2);
    answer = (_request, response) => void response.writeHead(404).end();
    expect((await get(proxy, DEB)).status).toBe(404);
    answer = plain("newer release");
    expect((await get(proxy, RELEASE)).text).toBe("newer release");
  });
});

test("a failure without anything to serve is told, and not kept", async () => {
  answer = (_request, response) => void response.writeHead(500).end();
  const proxy = await startProxy();
  expect((await get(proxy, DEB)).status).toBe(503);
  answer = plain("package");
  expect((await get(proxy, DEB)).status).toBe(200);
});

test("a redirection is followed, within limits", async () => {
  answer = (request, response) =>
    request.url === DEB
      ? void response.writeHead(302, { location: "/elsewhere" }).end()
      : plain("moved")(request, response);
  const proxy = await startProxy();
  expect((await get(proxy, DEB)).text).toBe("moved");
  answer = (_request, response) => void response.writeHead(302, { location: "/round" }).end();
  expect((await get(proxy, DEB.replace("a_1", "a_2"))).status).toBe(503);
});

test("other methods and other URLs never reach a server", async () => {
  answer = plain("secret");
  const proxy = await startProxy();
  expect((await get(proxy, DEB, {}, "POST")).status).toBe(403);
  expect((await get(proxy, "/secrets?token=hidden")).status).toBe(403);
  expect(asked).toEqual([]);
  expect(log.join("\n")).not.toContain("hidden");
});

test("HEAD answers without a body", async () => {
  answer = plain("package");
  const got = await get(await startProxy(), DEB, {}, "HEAD");
  expect(got).toMatchObject({ status: 200, text: "" });
  expect(got.headers["content-length"]).toBe("7");
});

test("a tunnel to anything but a TLS port is refused", async () => {
  const proxy = await startProxy();
  const socket = net.connect(portOf(proxy), "127.0.0.1");
  socket.write(`CONNECT 127.0.0.1:${portOf(mirror)} HTTP/1.1\r\nHost: mirror\r\n\r\n`);
  const [data] = (await once(socket, "data")) as [Buffer];
  expect(data.toString()).toMatch(/^HTTP\/1\.1 403 /);
  socket.destroy();
});

test("what nobody asked for in two months goes at the next start, like unfinished files", async () => {
  answer = plain("package");
  const proxy = await startProxy();
  await get(proxy, DEB);
  await get(proxy, DEB.replace("a_1", "b_1"));
  const urls = path.join(folder, "urls");
  const old = readdirSync(urls).find((name) =>
    readFileSync(path.join(urls, name), "utf8").includes("b_1"),
  );
  utimesSync(path.join(urls, old ?? ""), 0, 0);
  writeFileSync(path.join(folder, "content", "new-left-behind"), "part");
  await startProxy();
  expect(readdirSync(urls)).toHaveLength(1);
  const contents = readdirSync(path.join(folder, "content"), { recursive: true })
    .map((name) => path.join(folder, "content", String(name)))
    .filter((file) => statSync(file).isFile());
  expect(contents.map((file) => readFileSync(file, "utf8"))).toEqual(["package"]);
});
