/** Request parameters: from path, query and body together, coerced and checked as Grape does. */

import { invalid } from "./errors";

type Kinds = {
  string: string;
  integer: number;
  boolean: boolean;
  /** An array of strings, or one comma separated string. */
  list: string[];
  object: Record<string, unknown>;
  objects: Record<string, unknown>[];
};

interface Rule {
  readonly kind: keyof Kinds;
  readonly required?: true;
  readonly values?: readonly string[];
}

export type Rules = Readonly<Record<string, Rule>>;

/** Null: the caller said null. Undefined: the caller said nothing. */
export type Params<R extends Rules> = {
  [K in keyof R]: R[K] extends { required: true }
    ? Kinds[R[K]["kind"]]
    : Kinds[R[K]["kind"]] | null | undefined;
};

/**
 * Picks and converts the parameters that `rules` names; others are ignored, as Grape does.
 *
 * @throws 400 with every problem.
 */
export function readParams<const R extends Rules>(
  raw: Readonly<Record<string, unknown>>,
  rules: R,
): Params<R> {
  const problems: string[] = [];
  const out: Record<string, unknown> = {};
  for (const [name, rule] of Object.entries(rules)) {
    const given = raw[name];
    if (given === undefined) {
      if (rule.required === true) problems.push(`${name} is missing`);
      continue;
    }
    if (given === null || (given === "" && rule.kind !== "string" && rule.kind !== "list")) {
      if (rule.required === true) problems.push(`${name} is invalid`);
      out[name] = null;
      continue;
    }
    const value = coerce(given, rule.kind);
    if (value === undefined) {
      problems.push(`${name} is invalid`);
    } else if (rule.values !== undefined && !rule.values.includes(value as string)) {
      problems.push(`${name} does not have a valid value`);
    } else {
      out[name] = value;
    }
  }
  if (problems.length > 0) throw invalid(...problems);
  return out as Params<R>;
}

function coerce(given: unknown, kind: keyof Kinds): unknown {
  switch (kind) {
    case "string":
      if (typeof given === "string") return given;
      return typeof given === "number" || typeof given === "boolean" ? String(given) : undefined;
    case "integer": {
      if (typeof given === "number") return Number.isInteger(given) ? given : undefined;
      return typeof given === "string" && /^[+-]?\d+$/.test(given) ? Number(given) : undefined;
    }
    case "boolean":
      if (typeof given === "boolean") return given;
      if (given === "true" || given === "1" || given === "t" || given === 1) return true;
      return given === "false" || given === "0" || given === "f" || given === 0 ? false : undefined;
    case "list":
      if (typeof given === "string") return splitList([given]);
      return Array.isArray(given) && given.every((item) => typeof item === "string")
        ? splitList(given as string[])
        : undefined;
    case "object":
      return isObject(given) ? given : undefined;
    case "objects":
      if (Array.isArray(given)) return given.every(isObject) ? given : undefined;
      // Forms number array items: variables[0][key]=…
      return isObject(given) && Object.values(given).every(isObject)
        ? Object.values(given)
        : undefined;
  }
}

function splitList(items: readonly string[]): string[] {
  return items
    .flatMap((item) => item.split(","))
    .map((item) => item.trim())
    .filter((item) => item !== "");
}

/** True for a parameter that was not given, or given as null. */
export function absent(value: unknown): value is null | undefined {
  return value === undefined || value === null;
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Decodes a query or form: `a=1&list[]=x&map[key]=y`, nested as Rack nests them. */
export function parseForm(text: string): Record<string, unknown> {
  const out: Record<string, unknown> = {};
  for (const [name, value] of new URLSearchParams(text)) setField(out, name, value);
  return out;
}

/** Sets one form field, whose name may be nested: `variables[KEY]`. */
export function setField(out: Record<string, unknown>, name: string, value: unknown): void {
  const head = /^[^[\]]+/.exec(name)?.[0];
  if (head === undefined) return;
  const keys = [...name.slice(head.length).matchAll(/\[([^[\]]*)\]/g)].map((match) => match[1]);
  let target: Record<string, unknown> = out;
  let key = head;
  for (const next of keys) {
    if (next === "") {
      const list = Object.hasOwn(target, key) ? target[key] : undefined;
      const items: unknown[] = Array.isArray(list) ? (list as unknown[]) : [];
      items.push(value);
      define(target, key, items);
      return;
    }
    const inner = Object.hasOwn(target, key) ? target[key] : undefined;
    const object = isObject(inner) ? inner : {};
    define(target, key, object);
    target = object;
    key = next ?? "";
  }
  define(target, key, value);
}

/** Assigns without touching prototypes, whatever the name is. */
function define(target: Record<string, unknown>, key: string, value: unknown): void {
  Object.defineProperty(target, key, {
    value,
    enumerable: true,
    writable: true,
    configurable: true,
  });
}
