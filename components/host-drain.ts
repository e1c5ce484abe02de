import { local } from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";

import type { LoadedSecrets } from "../config/load";
import type { HostConfig, StackConfig } from "../config/model";
import type { HostTrust } from "./host-trust";
import { machineTriggers } from "./host-trust";
import type { MachineIdentity, ProxmoxVm } from "./proxmox-vm";

export interface HostDrainArgs {
  readonly stack: StackConfig;
  readonly host: HostConfig;
  readonly identity: MachineIdentity;
  readonly machine: ProxmoxVm;
  readonly trust: HostTrust;
  readonly secrets: LoadedSecrets;
  /** The step after which there is a runner to drain. */
  readonly after: pulumi.Resource;
}

/**
 * Does nothing until it is deleted; then the host takes no new job and lets running ones end.
 *
 * Run from here and not as a remote.Command: that one cannot tell a machine that is gone from one
 * that does not answer, and a host that died could never be removed or replaced. It has no
 * `deletedWith`, which would skip it when the machine goes: that is when it is needed.
 */
export function armDrain(
  args: HostDrainArgs,
  opts: pulumi.CustomResourceOptions,
): pulumi.CustomResource {
  const { stack, host, identity, machine, trust, secrets } = args;
  const { bastion } = host.ssh;
  const question = {
    host: host.name,
    limit: host.runner.drainTimeout,
    vmId: machine.vm.vmId,
    vmName: identity.vmName,
    proxmox: {
      endpoint: stack.proxmox.endpoint,
      insecure: stack.proxmox.insecure,
      apiToken: secrets.proxmoxApiToken,
    },
    ssh: {
      address: machine.address,
      port: 22,
      user: host.ssh.user,
      hostKey: trust.hostKey,
      privateKey: secrets.sshPrivateKey,
      bastion,
    },
  };
  return new local.Command(
    `${host.name}-drain`,
    {
      create: "true",
      update: "true",
      delete: "node components/drain-host.mjs",
      stdin: pulumi.secret(pulumi.jsonStringify(question)),
      triggers: machineTriggers(identity, machine),
      logging: "stderr",
      addPreviousOutputInEnv: false,
    },
    { ...opts, dependsOn: [args.after], deleteBeforeReplace: false },
  );
}
