import * as pulumi from "@pulumi/pulumi";

import type { LoadedSecrets } from "../config/load";
import type { HostConfig, StackConfig } from "../config/model";
import type { StepScripts } from "../host/step-scripts";
import { armDrain } from "./host-drain";
import { HostSetup } from "./host-setup";
import { connectionTo, HostTrust, machineTriggers } from "./host-trust";
import type { Providers } from "./providers";
import { MachineIdentity, ProxmoxVm } from "./proxmox-vm";
import { RunnerRegistration } from "./runner-registration";
import type { Template } from "./templates";

export interface RunnerHostArgs {
  readonly stack: StackConfig;
  readonly host: HostConfig;
  readonly template: Template;
  readonly providers: Providers;
  readonly secrets: LoadedSecrets;
  readonly scripts: StepScripts;
  /** The VM that is cloned before this one: Proxmox cannot clone one template twice at a time. */
  readonly cloneAfter: pulumi.Resource | undefined;
  /** The gate that has to be passed before this host may be interrupted. */
  readonly interruptAfter: pulumi.Resource | undefined;
}

/** One runner host: its records in GitLab, its VM, and the steps on it up to the gate. */
export class RunnerHost extends pulumi.ComponentResource {
  readonly vm: pulumi.Resource;
  readonly gate: pulumi.Resource;
  /** What the stack's outputs tell of the host. */
  readonly summary: pulumi.Output<HostSummary>;

  constructor(args: RunnerHostArgs, opts: pulumi.ComponentResourceOptions) {
    const { stack, host, providers, secrets } = args;
    // No inputs: a component's inputs are stored in the state.
    super("gitlab-runners:index:RunnerHost", host.name, {}, opts);
    const child = { parent: this };

    const identity = new MachineIdentity(stack, host, child);
    const registrations = host.profiles.map(
      (profile) =>
        new RunnerRegistration(
          { stack, host, profile, identity, provider: providers.gitlab },
          child,
        ),
    );
    const machine = new ProxmoxVm(
      {
        stack,
        host,
        template: args.template,
        identity,
        provider: providers.proxmox,
        // The records outlive the machine: they go last, and take their managers along.
        records: registrations.map(({ record }) => record),
        cloneAfter: optional(args.cloneAfter),
      },
      child,
    );
    const trust = new HostTrust({ stack, host, identity, machine, secrets }, child);
    const setup = new HostSetup(
      {
        stack,
        host,
        scripts: args.scripts,
        connection: connectionTo(host, machine, trust, secrets),
        triggers: machineTriggers(identity, machine),
        registrations,
        secrets,
        after: optional(args.interruptAfter),
        armDrain: (runner) =>
          armDrain({ stack, host, identity, machine, trust, secrets, after: runner }, child),
      },
      child,
    );

    this.vm = machine.vm;
    this.gate = setup.gate;
    this.summary = pulumi.output({
      address: machine.address,
      hostKey: trust.hostKey,
      node: machine.vm.nodeName,
      vmId: machine.vm.vmId,
      vmName: identity.vmName,
      user: host.ssh.user,
      runners: Object.fromEntries(registrations.map((r) => [r.profile, r.record.id])),
    });
    this.registerOutputs({ summary: this.summary });
  }
}

export interface HostSummary {
  readonly address: string;
  readonly hostKey: string;
  readonly node: string;
  readonly vmId: number;
  readonly vmName: string;
  /** Admin user. */
  readonly user: string;
  /** Runner id in GitLab by profile. */
  readonly runners: Readonly<Record<string, string>>;
}

function optional(resource: pulumi.Resource | undefined): pulumi.Resource[] {
  return resource === undefined ? [] : [resource];
}
