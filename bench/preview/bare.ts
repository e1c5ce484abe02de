/** The resources of a state without the components around them, and what registers them. */

import path from "node:path";

import {
  isList,
  isMap,
  type Json,
  type JsonMap,
  nameOf,
  type Resource,
  SECRET,
  SIGNATURE,
  type State,
  withResources,
} from "./state";

/** A resource as programs/bare registers it. */
export interface BareResource {
  readonly type: string;
  readonly name: string;
  readonly inputs: JsonMap;
  /** Name of the provider that the program makes; none where the engine makes it. */
  readonly provider?: string;
  readonly version?: string;
  readonly pluginDownloadURL?: string;
  readonly options: Pick<
    Resource,
    "additionalSecretOutputs" | "ignoreChanges" | "replaceOnChanges" | "replacementTrigger"
  >;
}

const STACK_TYPE = "pulumi:pulumi:Stack";
const isProvider = ({ type }: Resource) => type.startsWith("pulumi:providers:");
/** The engine makes such a provider for resources that name none. */
const isDefault = (urn: string) => nameOf(urn).startsWith("default_");

/**
 * The state of a program that makes the same providers and custom resources, and nothing else.
 *
 * @param project its name
 * @param folder what paths of files in the state are relative to
 */
export function flatten(state: State, project: string, folder: string): State {
  const resources = state.deployment.resources.filter(
    ({ type, custom }) => type === STACK_TYPE || custom,
  );
  const urns = new Map(resources.map(({ urn }) => [urn, flatUrn(urn, project)]));
  const stackUrn = urns.get(resources[0]?.urn ?? "");
  const known = (list: readonly string[] = []) => list.flatMap((urn) => urns.get(urn) ?? []);
  return withResources(
    state,
    resources.map((resource): Resource => {
      const { inputs, outputs, parent, dependencies, propertyDependencies = {} } = resource;
      const provider = providerOf(resource);
      return {
        ...resource,
        urn: urns.get(resource.urn) as string,
        inputs: inputs && withAbsolutePaths(inputs, folder),
        outputs: resource.type === STACK_TYPE ? {} : outputs && withAbsolutePaths(outputs, folder),
        parent: parent && stackUrn,
        provider: provider && `${urns.get(provider.urn)}::${provider.id}`,
        dependencies: known(dependencies),
        propertyDependencies: Object.fromEntries(
          Object.entries(propertyDependencies).map(([key, list]) => [key, known(list)]),
        ),
      };
    }),
  );
}

function flatUrn(urn: string, project: string): string {
  const [head = "", , types = "", name] = urn.split("::");
  const type = types.split("$").at(-1) as string;
  const stack = head.slice("urn:pulumi:".length);
  return [head, project, type, type === STACK_TYPE ? `${project}-${stack}` : name].join("::");
}

function providerOf({ provider }: Resource): { urn: string; id: string } | undefined {
  const end = provider?.lastIndexOf("::") ?? -1;
  return provider === undefined || end < 0
    ? undefined
    : { urn: provider.slice(0, end), id: provider.slice(end + 2) };
}

function withAbsolutePaths(map: JsonMap, folder: string): JsonMap {
  const change = (value: Json): Json => {
    if (isList(value)) return value.map(change);
    if (!isMap(value)) return value;
    const inner = Object.fromEntries(
      Object.entries(value).map(([key, item]) => [key, change(item)]),
    );
    const isArchive = SIGNATURE in value && typeof value.path === "string";
    return isArchive ? { ...inner, path: path.resolve(folder, value.path as string) } : inner;
  };
  return change(map) as JsonMap;
}

/** What a program registers, to get a state that `flatten` gave. */
export function bareResources(state: State): BareResource[] {
  const providers = new Map(
    state.deployment.resources.filter(isProvider).map((provider) => [provider.urn, provider]),
  );
  return state.deployment.resources
    .filter(({ urn, type }) => type !== STACK_TYPE && !isDefault(urn))
    .map((resource): BareResource => {
      const { urn, type, inputs = {}, additionalSecretOutputs } = resource;
      const { ignoreChanges, replaceOnChanges, replacementTrigger } = resource;
      const provider = providers.get(providerOf(resource)?.urn ?? urn);
      return {
        type,
        name: nameOf(urn),
        inputs: given(isProvider(resource) ? providerInputs(inputs) : inputs) as JsonMap,
        provider: provider && nameOf(provider.urn),
        ...pluginOf(provider),
        options: { additionalSecretOutputs, ignoreChanges, replaceOnChanges, replacementTrigger },
      };
    });
}

/** Where a provider's plugin comes from, as its SDK says with each resource. */
function pluginOf(provider: Resource | undefined) {
  const { version, __internal: internal } = provider?.inputs ?? {};
  const url = isMap(internal) ? internal.pluginDownloadURL : undefined;
  return {
    version: typeof version === "string" ? version : undefined,
    pluginDownloadURL: typeof url === "string" ? url : undefined,
  };
}

/** The configuration of a provider, without what the engine and the plugin put into its inputs. */
function providerInputs(inputs: JsonMap): JsonMap {
  return Object.fromEntries(
    Object.entries(inputs).filter(([key]) => !key.startsWith("__") && key !== "version"),
  );
}

/** Inputs without the defaults that a bridged provider added to them. */
function given(value: Json): Json {
  if (isList(value)) return value.map(given);
  if (!isMap(value)) return value;
  if (value[SIGNATURE] === SECRET) {
    const secret = given(JSON.parse(String(value.plaintext)) as Json);
    return { ...value, plaintext: JSON.stringify(secret) };
  }
  const { __defaults: defaults, ...rest } = value;
  const added = isList(defaults) ? defaults : [];
  return Object.fromEntries(
    Object.entries(rest)
      .filter(([key]) => !added.includes(key))
      .map(([key, item]) => [key, given(item)]),
  );
}
