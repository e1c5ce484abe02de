/** Makes the state of many hosts out of that of one. */

import {
  isMap,
  type Json,
  mapScalars,
  nameOf,
  type Resource,
  type State,
  withResources,
} from "./state";

/** What stands in a host's resources and is its own. */
export interface HostFacts {
  readonly name: string;
  readonly address: string;
  readonly vmId: number;
}

/**
 * The state of stack `to.stack` with hosts as `to.hosts`, each a copy of the one host of a state.
 *
 * What follows from a host's name by a hash is as in the original: `adopt` puts that right.
 */
export function replicate(
  state: State,
  from: { readonly stack: string; readonly host: HostFacts },
  to: { readonly stack: string; readonly hosts: readonly HostFacts[] },
): State {
  const { resources } = state.deployment;
  const isHosts = ({ urn }: Resource) =>
    nameOf(urn) === from.host.name || nameOf(urn).startsWith(`${from.host.name}-`);
  const stackName: Replacement = [whole(from.stack), to.stack];
  const copy = <T>(value: T, host: HostFacts): T =>
    rewrite(value, [
      stackName,
      [whole(from.host.name), host.name],
      [whole(from.host.address), host.address],
      [whole(String(from.host.vmId)), String(host.vmId)],
    ]);
  // What is shared stands first: providers, and the component that holds all hosts.
  const shared = resources
    .filter((resource) => !isHosts(resource))
    .map((resource) => {
      const hosts = resource.outputs?.hosts;
      const summary = isMap(hosts) ? hosts[from.host.name] : undefined;
      if (summary === undefined) return rewrite(resource, [stackName]);
      const copies = Object.fromEntries(to.hosts.map((host) => [host.name, copy(summary, host)]));
      return { ...rewrite(resource, [stackName]), outputs: { ...resource.outputs, hosts: copies } };
    });
  const own = resources.filter(isHosts);
  return withResources(state, [
    ...shared,
    ...to.hosts.flatMap((host) => own.map((resource) => copy(resource, host))),
  ]);
}

type Replacement = readonly [pattern: RegExp, text: string];

/** Not within a longer name or number. */
function whole(text: string): RegExp {
  const escaped = text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
  return new RegExp(`(?<![0-9A-Za-z])${escaped}(?![0-9A-Za-z])`, "g");
}

function rewrite<T>(value: T, replacements: readonly Replacement[]): T {
  return mapScalars(value as Json, (scalar) => {
    const text = replacements.reduce(
      (result, [pattern, replacement]) => result.replace(pattern, () => replacement),
      String(scalar),
    );
    return typeof scalar === "number" ? Number(text) : text;
  }) as T;
}
