import { spawnSync } from "node:child_process";

import type { StackConfig } from "../../../config/model";
import { parseStack } from "../../../config/parse";
import { PROJECT } from "../../../config/project";
import { JsonSchema, keysSchema, stackFileSchema } from "../../../ops/stack-schema";
import { goodStack, set, Values } from "../config/fixture";

it("made docs/configuration.md and docs/stack.schema.json what they are", () => {
  const { status, stdout, stderr } = spawnSync(
    "node_modules/.bin/tsx",
    ["ops/schema.ts", "--check"],
    { encoding: "utf8", timeout: 60_000 },
  );
  expect(stderr).toBe("");
  expect(stdout).toBe("docs/configuration.md is current\ndocs/stack.schema.json is current\n");
  expect(status).toBe(0);
});

/**
 * Every key below a map that has a default, with it; not those of a map that must be written with
 * other keys.
 */
function defaultsIn(schema: JsonSchema, path = ""): [string, unknown][] {
  return Object.entries(schema.properties ?? {}).flatMap(([key, inner]): [string, unknown][] => {
    const at = path === "" ? key : `${path}.${key}`;
    if (inner.default !== undefined) {
      return [[at, inner.default]];
    }
    return inner.required === undefined ? defaultsIn(inner, at) : [];
  });
}

function resolved(values: Values): StackConfig | undefined {
  const { config, errors } = parseStack({
    project: PROJECT,
    stack: "test",
    values,
    others: {},
    secretKeys: new Set(Object.keys(values).filter((key) => /Token|Key$/.test(key))),
  });
  expect(errors).toEqual([]);
  return config;
}

it("tells defaults that are true: writing them all into a stack changes nothing", () => {
  const { properties = {} } = keysSchema();
  const inner = (key: string) => properties[key]?.additionalProperties as JsonSchema;
  const written = goodStack();
  const all = [
    ...["proxmox", "rollout"].flatMap((key) => defaultsIn(properties[key] as JsonSchema, key)),
    ...defaultsIn(inner("hosts"), "hosts.ci-01"),
    ...defaultsIn(inner("profiles"), "profiles.default"),
  ];
  expect(all.length).toBeGreaterThan(60);
  all.forEach(([path, value]) => set(written, path, value));
  expect(resolved(written)).toEqual(resolved(goodStack()));
});

it("says of each key what it means", () => {
  const silent = (schema: JsonSchema, path: string): string[] =>
    Object.entries(schema.properties ?? {}).flatMap(([key, inner]) => [
      ...(/^[^a-z].*\.( \(.*\))?$/.test(inner.description ?? "") ||
      /^`.*\.$/.test(inner.description ?? "")
        ? []
        : [`${path}${key}`]),
      ...silent(inner, `${path}${key}.`),
      ...(typeof inner.additionalProperties === "object"
        ? silent(inner.additionalProperties, `${path}${key}.NAME.`)
        : []),
    ]);
  expect(silent(keysSchema(), "")).toEqual([]);
});

it("knows the keys of a good stack, secrets included", () => {
  const schema = stackFileSchema() as { properties: { config: JsonSchema } };
  const known = Object.keys(schema.properties.config.properties ?? {});
  expect(known).toEqual(
    expect.arrayContaining(Object.keys(goodStack()).map((key) => `${PROJECT}:${key}`)),
  );
});
