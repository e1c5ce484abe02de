import { ConfigIssue, nearest, SECRET_LIKE } from "./issues";
import type { SecretKey, StackConfig } from "./model";
import { SECRET_KEYS } from "./model";
import { Finding, resolveStack } from "./resolve";
import { checkRules } from "./rules";
import { salvage } from "./salvage";
import { stackSchema } from "./schema";
import { unknownKey } from "./schema-kit";

/** A stack file as it was read: values by key without the project's prefix. */
export interface StackSource {
  readonly project: string;
  readonly stack: string;
  readonly values: Readonly<Record<string, unknown>>;
  /** Values whose keys have another prefix, or none: by the whole key. */
  readonly others: Readonly<Record<string, unknown>>;
  /** Keys whose values are encrypted, or hold one that is; their values need not be in `values`. */
  readonly secretKeys: ReadonlySet<string>;
}

export interface ParseResult {
  /** Only when there are no errors. */
  readonly config: StackConfig | undefined;
  readonly errors: readonly ConfigIssue[];
  readonly warnings: readonly ConfigIssue[];
}

/** Reads, defaults and checks a whole stack file; reports everything that is wrong at once. */
export function parseStack(source: StackSource): ParseResult {
  const { plain, errors, unusable } = sortKeys(source);
  const { raw, issues, removed } = salvage(plain);
  const leftOut = [...removed, ...unusable];
  const incomplete: Finding[] = [];
  const config = resolveStack(source, raw, incomplete);
  const unresolved = incomplete.filter((finding) => !concerns(finding, leftOut));
  // A value that is missing, or left out because it is wrong, is blamed for no more than that.
  const missing = unresolved.filter(({ isMissing }) => isMissing).map(({ path }) => path);
  const blamed = [...leftOut, ...missing];
  const broken: Finding[] = [];
  const warnings: Finding[] = missingSecrets(source);
  checkRules(config, raw, broken, warnings);
  const found = unique([
    ...errors,
    ...issues.map(explain),
    ...unresolved,
    ...broken.filter((finding) => !concerns(finding, blamed)),
  ]);
  return {
    config: found.length === 0 ? config : undefined,
    errors: found,
    warnings: unique(warnings.filter((finding) => !concerns(finding, blamed))),
  };
}

/** Sorts the keys of a stack file into those to be read, and those that must not be as they are. */
function sortKeys(source: StackSource) {
  const errors: ConfigIssue[] = [];
  const plain: Record<string, unknown> = {};
  const unusable: string[] = [];
  for (const [fullKey, value] of Object.entries(source.others)) {
    errors.push(...foreignKey(source.project, fullKey), ...secretsIn(value, fullKey));
  }
  const known = [...Object.keys(stackSchema.shape), ...Object.keys(SECRET_KEYS)];
  for (const [path, value] of Object.entries(source.values)) {
    const secret = source.secretKeys.has(path);
    if (path in SECRET_KEYS) {
      if (!secret) {
        errors.push({ path, message: plainSecret(path as SecretKey) });
      }
    } else if (REGISTRATION_KEY.test(path)) {
      errors.push({ path, message: REGISTRATION_TOKEN });
    } else if (!known.includes(path)) {
      errors.push({ path, message: unknownKey(path, known) }, ...secretsIn(value, path));
    } else if (secret) {
      // Its value arrives in the clear: it must not be looked at, lest a message shows it.
      errors.push({ path, message: ENCRYPTED_MAP });
      unusable.push(path);
    } else {
      errors.push(...secretsIn(value, path));
      plain[path] = value;
    }
  }
  return { plain, errors, unusable };
}

const REGISTRATION_KEY = /registration.?token/i;

const REGISTRATION_TOKEN =
  "registration tokens are not supported: GitLab removes them. Remove the key; this program creates " +
  "the runner itself and gets an authentication token (glrt-…) for it. It needs gitlabToken with the " +
  "scopes create_runner and manage_runner";

const ENCRYPTED_MAP =
  "holds an encrypted value (secure:), which would hide all of the key from previews. Write it in " +
  `plain text; only ${Object.keys(SECRET_KEYS).join(", ")} are secrets`;

function plainSecret(key: SecretKey): string {
  return (
    `stands in plain text: it is ${SECRET_KEYS[key]}. Remove the line, revoke what it held, and set it ` +
    `with: pulumi config set --secret ${key}`
  );
}

function missingSecrets({ values, secretKeys }: StackSource): ConfigIssue[] {
  return (Object.keys(SECRET_KEYS) as SecretKey[])
    .filter((key) => !secretKeys.has(key) && values[key] === undefined)
    .filter((key) => key !== "canaryTriggerToken" || values.canary !== undefined)
    .map((path) => ({
      path,
      message: `is missing: ${SECRET_KEYS[path]}. Set it with: pulumi config set --secret ${path}`,
    }));
}

/** Keys that this program would never see, or that another prefix hides from it. */
function foreignKey(project: string, path: string): ConfigIssue[] {
  const [namespace, key] = path.includes(":") ? path.split(":", 2) : [undefined, path];
  if (namespace === "pulumi") {
    return [];
  }
  if (namespace === undefined) {
    return [{ path, message: `has no prefix: write it as ${project}:${key}` }];
  }
  const message =
    nearest(namespace, [project]) === undefined
      ? `is not read: this program sets its providers up itself. Remove it (all keys start with ${project}:)`
      : `has another prefix than this program's: did you mean ${project}:${key}?`;
  return [{ path, message }];
}

/** Looks for secrets where none belongs. */
function secretsIn(value: unknown, path: string): ConfigIssue[] {
  if (typeof value === "string") {
    if (/GR1348941/.test(value)) {
      return [{ path, message: REGISTRATION_TOKEN }];
    }
    return SECRET_LIKE.test(value)
      ? [
          {
            path,
            message:
              "holds what looks like a token, password or private key: remove and revoke it; secrets stand only " +
              `under ${Object.keys(SECRET_KEYS).join(", ")}, set with pulumi config set --secret`,
          },
        ]
      : [];
  }
  if (typeof value === "object" && value !== null) {
    return Object.entries(value).flatMap(([key, inner]) => secretsIn(inner, `${path}.${key}`));
  }
  return [];
}

/** Says of a registration token's key more than that it is unknown. */
function explain(issue: ConfigIssue): ConfigIssue {
  return REGISTRATION_KEY.test(issue.path) ? { ...issue, message: REGISTRATION_TOKEN } : issue;
}

/** Whether a finding is about a value that was left out. `*` in a path stands for any name. */
function concerns({ path, because = [] }: Finding, removed: readonly string[]): boolean {
  // What the defaults lack, every host lacks.
  const patterns = removed.flatMap((other) =>
    /^defaults(\.|$)/.test(other) ? [other, other.replace("defaults", "hosts.*")] : [other],
  );
  return [path, ...because].some((one) => patterns.some((other) => liesIn(one, other)));
}

/** Whether a path is another one, or leads into it. */
function liesIn(path: string, other: string): boolean {
  const [parts, others] = [path.split("."), other.split(".")];
  return others.every((part, index) => part === parts[index] || [part, parts[index]].includes("*"));
}

function unique(findings: readonly Finding[]): ConfigIssue[] {
  return [
    ...new Map(
      findings.map(({ path, message }) => [`${path}\n${message}`, { path, message }]),
    ).values(),
  ];
}
