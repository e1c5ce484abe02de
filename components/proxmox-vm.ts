import * as proxmox from "@muhlba91/pulumi-proxmoxve";
import * as pulumi from "@pulumi/pulumi";
import * as random from "@pulumi/random";

import { firstBootHash, renderVendorData, snippetName } from "../cloud-init/vendor-data";
import type { HostConfig, StackConfig } from "../config/model";
import { markOf } from "./mark";
import type { Template } from "./templates";

/**
 * Seconds on top of the drain limit before Proxmox powers a guest off that does not shut down: more
 * than the guest grants itself (host/units.ts).
 */
const SHUTDOWN_RESERVE = 600;

/** Seconds for each of the requests that only Proxmox itself can make slow. */
const TASK_LIMIT = 1800;

/**
 * What a new machine follows from, and what stays the same for as long as the machine does.
 *
 * The resource is made before anything else of a host, so that its records, its snippet and its VM
 * are all replaced together when one of the reasons for a new machine changes.
 */
export class MachineIdentity {
  /** Four letters or digits, drawn anew for each new machine. */
  readonly generation: pulumi.Output<string>;
  /** Name of the VM and of the guest. */
  readonly vmName: pulumi.Output<string>;

  constructor(stack: StackConfig, host: HostConfig, opts: pulumi.CustomResourceOptions) {
    const generation = new random.RandomString(
      `${host.name}-generation`,
      {
        length: 4,
        special: false,
        upper: false,
        // All that makes a new machine, but the VM id: that is its own trace (machineTriggers).
        keepers: { firstBoot: firstBootHash(host, stack) },
      },
      { ...opts, deleteBeforeReplace: false },
    );
    this.generation = generation.result;
    this.vmName = replacedInPlace(host)
      ? pulumi.output(host.name)
      : pulumi.interpolate`${host.name}-${generation.result}`;
  }
}

/**
 * Whether a replacement has to remove the old machine first: two machines cannot share an address
 * or a VM id.
 */
export function replacedInPlace(host: HostConfig): boolean {
  return host.vm.id !== undefined || host.network.address !== "dhcp";
}

export interface ProxmoxVmArgs {
  readonly stack: StackConfig;
  readonly host: HostConfig;
  readonly template: Template;
  readonly identity: MachineIdentity;
  readonly provider: proxmox.Provider;
  /** The runner's records, which outlive the machine. */
  readonly records: readonly pulumi.Resource[];
  /** VMs that are cloned from the same template before. */
  readonly cloneAfter: readonly pulumi.Resource[];
}

/** A VM cloned from a cloud-init template, and the snippet of its first boot. */
export class ProxmoxVm {
  readonly snippet: proxmox.FileLegacy;
  readonly vm: proxmox.VmLegacy;
  /** IPv4 address at which the machine is reached. */
  readonly address: pulumi.Output<string>;

  constructor(args: ProxmoxVmArgs, opts: pulumi.CustomResourceOptions) {
    const { stack, host, identity } = args;
    const provided = { ...opts, provider: args.provider };

    const snippet = snippetName(host, stack);
    // What first boot needs, and no secret. The file's name changes with its content, so that a
    // replacement never overwrites and then deletes the file that the new machine boots from.
    this.snippet = new proxmox.FileLegacy(
      `${host.name}-vendor-data`,
      {
        nodeName: host.node,
        datastoreId: stack.proxmox.snippets,
        contentType: "snippets",
        sourceRaw: { fileName: snippet, data: renderVendorData(host, stack) },
      },
      // The records go last, and take their managers along.
      { ...provided, dependsOn: [...args.records], deleteBeforeReplace: false },
    );

    const shutdownLimit = host.runner.drainTimeout + SHUTDOWN_RESERVE;
    const disks = [
      disk("scsi0", host.disks.root),
      disk("scsi1", host.disks.docker),
      disk("scsi2", host.disks.cache),
    ];
    this.vm = new proxmox.VmLegacy(
      `${host.name}-vm`,
      {
        nodeName: host.node,
        vmId: host.vm.id,
        name: identity.vmName,
        // Travels in the clone request itself: a machine has its mark from its first moment.
        description: markOf(stack, host),
        tags: [...host.vm.tags],
        poolId: host.vm.pool,
        clone: {
          vmId: args.template.vmId,
          nodeName: args.template.node,
          datastoreId: host.disks.root.datastore,
          full: true,
        },
        cpu: { cores: host.vm.cores, type: host.vm.cpuType },
        // Equal figures keep the balloon device, which reports the guest's memory, and fix its size.
        memory: { dedicated: host.vm.memory, floating: host.vm.memory },
        scsiHardware: "virtio-scsi-single",
        operatingSystem: { type: "l26" },
        agent: {
          enabled: true,
          trim: true,
          // A guest under emulation needs 90 s to its agent. Longer would be paid by each refresh
          // while the agent is absent.
          timeout: "5m",
          // A known address needs no agent.
          waitForIp: host.network.address === "dhcp" ? { ipv4: true } : { disabled: true },
        },
        serialDevices: [{ device: "socket" }],
        vga: { type: "serial0" },
        bootOrders: ["scsi0"],
        tabletDevice: false,
        // Otherwise the provider asks for the node's own drive, which needs Sys.Console on "/".
        cdrom: { fileId: "none" },
        disks,
        networkDevices: [
          {
            bridge: host.network.bridge,
            model: "virtio",
            firewall: host.network.firewall,
            vlanId: host.network.vlan,
            mtu: host.network.mtu,
          },
        ],
        initialization: {
          datastoreId: host.disks.cloudInitDatastore,
          interface: "ide2",
          // First boot does what SSH needs; a package upgrade would hold it up, and end as it likes.
          upgrade: false,
          dns: {
            domain: host.network.searchDomain,
            servers: host.network.dnsServers.length > 0 ? [...host.network.dnsServers] : undefined,
          },
          ipConfigs: [{ ipv4: { address: host.network.address, gateway: host.network.gateway } }],
          userAccount: { username: host.ssh.user, keys: [...host.ssh.authorizedKeys] },
          // A plain string: an output of the file would replace the machine with each snippet.
          vendorDataFileId: `${stack.proxmox.snippets}:snippets/${snippet}`,
        },
        onBoot: host.vm.onBoot,
        protection: host.vm.protection,
        started: true,
        stopOnDestroy: true,
        timeoutClone: TASK_LIMIT,
        timeoutCreate: TASK_LIMIT,
        timeoutMigrate: TASK_LIMIT,
        timeoutStartVm: 600,
        timeoutStopVm: 300,
        // The guest drains in its own shutdown before a change of cores, memory or disks.
        timeoutShutdownVm: shutdownLimit,
        timeoutReboot: shutdownLimit,
      },
      {
        ...provided,
        dependsOn: [this.snippet, ...args.records, ...args.cloneAfter],
        deleteBeforeReplace: replacedInPlace(host),
        // With this, machine and generation are new together, whatever the provider makes of it.
        replacementTrigger: identity.generation,
        // Proxmox would refuse to delete the machine, but only after it was drained.
        protect: host.vm.protection,
        ignoreChanges: [
          // A template that was rebuilt under another id makes no new machine.
          "clone",
          // The provider reads no speed back: https://github.com/bpg/terraform-provider-proxmox
          ...disks.map((_, index) => `disks[${index}].speed`),
        ],
      },
    );
    this.address =
      host.network.address === "dhcp"
        ? pulumi
            .all([this.vm.macAddresses, this.vm.ipv4Addresses, this.vm.networkDevices])
            .apply(([macs, addresses, devices]) =>
              addressOf(host.name, devices?.[0]?.macAddress, macs, addresses),
            )
        : pulumi.output(host.network.address.split("/")[0] as string);
  }
}

function disk(name: string, config: { size: number; datastore: string }) {
  return {
    interface: name,
    datastoreId: config.datastore,
    size: config.size,
    fileFormat: "raw",
    discard: "on",
    iothread: true,
    ssd: true,
  };
}

/**
 * Picks the address of the VM's own network device out of what the guest agent reports.
 *
 * By MAC address and never by position: Docker's bridges come and go in the same lists.
 */
export function addressOf(
  host: string,
  mac: string | undefined,
  macs: readonly string[],
  addresses: readonly (readonly string[])[],
): string {
  const index = macs.findIndex((candidate) => candidate.toLowerCase() === mac?.toLowerCase());
  const address = addresses[index]?.find((candidate) => !candidate.startsWith("169.254."));
  if (address === undefined) {
    throw new pulumi.RunError(
      `${host}: the guest agent reports no IPv4 address for network device ${mac ?? "net0"}. ` +
        "See whether the guest gets an address by DHCP, or give the host a static one.",
    );
  }
  return address;
}
