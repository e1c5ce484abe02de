import { CiError } from "../../../../lab/gitlab/ci/document";
import { parseDuration } from "../../../../lab/gitlab/ci/duration";
import { expand, expandAll } from "../../../../lab/gitlab/ci/expand";
import { parseExpression } from "../../../../lab/gitlab/ci/expression";
import type { CiJob } from "../../../../lab/gitlab/ci/model";
import { parseCiFile } from "../../../../lab/gitlab/ci/parse";

const parse = (text: string, files: Record<string, string> = {}) =>
  parseCiFile(".gitlab-ci.yml", text, (file) => Promise.resolve(files[file]));

async function job(text: string, files?: Record<string, string>): Promise<CiJob> {
  const config = await parse(text, files);
  const found = config.jobs.find((one) => one.name === "job");
  if (found === undefined) throw new Error("no job");
  return found;
}

const accepted: [string, string, Partial<CiJob>][] = [
  ["the least", "job: {script: make}", { script: ["make"], stage: "test", tags: [], needs: null }],
  ["y and n as strings, yes as a flag", "job: {script: y, interruptible: yes}", { script: ["y"] }],
  ["nested scripts", "job: {script: [a, [b, [c]]]}", { script: ["a", "b", "c"] }],
  [
    "image as a hash",
    "job: {script: x, image: {name: i, entrypoint: [''], pull_policy: always, docker: {user: u}}}",
    { image: { name: "i", entrypoint: [""], pullPolicy: ["always"], docker: { user: "u" } } },
  ],
  [
    "global image, own wins",
    "image: g\njob: {script: x, image: own}",
    { image: { name: "own", entrypoint: null, pullPolicy: [], docker: null } },
  ],
  [
    "default before global",
    "image: g\ndefault: {image: d, tags: [t]}\njob: {script: x}",
    { tags: ["t"] },
  ],
  [
    "no defaults inherited",
    "default: {tags: [t]}\njob: {script: x, inherit: {default: false}}",
    { tags: [] },
  ],
  [
    "some defaults inherited",
    "default: {tags: [t], retry: 2}\njob: {script: x, inherit: {default: [retry]}}",
    { tags: [], retry: { max: 2, when: ["always"], exitCodes: [] } },
  ],
  [
    "services",
    "job: {script: x, services: [redis, {name: pg, alias: db, command: [run], variables: {A: 1}}]}",
    {
      services: [
        {
          name: "redis",
          entrypoint: null,
          pullPolicy: [],
          docker: null,
          alias: null,
          command: null,
          variables: [],
        },
        {
          name: "pg",
          entrypoint: null,
          pullPolicy: [],
          docker: null,
          alias: "db",
          command: ["run"],
          variables: [{ key: "A", value: "1", raw: false }],
        },
      ],
    },
  ],
  [
    "variables",
    "job: {script: x, variables: {A: 1, B: {value: $A, expand: false}}}",
    {
      variables: [
        { key: "A", value: "1", raw: false },
        { key: "B", value: "$A", raw: true },
      ],
    },
  ],
  [
    "extends, merged deeply, arrays replaced",
    ".a: {variables: {A: a, B: a}, script: [one]}\n.b: {extends: .a, variables: {B: b}, tags: [t]}\njob: {extends: .b, script: [two]}",
    {
      script: ["two"],
      tags: ["t"],
      variables: [
        { key: "A", value: "a", raw: false },
        { key: "B", value: "b", raw: false },
      ],
    },
  ],
  [
    "anchors and merge keys",
    ".a: &a {script: [one], tags: [t]}\njob:\n  <<: *a\n  tags: [own]",
    { script: ["one"], tags: ["own"] },
  ],
  ["timeout in words", "job: {script: x, timeout: 1h 30m}", { timeout: 5400 }],
  [
    "retry in full",
    "job: {script: x, retry: {max: 1, when: runner_system_failure}}",
    { retry: { max: 1, when: ["runner_system_failure"], exitCodes: [] } },
  ],
  [
    "allowed exit codes",
    "job: {script: x, allow_failure: {exit_codes: [3, 4]}}",
    { allowFailure: false, allowFailureExitCodes: [3, 4] },
  ],
  ["parallel", "job: {script: x, parallel: 5}", { parallel: 5 }],
  [
    "environment as a hash",
    "job: {script: x, environment: {name: prod, url: 'https://x'}}",
    { environment: "prod" },
  ],
  [
    "needs in both forms",
    "a: {stage: build, script: x}\njob: {script: x, needs: [a, {job: b, optional: true, artifacts: false}]}",
    {
      needs: [
        { job: "a", artifacts: true, optional: false },
        { job: "b", artifacts: false, optional: true },
      ],
    },
  ],
  [
    "rules",
    "job: {script: x, rules: [{if: '$A == \"1\"', when: manual, allow_failure: true, variables: {V: v}}, {when: never}]}",
    {
      rules: [
        {
          if: '$A == "1"',
          exists: null,
          when: "manual",
          allowFailure: true,
          variables: [{ key: "V", value: "v", raw: false }],
        },
        { if: null, exists: null, when: "never", allowFailure: null, variables: [] },
      ],
    },
  ],
  [
    "cache",
    "job: {script: x, cache: [{key: $CI_COMMIT_REF_SLUG, paths: [p], policy: pull}]}",
    {
      cache: [
        {
          key: "$CI_COMMIT_REF_SLUG",
          paths: ["p"],
          untracked: false,
          policy: "pull",
          when: "on_success",
          fallbackKeys: [],
          unprotect: false,
        },
      ],
    },
  ],
  ["the stage .post", "job: {stage: .post, script: x}\nother: {script: x}", { stage: ".post" }],
];

test.each(accepted)("takes %s", async (_name, text, expected) => {
  expect(await job(text)).toMatchObject(expected);
});

/** A CI file and one of the errors that GitLab gives for it. */
const refused: [string, string, string][] = [
  ["no hash", "- a", "Invalid configuration format"],
  ["broken YAML", "job: {script: [", "(<unknown>): "],
  ["no job", ".hidden: {script: x}", "jobs config should contain at least one visible job"],
  [
    "an unknown key at the top",
    "job: {script: x}\nfoo: bar",
    "root config contains unknown keys: foo",
  ],
  [
    "an unknown key in a job",
    "job: {script: x, foo: 1, bar: 2}",
    "jobs:job config contains unknown keys: foo, bar",
  ],
  [
    "a misspelt default",
    "default: {tag: [a]}\njob: {script: x}",
    "default config contains unknown keys: tag",
  ],
  [
    "no script",
    "job: {stage: test}",
    "jobs:job config should implement the script:, run:, or trigger: keyword",
  ],
  ["an empty script", "job: {script: []}", "jobs:job:script config can't be blank"],
  [
    "a script that is a hash",
    "job: {script: {a: b}}",
    "jobs:job:script config should be a string or a nested array of strings up to 10 levels deep",
  ],
  [
    "an unknown stage",
    "stages: [a]\njob: {stage: b, script: x}",
    "job job: chosen stage b does not exist; available stages are .pre, a, .post",
  ],
  [
    "tags that are no list",
    "job: {script: x, tags: a}",
    "jobs:job:tags config should be an array of strings",
  ],
  [
    "an unknown when",
    "job: {script: x, when: later}",
    "jobs:job when should be one of: on_success, on_failure, always, manual",
  ],
  [
    "an unknown key in artifacts",
    "job: {script: x, artifacts: {path: [a]}}",
    "jobs:job:artifacts config contains unknown keys: path",
  ],
  [
    "an expiry that is none",
    "job: {script: x, artifacts: {expire_in: soon}}",
    "jobs:job:artifacts:expire_in config should be a duration",
  ],
  [
    "a timeout that is none",
    "job: {script: x, timeout: long}",
    "jobs:job:timeout config should be a duration",
  ],
  [
    "too many retries",
    "job: {script: x, retry: 3}",
    "jobs:job:retry config should be an integer between 0 and 2",
  ],
  [
    "an image without a name",
    "job: {script: x, image: {entrypoint: ['']}}",
    "jobs:job:image config should have a name",
  ],
  ["a need that is not there", "job: {script: x, needs: [a]}", "job job: undefined need: a"],
  [
    "a need of a later stage",
    "a: {stage: deploy, script: x}\njob: {script: x, needs: [a]}",
    "job job: need a is not defined in current or prior stages",
  ],
  [
    "needs in a circle",
    "a: {script: x, needs: [job]}\njob: {script: x, needs: [a]}",
    "The pipeline has circular dependencies: ",
  ],
  [
    "a dependency that is not there",
    "job: {script: x, dependencies: [a]}",
    "job job: undefined dependency: a",
  ],
  ["extends of nothing", "job: {extends: .a, script: x}", "job: unknown keys in `extends` (.a)"],
  [
    "extends in a circle",
    ".a: {extends: .b}\n.b: {extends: .a}\njob: {extends: .a, script: x}",
    "circular dependency detected in `extends`",
  ],
  [
    "a rule that is no expression",
    "job: {script: x, rules: [{if: '$A = 1'}]}",
    "jobs:job:rules:rule:if invalid expression syntax",
  ],
  [
    "an include that is not there",
    "include: a.yml\njob: {script: x}",
    "Local file `a.yml` does not exist!",
  ],
  [
    "a flag that is none",
    "job: {script: x, interruptible: maybe}",
    "jobs:job:interruptible config should be a boolean value",
  ],
  [
    "a known feature that the model lacks",
    "job: {script: x, only: [main]}",
    "jobs:job:only is not modelled by the lab's GitLab",
  ],
  [
    "a matrix",
    "job: {script: x, parallel: {matrix: []}}",
    "jobs:job:parallel:matrix is not modelled by the lab's GitLab",
  ],
  [
    "a remote include",
    "include: {remote: 'https://x'}\njob: {script: x}",
    "include:remote is not modelled by the lab's GitLab",
  ],
  [
    "!reference",
    ".a: {script: [x]}\njob: {script: [!reference [.a, script]]}",
    "!reference is not modelled by the lab's GitLab",
  ],
];

test.each(refused)("refuses %s", async (_name, text, problem) => {
  const error = await parse(text).then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(CiError);
  const { problems } = error as CiError;
  expect(problems.some((one) => one.includes(problem)) ? problem : problems).toBe(problem);
});

test("all errors come at once", async () => {
  const text = "a: {script: x, foo: 1}\nb: {stage: test}\nc: {script: x, tags: 1}";
  await expect(parse(text)).rejects.toMatchObject({
    problems: [
      expect.stringContaining("a "),
      expect.stringContaining("b "),
      expect.stringContaining("c"),
    ] as string[],
  });
});

test("included files are merged below the file that includes them, and may include others", async () => {
  const files = {
    "ci/one.yml": "include: /ci/two.yml\njob: {script: [one], tags: [one]}\nvariables: {A: one}",
    "ci/two.yml": "variables: {A: two, B: two}\n.base: {timeout: 10m}",
  };
  const config = await parse(
    "include: [{local: ci/one.yml}]\njob: {extends: .base, tags: [main]}",
    files,
  );
  expect(config.jobs[0]).toMatchObject({ script: ["one"], tags: ["main"], timeout: 600 });
  expect(config.variables).toEqual([
    { key: "A", value: "one", raw: false },
    { key: "B", value: "two", raw: false },
  ]);
});

test.each<[string, boolean]>([
  ["$A", true],
  ["$EMPTY", false],
  ["$NONE", false],
  ["!$NONE", true],
  ['$A == "1"', true],
  ["$A == '2'", false],
  ["'1' == $A", true],
  ["$A != $B", true],
  ["$NONE == null", true],
  ["$EMPTY == null", false],
  ['$EMPTY == ""', true],
  ["$B =~ /^re/", true],
  ["$B =~ /RELEASE/i", true],
  ["$B !~ /lease/", false],
  ["$NONE =~ /x/", false],
  ["$B =~ $PATTERN", true],
  ["$B =~ /a\\/b|lease/", true],
  ["$NONE || $A", true],
  ["$NONE && $A || $A", true],
  ["$NONE && ($A || $A)", false],
  ["!($A && $B)", false],
  ['$A == "1" && $B != "x"', true],
])("rule %s is %s", (text, result) => {
  const variables = new Map([
    ["A", "1"],
    ["B", "release"],
    ["EMPTY", ""],
    ["PATTERN", "/^rel/"],
  ]);
  expect(parseExpression(text)(variables)).toBe(result);
});

test.each(["", "$A ==", "$A $B", "($A", "$A)", "$A = 1", "== $A", "$A =~ /x"])(
  "%j is no rule",
  (text) => {
    expect(() => parseExpression(text)).toThrow(SyntaxError);
  },
);

test.each<[string, number | undefined]>([
  ["90", 90],
  ["1h 30m", 5400],
  ["2 weeks and 1 day", 1296000],
  ["1 hour, 5 mins", 3900],
  ["1.5 hours", 5400],
  ["1 week", 604800],
  ["", undefined],
  ["soon", undefined],
  ["5 parsecs", undefined],
])("duration %j is %s seconds", (text, seconds) => {
  expect(parseDuration(text)).toBe(seconds);
});

test("variables expand into each other; raw ones, cycles and escapes do not", () => {
  const variable = (key: string, value: string, raw = false) => ({ key, value, raw });
  const all = expandAll([
    variable("A", "old"),
    variable("B", "$A-${C}"),
    variable("A", "a"),
    variable("C", "c"),
    variable("RAW", "$A", true),
    variable("X", "$Y"),
    variable("Y", "$X"),
    variable("PRICE", "$$5"),
  ]);
  expect(Object.fromEntries(all)).toMatchObject({ A: "a", B: "a-c", RAW: "$A", PRICE: "$5" });
  expect(expand("$B/${NONE}/$RAW", all)).toBe("a-c//$A");
});
