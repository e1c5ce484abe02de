import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";

import { parse } from "yaml";

import { imageConfig, writeArchive } from "../../../../lab/images/archive";
import { registryConfig } from "../../../../lab/registry/config";
import { JOB_IMAGES, readImageId } from "../../../../lab/registry/images";

let folder: string;
beforeEach(() => (folder = mkdtempSync(path.join(os.tmpdir(), "images-"))));
afterEach(() => rmSync(folder, { recursive: true }));

const sha256 = (data: string | Buffer) => createHash("sha256").update(data).digest("hex");

test("the registry serves TLS on its own address, and can delete", () => {
  const text = registryConfig({
    listen: "10.77.0.30",
    port: 443,
    storage: "/storage",
    tls: { cert: "/cert.pem", key: "/cert.key" },
  });
  expect(parse(text)).toMatchObject({
    version: 0.1,
    storage: { filesystem: { rootdirectory: "/storage" }, delete: { enabled: true } },
    http: { addr: "10.77.0.30:443", tls: { certificate: "/cert.pem", key: "/cert.key" } },
  });
});

test("a mirror of Docker Hub answers for the names that jobs use", () => {
  const names = JOB_IMAGES.flatMap(({ repository, tags }) =>
    tags.map((tag) => `${repository}:${tag}`),
  );
  expect(names).toEqual([
    "library/debian:trixie-slim",
    "library/debian:trixie",
    "library/alpine:3.22",
    "library/alpine:latest",
  ]);
});

test("an archive is what docker load takes, and the same whenever it is written", async () => {
  const layer = path.join(folder, "root.tar");
  writeFileSync(layer, "layer");
  const config = { command: ["sh"], entrypoint: ["/init"] };
  const archive = { layer, config, names: ["example/image:1"] };
  const file = path.join(folder, "archive.tar");
  const id = await writeArchive(archive, file);
  const first = readFileSync(file);

  const member = (name: string) => execFileSync("tar", ["-xOf", file, name], { encoding: "utf8" });
  const [image] = JSON.parse(member("manifest.json")) as [Record<string, unknown>];
  expect(image).toEqual({
    Config: `${id}.json`,
    RepoTags: ["example/image:1"],
    Layers: [`${sha256("layer")}.tar`],
  });
  expect(member(`${sha256("layer")}.tar`)).toBe("layer");
  const text = member(`${id}.json`);
  expect(sha256(text)).toBe(id);
  expect(text).toBe(imageConfig(config, sha256("layer")));
  expect(JSON.parse(text)).toMatchObject({
    architecture: "amd64",
    config: { Cmd: ["sh"], Entrypoint: ["/init"], Env: [expect.stringMatching(/^PATH=\/usr/)] },
    rootfs: { diff_ids: [`sha256:${sha256("layer")}`] },
  });

  utimesSync(layer, 2e9, 2e9);
  expect(await writeArchive(archive, file)).toBe(id);
  expect(readFileSync(file).equals(first)).toBe(true);
});

test("the id of an image is read from its manifest", () => {
  expect(readImageId('{"config":{"digest":"sha256:abc"}}')).toBe("abc");
  expect(readImageId('{"manifests":[]}')).toBeUndefined();
});
