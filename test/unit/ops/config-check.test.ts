import { spawnSync } from "node:child_process";

import { stackText, stackWith, writeStack } from "../config/fixture";

function check(...files: string[]) {
  return spawnSync("node_modules/.bin/tsx", ["ops/config-check.ts", ...files], {
    encoding: "utf8",
    timeout: 60_000,
  });
}

it("accepts the examples, and says which secrets they still lack", () => {
  const { status, stdout, stderr } = check("Pulumi.dev.yaml", "Pulumi.prod.yaml");
  expect(stdout.split("\n")).toEqual([
    expect.stringMatching(/^Pulumi\.dev\.yaml: ok, 1 host: ci-dev-01 \(pve1, dhcp, default\)$/),
    expect.stringMatching(/^Pulumi\.prod\.yaml: ok, 3 hosts: .*ci-03 \(.*, default \+ release\)$/),
    "",
  ]);
  const warnings = stderr.trimEnd().split("\n");
  expect(warnings).toHaveLength(9);
  warnings.forEach((line) =>
    expect(line).toMatch(/^warning: .*(Token|Key): is missing: .*--secret/),
  );
  expect(status).toBe(0);
});

it("goes on after a file that is wrong, and ends with 2", () => {
  const wrong = writeStack(
    stackText(stackWith({ "hosts.ci-01.cores": "x", "profiles.default.tags": ["A"] })),
  );
  const { status, stdout, stderr } = check(wrong, "Pulumi.dev.yaml");
  expect(stderr.match(/^error: .*$/gm)).toHaveLength(2);
  expect(stderr).toContain(`${wrong}: 2 errors\n`);
  expect(stdout).toContain("Pulumi.dev.yaml: ok");
  expect(status).toBe(2);
});

it.each([[[]], [["--all"]]])("does not guess what %j means", (args) => {
  const { status, stderr } = check(...args);
  expect(stderr).toMatch(/^usage: npm run config:check -- FILE/);
  expect(status).toBe(2);
});
