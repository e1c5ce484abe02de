import * as fc from "fast-check";
import { parse, TomlTable } from "smol-toml";

import { ProfileConfig, StackConfig } from "../../../config/model";
import {
  configToml,
  formatToml,
  renderConfigToml,
  tokenPlaceholder,
  tokenVariable,
} from "../../../host/config-toml";
import { BARE_HOST, BARE_STACK, HOST, PROFILE, STACK } from "./fixture";

const text = fc.string({ maxLength: 40 });
const profile: fc.Arbitrary<ProfileConfig> = fc.record({
  ...(Object.fromEntries(
    Object.entries(PROFILE).map(([key, value]) => [key, fc.constant(value)]),
  ) as { [K in keyof ProfileConfig]: fc.Arbitrary<ProfileConfig[K]> }),
  limit: fc.integer({ min: 1, max: 100 }),
  environment: fc.array(text),
  featureFlags: fc.dictionary(fc.stringMatching(/^FF_[A-Z_]{1,20}$/), fc.boolean()),
  docker: fc.record({
    ...(Object.fromEntries(
      Object.entries(PROFILE.docker).map(([key, value]) => [key, fc.constant(value)]),
    ) as {
      [K in keyof ProfileConfig["docker"]]: fc.Arbitrary<ProfileConfig["docker"][K]>;
    }),
    image: text,
    allowedImages: fc.array(text, { maxLength: 20 }),
    volumes: fc.array(text),
    memory: fc.option(text, { nil: undefined }),
    ulimit: fc.dictionary(fc.stringMatching(/^[a-z]{1,8}$/), text),
  }),
});

describe("the text", () => {
  it("parses back to the same model, whatever the values hold", () => {
    fc.assert(
      fc.property(profile, (one) => {
        const host = { ...HOST, profiles: [one] };
        expect(plain(parse(renderConfigToml(host, STACK)))).toEqual(plain(configToml(host, STACK)));
      }),
    );
  });

  it("does not depend on the order in which a table was written", () => {
    const flags = Object.entries(PROFILE.featureFlags);
    const turned = { ...PROFILE, featureFlags: Object.fromEntries(flags.reverse()) };
    expect(renderConfigToml({ ...HOST, profiles: [turned] }, STACK)).toBe(
      renderConfigToml(HOST, STACK),
    );
  });

  it("breaks a long array into a line for each value, and no other", () => {
    const long = Array.from({ length: 12 }, (_, index) => `registry.example.org/team/${index}:*`);
    expect(formatToml({ short: ["a"], long })).toBe(
      ['short = [ "a" ]', "long = [", ...long.map((value) => `  "${value}",`), "]", ""].join("\n"),
    );
  });
});

describe("the model", () => {
  it("has one entry for each profile, named after host and profile", () => {
    expect(runners(configToml(BARE_HOST, BARE_STACK)).map((entry) => entry["name"])).toEqual([
      "ci-02-default",
      "ci-02-image-builder",
    ]);
  });

  it("names the CA file only where the stack has certificates", () => {
    const [withCa] = runners(configToml(HOST, STACK));
    const [without] = runners(configToml(BARE_HOST, BARE_STACK));
    expect(withCa!["tls-ca-file"]).toBe("/etc/gitlab-runner/certs/ca.crt");
    expect(without).not.toHaveProperty("tls-ca-file");
  });

  it("holds placeholders and no tokens", () => {
    const tokens = runners(configToml(BARE_HOST, BARE_STACK)).map((entry) => entry["token"]);
    expect(tokens).toEqual(["@@RUNNER_TOKEN_DEFAULT@@", "@@RUNNER_TOKEN_IMAGE_BUILDER@@"]);
    expect(tokens[1]).toBe(tokenPlaceholder("image-builder"));
    expect(tokens[1]).toBe(`@@${tokenVariable("image-builder")}@@`);
  });

  it("gives services no more swap than memory, and the job's security options", () => {
    const docker = runners(configToml(HOST, STACK))[0]!["docker"] as TomlTable;
    expect(docker["service_memory_swap"]).toBe(docker["service_memory"]);
    expect(docker["services_security_opt"]).toEqual(docker["security_opt"]);
  });

  it("refuses two profiles whose tokens would share a name", () => {
    const stack: StackConfig = STACK;
    const profiles = [
      { ...PROFILE, name: "a-b" },
      { ...PROFILE, name: "a_b" },
    ];
    expect(() => configToml({ ...HOST, profiles }, stack)).toThrow(
      'host ci-01: the profiles "a-b" and "a_b" would share one token (RUNNER_TOKEN_A_B)',
    );
  });

  it("calls the log levels what the runner calls them", () => {
    expect(configToml(BARE_HOST, BARE_STACK)["log_level"]).toBe("warning");
    expect(configToml(HOST, STACK)["log_level"]).toBe("info");
  });
});

function runners(table: TomlTable): TomlTable[] {
  return table["runners"] as TomlTable[];
}

/** Drops prototypes, in which a parsed table differs from a written one. */
function plain(table: unknown): unknown {
  return JSON.parse(JSON.stringify(table));
}
