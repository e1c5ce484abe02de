/*
 * The parts of which the stack file's schema is made: each says what is wrong in the operator's words.
 */
import { z } from "zod";

import { nearest, show } from "./issues";

/**
 * An object that takes no other keys, and says which known one is near to an unknown one: a line for
 * each unknown key.
 */
export function object<T extends z.ZodRawShape>(shape: T) {
  return z.strictObject(shape, {
    error: (issue) => {
      if (issue.code === "unrecognized_keys") {
        return issue.keys.map((key) => unknownKey(key, Object.keys(shape))).join("\n");
      }
      return issue.code === "invalid_type"
        ? `is ${show(issue.input)}: a map of keys is needed here`
        : undefined;
    },
  });
}

/** What is said of a key that does not exist. */
export function unknownKey(key: string, known: readonly string[]): string {
  const hint = nearest(key, known);
  return hint === undefined
    ? `is unknown: remove it (known here: ${known.join(", ")})`
    : `is unknown: did you mean "${hint}"?`;
}

const needed = (what: string) => (issue: { code: string; input?: unknown }) =>
  issue.code === "invalid_type"
    ? issue.input === undefined
      ? `is missing: give ${what}`
      : `is ${show(issue.input)}: give ${what}`
    : undefined;

/** Text that has to pass a check of formats.ts. */
export function text(what: string, check?: (value: string) => string | undefined) {
  return z.string({ error: needed(what) }).superRefine((value, context) => {
    const problem = value.trim() === "" ? `is empty: give ${what}` : check?.(value);
    if (problem !== undefined) {
      const message = problem.startsWith("is empty") ? problem : `${show(value)} ${problem}`;
      context.addIssue({ code: "custom", message });
    }
  });
}

export function integer(what: string, min: number, max: number) {
  const message = (value: unknown) => `is ${show(value)}: give ${what} from ${min} to ${max}`;
  return z
    .number({ error: needed(`${what} from ${min} to ${max}`) })
    .superRefine((value, context) => {
      if (!Number.isInteger(value) || value < min || value > max) {
        context.addIssue({ code: "custom", message: message(value) });
      }
    })
    .meta({ type: "integer", minimum: min, maximum: max });
}

export const flag = () => z.boolean({ error: needed("true or false") });

export function choice<const T extends readonly [string, ...string[]]>(values: T) {
  return z.enum(values, {
    error: (issue) => `is ${show(issue.input)}: choose one of ${values.join(", ")}`,
  });
}

export const list = <T extends z.ZodType>(of: T) => z.array(of, { error: needed("a list") });

export const named = <T extends z.ZodType>(what: string, of: T) =>
  z.record(z.string(), of, { error: needed(`a map of ${what} by name`) });

/**
 * A key that may be left out.
 *
 * @param description what it means, for docs/configuration.md and for editors
 * @param byDefault what is taken when it is left out; a description tells of what is worked out
 */
export function key<T extends z.ZodType>(type: T, description: string, byDefault?: unknown) {
  const meta = byDefault === undefined ? { description } : { description, default: byDefault };
  return type.optional().meta(meta);
}

/** A key that must be there when what holds it is. */
export function required<T extends z.ZodType>(type: T, description: string) {
  return type.meta({ description });
}
