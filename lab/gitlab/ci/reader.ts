/** Reading single values out of a CI file, with GitLab's error texts. */

import { isObject } from "../params";
import type { Hash } from "./document";
import { parseDuration } from "./duration";
import type { CiVariable } from "./model";

const MAX_SCRIPT_DEPTH = 10;

/** Collects what is wrong instead of stopping at the first error. */
export class Reader {
  readonly problems: string[] = [];

  fail(where: string, problem: string): void {
    this.problems.push(`${where} ${problem}`);
  }

  keys(where: string, hash: Hash, allowed: readonly string[]): void {
    const unknown = Object.keys(hash).filter((key) => !allowed.includes(key));
    if (unknown.length > 0) this.fail(where, `config contains unknown keys: ${unknown.join(", ")}`);
  }

  hash(where: string, value: unknown): Hash | undefined {
    if (value === undefined || value === null) return undefined;
    if (isObject(value)) return value;
    this.fail(where, "config should be a hash");
    return undefined;
  }

  string(where: string, value: unknown): string | undefined {
    if (value === undefined || value === null) return undefined;
    if (typeof value === "string") return value;
    this.fail(where, "config should be a string");
    return undefined;
  }

  /** A string, or for a name or value also a number. */
  scalar(where: string, value: unknown): string | undefined {
    if (typeof value === "number") return String(value);
    return this.string(where, value);
  }

  boolean(where: string, value: unknown): boolean | undefined {
    if (value === undefined || value === null) return undefined;
    if (typeof value === "boolean") return value;
    this.fail(where, "config should be a boolean value");
    return undefined;
  }

  integer(where: string, value: unknown, from: number, to: number): number | undefined {
    if (value === undefined || value === null) return undefined;
    if (typeof value === "number" && Number.isInteger(value) && value >= from && value <= to) {
      return value;
    }
    this.fail(where, `config should be an integer between ${from} and ${to}`);
    return undefined;
  }

  strings(where: string, value: unknown): string[] | undefined {
    if (value === undefined || value === null) return undefined;
    if (Array.isArray(value) && value.every((item) => typeof item === "string")) {
      return value as string[];
    }
    this.fail(where, "config should be an array of strings");
    return undefined;
  }

  stringOrStrings(where: string, value: unknown): string[] | undefined {
    return typeof value === "string" ? [value] : this.strings(where, value);
  }

  integers(where: string, value: unknown): number[] | undefined {
    if (value === undefined || value === null) return undefined;
    const list: unknown[] = Array.isArray(value) ? value : [value];
    if (list.every((item): item is number => Number.isInteger(item))) return list;
    this.fail(where, "should be an array of integers or an integer");
    return undefined;
  }

  oneOf<T extends string>(where: string, value: unknown, values: readonly T[]): T | undefined {
    if (value === undefined || value === null) return undefined;
    if (values.includes(value as T)) return value as T;
    this.fail(where, `should be one of: ${values.join(", ")}`);
    return undefined;
  }

  duration(where: string, value: unknown): number | undefined {
    if (value === undefined || value === null) return undefined;
    const text = typeof value === "number" ? String(value) : value;
    const seconds = typeof text === "string" ? parseDuration(text) : undefined;
    if (seconds === undefined) this.fail(where, "config should be a duration");
    return seconds;
  }

  script(where: string, value: unknown): string[] | undefined {
    if (value === undefined || value === null) return undefined;
    const lines = flatten(value, 0);
    if (lines === undefined) {
      this.fail(
        where,
        `config should be a string or a nested array of strings up to ${MAX_SCRIPT_DEPTH} levels deep`,
      );
    }
    return lines;
  }

  variables(where: string, value: unknown): CiVariable[] {
    const hash = this.hash(where, value);
    if (hash === undefined) return [];
    return Object.entries(hash).flatMap(([key, given]): CiVariable[] => {
      if (isObject(given)) {
        this.keys(`${where}:${key}`, given, ["value", "description", "options", "expand"]);
        const inner = scalarText(given.value ?? "");
        if (inner !== undefined) return [{ key, value: inner, raw: given.expand === false }];
      }
      const text = scalarText(given);
      if (text !== undefined) return [{ key, value: text, raw: false }];
      this.fail(where, "config should be a hash of key value pairs, value can be a hash");
      return [];
    });
  }
}

function scalarText(value: unknown): string | undefined {
  if (typeof value === "string") return value;
  return typeof value === "number" || typeof value === "boolean" ? String(value) : undefined;
}

function flatten(value: unknown, depth: number): string[] | undefined {
  if (typeof value === "string") return [value];
  if (!Array.isArray(value) || depth >= MAX_SCRIPT_DEPTH) return undefined;
  const parts = value.map((item) => flatten(item, depth + 1));
  return parts.some((part) => part === undefined) ? undefined : parts.flatMap((part) => part ?? []);
}
