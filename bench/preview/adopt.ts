/** Takes over into a state what a program says that it would register, without doing it. */

import { isDeepStrictEqual } from "node:util";

import { isList, isMap, type Json, type Resource, type State, withResources } from "./state";

/** What `pulumi preview --json` prints instead of a secret. */
const HIDDEN = "[secret]";
/** What stands for a value that is known only after an `up`. */
const UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9";

/** A step of `pulumi preview --json`. */
export interface Step {
  readonly op: string;
  readonly urn: string;
  readonly newState?: { readonly inputs?: Resource["inputs"] };
}

/**
 * Gives each resource that a preview would change the inputs that it would get, in its outputs too.
 * Secrets stay as they are in the state.
 */
export function adopt(state: State, steps: readonly Step[]): State {
  const wanted = new Map(
    steps.flatMap(({ op, urn, newState }) =>
      op === "same" || newState?.inputs === undefined ? [] : [[urn, newState.inputs] as const],
    ),
  );
  return withResources(
    state,
    state.deployment.resources.map((resource) => {
      const news = wanted.get(resource.urn);
      if (news === undefined || resource.inputs === undefined) return resource;
      const inputs = merge(resource.inputs, news);
      const outputs = carry(resource.outputs ?? {}, resource.inputs, inputs);
      return { ...resource, inputs, outputs } as Resource;
    }),
  );
}

function merge(old: Json | undefined, news: Json): Json {
  if (news === HIDDEN || news === UNKNOWN) return old ?? null;
  if (isMap(news)) {
    const before = isMap(old) ? old : {};
    return Object.fromEntries(
      Object.entries(news).map(([key, value]) => [key, merge(before[key], value)]),
    );
  }
  if (isList(news)) {
    const before = isList(old) ? old : [];
    return news.map((value, index) => merge(before[index], value));
  }
  return news;
}

/** Outputs with the changes of the inputs that they repeat; a provider may have added to them. */
function carry(output: Json, before: Json | undefined, after: Json | undefined): Json {
  if (after === undefined || isDeepStrictEqual(before, after)) return output;
  if (isDeepStrictEqual(output, before)) return after;
  if (isMap(output) && isMap(before) && isMap(after)) {
    return Object.fromEntries(
      Object.entries(output).map(([key, value]) => [key, carry(value, before[key], after[key])]),
    );
  }
  if (isList(output) && isList(before) && isList(after)) {
    return output.map((value, index) => carry(value, before[index], after[index]));
  }
  return output;
}
