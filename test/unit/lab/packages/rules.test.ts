import { readTarget, readTunnel } from "../../../../lab/packages/apt-cache/rules";

const DEBIAN = "http://debian.example.org/debian";
const HASH = "a".repeat(64);

describe("what the apt cache takes for a repository", () => {
  test.each([
    [`${DEBIAN}/dists/trixie/InRelease`, "changing"],
    [`${DEBIAN}/dists/trixie/main/binary-amd64/Packages.xz`, "changing"],
    [`${DEBIAN}/dists/trixie/main/i18n/by-hash/SHA512/${HASH}${HASH}`, "fixed"],
    [`${DEBIAN}/pool/main/d/docker.io/docker.io_26.1.5%2bdfsg1-9_amd64.deb`, "fixed"],
  ])("%s is %s", (url, kind) => {
    expect(readTarget(url)).toEqual({ url, host: "debian.example.org", kind });
  });

  test("a SHA256 in the name is what the content must have", () => {
    const url = `${DEBIAN}/dists/trixie/main/binary-amd64/by-hash/SHA256/${HASH}`;
    expect(readTarget(url)).toMatchObject({ kind: "fixed", sha256: HASH });
  });

  test.each([
    ["another scheme", "https://debian.example.org/debian/dists/trixie/InRelease"],
    ["a path without a host", "/debian/dists/trixie/InRelease"],
    ["credentials", "http://user:secret@debian.example.org/debian/dists/trixie/InRelease"],
    ["a query", `${DEBIAN}/pool/main/a/a_1_amd64.deb?token=secret`],
    ["an empty query", `${DEBIAN}/pool/main/a/a_1_amd64.deb?`],
    ["no repository", "http://10.77.0.1/secrets"],
    ["a way out of the pool", `${DEBIAN}/pool/../../secrets`],
    ["an encoded way out", `${DEBIAN}/pool/%2e%2e/%2e%2e/secrets`],
    ["something else in the pool", `${DEBIAN}/pool/main/a/a.html`],
  ])("%s is refused", (_what, url) => {
    expect(readTarget(url)).toBeUndefined();
  });
});

test.each([
  ["packages.lab.test:443", { host: "packages.lab.test", port: 443 }],
  ["10.77.0.1:22", undefined],
  ["packages.lab.test", undefined],
  ["user@packages.lab.test:443", undefined],
])("a tunnel to %s", (target, expected) => {
  expect(readTunnel(target)).toEqual(expected);
});
