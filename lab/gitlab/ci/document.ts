/** Reading a `.gitlab-ci.yml`: YAML, `include:local` and `extends`, to one plain object. */

import { parseDocument, type Tags } from "yaml";

import { isObject } from "../params";

/** What is wrong with a CI file, in GitLab's words where they are known. */
export class CiError extends Error {
  constructor(readonly problems: readonly string[]) {
    super(problems.join("\n"));
  }
}

export type Hash = Record<string, unknown>;

/** Reads a file of the repository at the pipeline's commit; undefined when there is none. */
export type ReadFile = (path: string) => Promise<string | undefined>;

const MAX_INCLUDES = 150;
const MAX_EXTENDS = 11;

/** Says of a feature that GitLab has, and this model has not. */
export function notModelled(what: string): string {
  return `${what} is not modelled by the lab's GitLab`;
}

/** GitLab's parser reads YAML 1.1, but takes `y` and `n` for strings. */
function likePsych(tags: Tags): Tags {
  return tags.map((tag) => {
    if (typeof tag === "string" || tag.tag !== "tag:yaml.org,2002:bool") return tag;
    if (!("test" in tag) || tag.test === undefined) return tag;
    const pattern = tag.test.test("yes")
      ? /^(?:yes|Yes|YES|true|True|TRUE|on|On|ON)$/
      : /^(?:no|No|NO|false|False|FALSE|off|Off|OFF)$/;
    return { ...tag, test: pattern };
  });
}

/** Parses one file. */
export function parseYaml(text: string): Hash {
  const document = parseDocument(text, {
    merge: true,
    version: "1.1",
    uniqueKeys: false,
    customTags: likePsych,
  });
  const [problem] = [...document.errors, ...document.warnings];
  if (problem !== undefined) {
    if (problem.code === "TAG_RESOLVE_FAILED" && problem.message.includes("!reference")) {
      throw new CiError([notModelled("!reference")]);
    }
    throw new CiError([`(<unknown>): ${problem.message.split("\n")[0] ?? ""}`]);
  }
  const value: unknown = document.toJS({ maxAliasCount: 1000 });
  if (!isObject(value)) throw new CiError(["Invalid configuration format"]);
  return value;
}

/** The file with everything that it includes merged below it. */
export async function loadDocument(path: string, text: string, read: ReadFile): Promise<Hash> {
  const seen = new Set([path]);
  const load = async (source: string): Promise<Hash> => {
    const { include, ...own } = parseYaml(source);
    let merged: Hash = {};
    for (const file of includedFiles(include)) {
      if (seen.has(file)) continue;
      seen.add(file);
      if (seen.size > MAX_INCLUDES) {
        throw new CiError([`Maximum of ${MAX_INCLUDES} nested includes are allowed!`]);
      }
      const content = await read(file.replace(/^\//, ""));
      if (content === undefined) throw new CiError([`Local file \`${file}\` does not exist!`]);
      merged = deepMerge(merged, await load(content));
    }
    return deepMerge(merged, own);
  };
  return load(text);
}

function includedFiles(include: unknown): string[] {
  if (include === undefined || include === null) return [];
  return (Array.isArray(include) ? include : [include]).map((entry: unknown) => {
    if (typeof entry === "string" && !/^https?:/.test(entry)) return entry;
    if (isObject(entry) && typeof entry.local === "string") {
      const [other] = Object.keys(entry).filter((key) => key !== "local");
      if (other === undefined) return entry.local;
      throw new CiError([notModelled(`include:${other}`)]);
    }
    if (isObject(entry)) throw new CiError([notModelled(`include:${Object.keys(entry)[0] ?? ""}`)]);
    throw new CiError([notModelled("include:remote")]);
  });
}

/** Hashes merge key by key; everything else is replaced. */
export function deepMerge(below: Hash, above: Hash): Hash {
  const out: Hash = { ...below };
  for (const [key, value] of Object.entries(above)) {
    const old = out[key];
    out[key] = isObject(old) && isObject(value) ? deepMerge(old, value) : value;
  }
  return out;
}

/** A job with what it `extends` merged below it. */
export function resolveExtends(all: Hash, name: string): Hash {
  const resolve = (key: string, chain: readonly string[]): Hash => {
    if (chain.includes(key)) {
      throw new CiError([`${chain.at(-1) ?? key}: circular dependency detected in \`extends\``]);
    }
    if (chain.length >= MAX_EXTENDS) {
      throw new CiError([`${chain[0] ?? key}: nesting too deep in \`extends\``]);
    }
    const { extends: parents, ...own } = all[key] as Hash;
    if (parents === undefined) return own;
    const names: unknown[] = Array.isArray(parents) ? parents : [parents];
    if (!names.every((parent): parent is string => typeof parent === "string")) {
      throw new CiError([`jobs:${key}:extends config should be an array of strings or a string`]);
    }
    const unknown = names.filter((parent) => !isObject(all[parent]));
    if (unknown.length > 0) {
      throw new CiError([`${key}: unknown keys in \`extends\` (${unknown.join(", ")})`]);
    }
    const merged = names.reduce<Hash>(
      (below, parent) => deepMerge(below, resolve(parent, [...chain, key])),
      {},
    );
    return deepMerge(merged, own);
  };
  return resolve(name, []);
}
