import { local, types } from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";

import type { LoadedSecrets } from "../config/load";
import type { HostConfig, StackConfig } from "../config/model";
import type { MachineIdentity, ProxmoxVm } from "./proxmox-vm";

/** Seconds that a machine may take from its start until its host key can be read. */
const BOOT_LIMIT = 900;

export interface HostTrustArgs {
  readonly stack: StackConfig;
  readonly host: HostConfig;
  readonly identity: MachineIdentity;
  readonly machine: ProxmoxVm;
  readonly secrets: LoadedSecrets;
}

/**
 * The guest's SSH host key, known before the first connection is made.
 *
 * Read by the guest agent through the Proxmox API, whose TLS vouches for it; or given in the
 * stack; or, only where the stack says so, taken from the network at the first contact.
 */
export class HostTrust {
  readonly hostKey: pulumi.Output<string>;

  constructor(args: HostTrustArgs, opts: pulumi.CustomResourceOptions) {
    const { stack, host, machine } = args;
    const { trust } = host.ssh;
    if (trust.mode === "key") {
      this.hostKey = pulumi.output(trust.hostKey);
      return;
    }
    const question =
      trust.mode === "agent"
        ? {
            source: "agent",
            proxmox: {
              endpoint: stack.proxmox.endpoint,
              insecure: stack.proxmox.insecure,
              apiToken: args.secrets.proxmoxApiToken,
            },
            node: host.node,
            vmId: machine.vm.vmId,
          }
        : { source: "network", address: machine.address };
    const command = new local.Command(
      `${host.name}-trust`,
      {
        create: "node components/read-host-key.mjs",
        stdin: pulumi.secret(
          pulumi.jsonStringify({ host: host.name, limit: BOOT_LIMIT, ...question }),
        ),
        triggers: machineTriggers(args.identity, machine),
        logging: "stderr",
        addPreviousOutputInEnv: false,
      },
      { ...opts, deleteBeforeReplace: false },
    );
    this.hostKey = command.stdout;
  }
}

/** What `triggers` stand for everywhere: the identity of the machine. */
export function machineTriggers(
  identity: MachineIdentity,
  machine: ProxmoxVm,
): pulumi.Input<unknown>[] {
  return [identity.generation, machine.vm.id];
}

/** How the steps reach a host: its key is known, the address is the machine's own. */
export function connectionTo(
  host: HostConfig,
  machine: ProxmoxVm,
  trust: HostTrust,
  secrets: LoadedSecrets,
): types.input.remote.ConnectionArgs {
  const { bastion } = host.ssh;
  return {
    host: machine.address,
    user: host.ssh.user,
    privateKey: secrets.sshPrivateKey,
    hostKey: trust.hostKey,
    // About five minutes of refused connections: a guest that reboots comes back in less.
    dialErrorLimit: 60,
    perDialTimeout: 15,
    proxy: bastion && {
      host: bastion.host,
      port: bastion.port,
      user: bastion.user,
      hostKey: bastion.hostKey,
      privateKey: secrets.sshPrivateKey,
      dialErrorLimit: 10,
      perDialTimeout: 15,
    },
  };
}
