import type { HostConfig, StackConfig } from "../config/model";

/**
 * The ownership mark of everything that is made for a host: `<project>/<stack>/<host>`.
 *
 * It stands in the VM's description, in the runner's description and maintenance note, and (with
 * dashes) in the snippet's name; only what carries it may ever be removed by a command of ours.
 */
export function markOf(stack: StackConfig, host: HostConfig): string {
  return `${stack.project}/${stack.stack}/${host.name}`;
}
