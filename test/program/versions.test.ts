import * as fs from "node:fs";

const read = (path: string) => JSON.parse(fs.readFileSync(path, "utf8"));

it("uses @pulumi/command 1.2.1: what npm calls its latest is an old build under a wrong number", () => {
  expect(read("package.json").dependencies["@pulumi/command"]).toBe("1.2.1");
  expect(read("node_modules/@pulumi/command/package.json").version).toBe("1.2.1");
});

it("has an SDK of GitLab's provider that asks for the plugin of its own version", () => {
  const sdk = read("sdks/gitlab/package.json");
  expect(sdk.pulumi).toEqual({ resource: true, name: "gitlab", version: sdk.version });
  expect(read("node_modules/@pulumi/gitlab/package.json").version).toBe(sdk.version);
});

it("pins what it deploys with", () => {
  const { dependencies } = read("package.json");
  const loose = Object.entries(dependencies).filter(
    ([, version]) => !/^(\d+\.\d+\.\d+|file:sdks\/gitlab)$/.test(version as string),
  );
  expect(loose).toEqual([]);
});

it("uses a TypeScript that Pulumi can load", () => {
  expect(read("node_modules/typescript/package.json").version).toMatch(/^[56]\./);
});
