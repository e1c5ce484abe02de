/** A stack's state, as `pulumi stack export --show-secrets` gives it. */

export type Json = null | boolean | number | string | readonly Json[] | JsonMap;
export interface JsonMap {
  readonly [key: string]: Json;
}

/** Key that marks a value as more than a map, and the mark of a secret. */
export const SIGNATURE = "4dabf18193072939515e22adb298388d";
export const SECRET = "1b47061264138c4ac30d75fd1eb44270";

export interface Resource {
  readonly urn: string;
  readonly type: string;
  readonly custom: boolean;
  readonly inputs?: JsonMap;
  readonly outputs?: JsonMap;
  readonly parent?: string;
  /** URN of the provider and its id. */
  readonly provider?: string;
  readonly dependencies?: readonly string[];
  readonly propertyDependencies?: Readonly<Record<string, readonly string[]>>;
  readonly additionalSecretOutputs?: readonly string[];
  readonly ignoreChanges?: readonly string[];
  readonly replaceOnChanges?: readonly string[];
  readonly replacementTrigger?: Json;
}

export interface State {
  readonly version: number;
  readonly deployment: { readonly resources: readonly Resource[] };
}

export function isMap(value: Json | undefined): value is JsonMap {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

export const isList = (value: Json | undefined): value is readonly Json[] => Array.isArray(value);

/** The last part of a URN: the name that the program gave. */
export function nameOf(urn: string): string {
  return urn.split("::").at(-1) as string;
}

/** The same state with other resources. */
export function withResources(state: State, resources: readonly Resource[]): State {
  return { ...state, deployment: { ...state.deployment, resources } };
}

/** Applies a function to every string and number of a value, also in secrets; keys stay. */
export function mapScalars(value: Json, change: (scalar: string | number) => Json): Json {
  if (typeof value === "string" || typeof value === "number") return change(value);
  if (isList(value)) return value.map((item) => mapScalars(item, change));
  if (!isMap(value)) return value;
  if (value[SIGNATURE] === SECRET) {
    const secret = JSON.parse(String(value.plaintext)) as Json;
    return { ...value, plaintext: JSON.stringify(mapScalars(secret, change)) };
  }
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [key, mapScalars(item, change)]),
  );
}
