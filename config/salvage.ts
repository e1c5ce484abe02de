import type { z } from "zod";

import type { ConfigIssue } from "./issues";
import { RawStack, stackSchema } from "./schema";

export interface Salvaged {
  /** What can be read when all that is wrong is left out. */
  readonly raw: RawStack;
  readonly issues: readonly ConfigIssue[];
  /** Paths of what was left out. */
  readonly removed: readonly string[];
}

type Path = readonly PropertyKey[];

/**
 * Reads the values of a stack file key by key. What is wrong is reported and left out, so that the
 * rules across keys can still look at everything else.
 */
export function salvage(values: Readonly<Record<string, unknown>>): Salvaged {
  const rest = structuredClone(values);
  const issues: ConfigIssue[] = [];
  const removed: string[] = [];
  for (;;) {
    const parsed = stackSchema.safeParse(rest);
    if (parsed.success) {
      return { raw: parsed.data, issues, removed };
    }
    const found = parsed.error.issues.flatMap((issue) => flatten(issue));
    // Leaving something out may show that it was needed there: that was said already.
    const news = found.filter(({ path }) => !removed.includes(path.join(".")));
    issues.push(...news.map(({ path, message }) => ({ path: path.join("."), message })));
    // Each round takes at least one value away, so this ends.
    removed.push(...found.map(({ path }) => remove(rest, path).join(".")));
  }
}

interface FlatIssue {
  readonly path: Path;
  readonly message: string;
}

function flatten(issue: z.core.$ZodIssue, above: Path = []): FlatIssue[] {
  const path = [...above, ...issue.path];
  if (issue.code === "unrecognized_keys") {
    const lines = issue.message.split("\n");
    return issue.keys.map((key, index) => ({ path: [...path, key], message: lines[index] ?? "" }));
  }
  if (issue.code === "invalid_key") {
    return [{ path, message: issue.issues[0]?.message ?? issue.message }];
  }
  if (issue.code === "invalid_union") {
    // Of the alternatives, the one that was meant is the one whose inside is wrong.
    const inside = issue.errors.find((branch) => branch.every((inner) => inner.path.length > 0));
    if (inside !== undefined) {
      return inside.flatMap((inner) => flatten(inner, path));
    }
  }
  return [{ path, message: issue.message }];
}

/** Takes away what a path leads to; a list, or a map that lacks a needed key, goes as a whole. */
function remove(values: unknown, path: Path): Path {
  let holder = values as Record<PropertyKey, unknown>;
  const last = path.length - 1;
  for (const [index, part] of path.entries()) {
    const value = holder[part];
    if (index === last || Array.isArray(value) || !isMap(value) || lacks(value, path, index)) {
      delete holder[part];
      return path.slice(0, index + 1);
    }
    holder = value;
  }
  return path;
}

/** Whether a map is where a missing key is missed. */
function lacks(map: Record<PropertyKey, unknown>, path: Path, index: number): boolean {
  return index === path.length - 2 && !((path[index + 1] as PropertyKey) in map);
}

function isMap(value: unknown): value is Record<PropertyKey, unknown> {
  return typeof value === "object" && value !== null;
}
