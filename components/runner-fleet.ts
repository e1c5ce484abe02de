import * as pulumi from "@pulumi/pulumi";

import type { LoadedSecrets } from "../config/load";
import type { StackConfig } from "../config/model";
import type { StepScripts } from "../host/step-scripts";
import type { Providers } from "./providers";
import { HostSummary, RunnerHost } from "./runner-host";
import type { Template } from "./templates";

export interface RunnerFleetArgs {
  readonly stack: StackConfig;
  /** The template of each host, by the host's name. */
  readonly templates: ReadonlyMap<string, Template>;
  readonly providers: Providers;
  readonly secrets: LoadedSecrets;
  readonly scripts: StepScripts;
}

/**
 * All hosts of a stack, and the order among them: VMs of one template are cloned one after the
 * other, and of the steps that interrupt service only as many hosts at once as the stack allows
 * run, each behind the gate of the one before.
 */
export class RunnerFleet extends pulumi.ComponentResource {
  readonly hosts: Readonly<Record<string, pulumi.Output<HostSummary>>>;

  constructor(name: string, args: RunnerFleetArgs, opts: pulumi.ComponentResourceOptions = {}) {
    super("gitlab-runners:index:RunnerFleet", name, {}, opts);
    const { stack } = args;
    const lastClone = new Map<number, RunnerHost>();
    const done: RunnerHost[] = [];
    for (const host of stack.hosts) {
      const template = args.templates.get(host.name);
      if (template === undefined) {
        throw new Error(`${host.name} has no template`);
      }
      const runnerHost = new RunnerHost(
        {
          stack,
          host,
          template,
          providers: args.providers,
          secrets: args.secrets,
          scripts: args.scripts,
          cloneAfter: lastClone.get(template.vmId)?.vm,
          interruptAfter: done[done.length - stack.rollout.parallel]?.gate,
        },
        { parent: this },
      );
      lastClone.set(template.vmId, runnerHost);
      done.push(runnerHost);
    }
    this.hosts = Object.fromEntries(
      stack.hosts.map((host, index) => [host.name, (done[index] as RunnerHost).summary]),
    );
    this.registerOutputs({ hosts: this.hosts });
  }
}
