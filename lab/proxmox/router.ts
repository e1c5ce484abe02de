/** Finds the method of a request by its path. */

import type { Method } from "./method";

export interface Match {
  readonly method: Method;
  readonly params: Readonly<Record<string, string>>;
}

interface Compiled {
  readonly method: Method;
  readonly parts: readonly string[];
  /** Figures and names stand before parameters. */
  readonly weight: number;
}

/** A volume's name may hold slashes that a client did not encode. */
const GREEDY = "{volume}";

export class Router {
  private readonly compiled: readonly Compiled[];

  constructor(methods: readonly Method[]) {
    this.compiled = methods
      .map((method) => {
        const parts = method.path.split("/").filter(Boolean);
        return { method, parts, weight: parts.filter((part) => part.startsWith("{")).length };
      })
      .sort((a, b) => a.weight - b.weight);
  }

  /** @param path as it was sent, percent signs and all; a slash at its end means nothing */
  find(verb: string, path: string): Match | undefined {
    const given = path.split("/").filter(Boolean);
    for (const { method, parts } of this.compiled) {
      if (method.verb !== verb) continue;
      const params = match(parts, given);
      if (params !== undefined) return { method, params };
    }
    return undefined;
  }
}

function match(
  parts: readonly string[],
  given: readonly string[],
): Record<string, string> | undefined {
  const greedy = parts.at(-1) === GREEDY;
  if (greedy ? given.length < parts.length : given.length !== parts.length) return undefined;
  const params: Record<string, string> = {};
  for (const [index, part] of parts.entries()) {
    const rest = greedy && index === parts.length - 1 ? given.slice(index).join("/") : given[index];
    const text = decode(rest as string);
    if (text === undefined) return undefined;
    if (part.startsWith("{")) params[part.slice(1, -1)] = text;
    else if (part !== text) return undefined;
  }
  return params;
}

function decode(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}
