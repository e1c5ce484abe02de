import * as fs from "fs";
import * as path from "path";
import * as yaml from "yaml";

import type { ConfigIssue } from "./issues";
import type { StackSource } from "./parse";
import { PROJECT } from "./project";

/** A `Pulumi.<stack>.yaml`, read without Pulumi. */
export interface StackFile {
  /** Undefined when the file holds no configuration that could be looked at. */
  readonly source: StackSource | undefined;
  /** What is wrong with the file as YAML. */
  readonly errors: readonly ConfigIssue[];
  /** Line of a configuration value, such as `hosts.ci-01.address`, or of what is nearest above it. */
  readonly lineOf: (path: string) => number | undefined;
}

/** Reads a stack file. Errors in it are reported, not thrown: the rest of it is still looked at. */
export function readStackFile(file: string): StackFile {
  const nowhere = () => undefined;
  let text: string;
  try {
    text = fs.readFileSync(file, "utf8");
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const why = code === "ENOENT" ? "does not exist" : `cannot be read (${code ?? String(error)})`;
    const message = `${why}: give the path of a Pulumi.<stack>.yaml`;
    return { source: undefined, errors: [{ path: "", message }], lineOf: nowhere };
  }
  const lines = new yaml.LineCounter();
  // With `merge`, as Pulumi reads it.
  const document = yaml.parseDocument(text, { lineCounter: lines, merge: true });
  const errors = document.errors.map((error) => yamlIssue(error, text));
  const config = document.errors.every(({ code }) => code === "DUPLICATE_KEY")
    ? (document.toJS() as { config?: unknown } | null)?.config
    : undefined;
  if (typeof config !== "object" || config === null || Array.isArray(config)) {
    if (errors.length === 0) {
      errors.push({
        path: "config",
        message: `is missing: a stack file of Pulumi has a map \`config:\` with keys such as ${PROJECT}:hosts`,
      });
    }
    return { source: undefined, errors, lineOf: nowhere };
  }
  return {
    source: sourceOf(stackName(file), config as Record<string, unknown>),
    errors,
    lineOf: (where) => lineOf(document, lines, where),
  };
}

/** `dev` of `Pulumi.dev.yaml`. */
function stackName(file: string): string {
  const base = path.basename(file);
  return /^Pulumi\.(.+)\.ya?ml$/.exec(base)?.[1] ?? base.replace(/\.ya?ml$/, "");
}

function sourceOf(stack: string, config: Record<string, unknown>): StackSource {
  const values: Record<string, unknown> = {};
  const others: Record<string, unknown> = {};
  const secretKeys = new Set<string>();
  for (const [fullKey, value] of Object.entries(config)) {
    if (!fullKey.startsWith(`${PROJECT}:`)) {
      others[fullKey] = value;
      continue;
    }
    const key = fullKey.slice(PROJECT.length + 1);
    values[key] = value;
    if (holdsSecure(value)) {
      secretKeys.add(key);
    }
  }
  return { project: PROJECT, stack, values, others, secretKeys };
}

/** One `secure:` anywhere in a value makes all of it a secret. */
function holdsSecure(value: unknown): boolean {
  if (typeof value !== "object" || value === null) {
    return false;
  }
  const entries = Object.entries(value);
  return (
    (entries.length === 1 && entries[0]?.[0] === "secure" && typeof entries[0][1] === "string") ||
    entries.some(([, inner]) => holdsSecure(inner))
  );
}

function yamlIssue(error: yaml.YAMLParseError, text: string): ConfigIssue {
  const line = error.linePos?.[0].line;
  const where = line === undefined ? "" : `line ${line}`;
  if (error.code === "DUPLICATE_KEY") {
    const key = /^[^:\s]+/.exec(text.slice(error.pos[0]))?.[0] ?? "a key";
    return {
      path: where,
      message: `${key} stands here a second time: give each its own name, or remove one`,
    };
  }
  const [what] = error.message.split(/ at line |\n/);
  return { path: where, message: `is no YAML: ${what ?? error.message}. Correct this line` };
}

function lineOf(
  document: yaml.Document,
  lines: yaml.LineCounter,
  where: string,
): number | undefined {
  const [first = "", ...rest] = where.split(".");
  let map: unknown = document.get("config");
  let line: number | undefined;
  for (const part of [document.hasIn(["config", first]) ? first : `${PROJECT}:${first}`, ...rest]) {
    if (yaml.isMap(map)) {
      const pair = map.items.find(({ key }) => yaml.isScalar(key) && String(key.value) === part);
      if (pair === undefined) {
        break;
      }
      line = startOf(pair.key, lines) ?? line;
      map = pair.value;
    } else if (yaml.isSeq(map)) {
      map = map.items[Number(part)];
      line = startOf(map, lines) ?? line;
    } else {
      break;
    }
  }
  return line;
}

function startOf(node: unknown, lines: yaml.LineCounter): number | undefined {
  return yaml.isNode(node) && node.range ? lines.linePos(node.range[0]).line : undefined;
}
