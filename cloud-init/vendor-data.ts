import { createHash } from "node:crypto";

import { stringify } from "yaml";

import { HostConfig, StackConfig } from "../config/model";

/** A disk of its own beside the root disk, and where the guest finds it. */
interface DataDisk {
  /** Label of its file system. */
  readonly label: string;
  /** Number of the SCSI device, which QEMU puts into its serial. */
  readonly scsi: number;
  readonly mountPoint: string;
}

const DATA_DISKS: readonly DataDisk[] = [
  { label: "docker", scsi: 1, mountPoint: "/var/lib/docker" },
  { label: "cache", scsi: 2, mountPoint: "/cache" },
];

/** Grown at each mount; a disk that is missing must not keep SSH from coming up. */
const MOUNT_OPTIONS = "defaults,noatime,nofail,x-systemd.growfs,x-systemd.device-timeout=60s";

const AGENT_PORT = "/dev/virtio-ports/org.qemu.guest_agent.0";

/**
 * The vendor data of a host: what its first boot does besides the user, keys, name and addresses,
 * which stand in the user data that Proxmox makes.
 *
 * It holds only what SSH and the disks need. Everything that can change later is done by the steps,
 * because a change here means a new machine. No secret may ever stand in it.
 */
export function renderVendorData(host: HostConfig, stack: StackConfig): string {
  const data = {
    // A changed name or address makes cloud-init run again: the host keys must outlive that.
    ssh_deletekeys: false,
    // The one that every client knows, and the only one whose making costs no time.
    ssh_genkeytypes: ["ed25519"],
    growpart: { mode: "auto", devices: ["/"] },
    resize_rootfs: true,
    // "auto" takes an empty disk, or one that has this file system already; a disk with anything
    // else on it is left alone. (With "none", cloud-init would format at every run.)
    fs_setup: DATA_DISKS.map(({ label, scsi }) => ({
      label,
      filesystem: "ext4",
      device: byId(scsi),
      partition: "auto",
      overwrite: false,
    })),
    // By id, not by label: cloud-init 22 ignores labels, and udev may not know a new one yet.
    mounts: DATA_DISKS.map(({ scsi, mountPoint }) => [
      byId(scsi),
      mountPoint,
      "ext4",
      MOUNT_OPTIONS,
      "0",
      "2",
    ]),
    // udev starts the agent with its port; this also serves templates that have it disabled.
    runcmd: [["sh", "-c", `test ! -e ${AGENT_PORT} || systemctl start qemu-guest-agent.service`]],
  };
  const mark = `${stack.project}/${stack.stack}/${host.name}`;
  return `#cloud-config\n# First boot of ${mark}.\n${stringify(data, { lineWidth: 100 })}`;
}

/**
 * What a first boot follows from, in eight characters: its vendor data, and where that lies.
 *
 * The place counts because a storage may be shared by nodes: a file that moved to another node under
 * the same name would be written, and then deleted with the old one.
 */
export function firstBootHash(host: HostConfig, stack: StackConfig): string {
  const parts = [renderVendorData(host, stack), host.node, stack.proxmox.snippets];
  return createHash("sha256").update(parts.join("\n")).digest("hex").slice(0, 8);
}

/** File name of the snippet on the node; new for each first boot that differs. */
export function snippetName(host: HostConfig, stack: StackConfig): string {
  return `${stack.project}-${stack.stack}-${host.name}-${firstBootHash(host, stack)}.yaml`;
}

function byId(scsi: number): string {
  return `/dev/disk/by-id/scsi-0QEMU_QEMU_HARDDISK_drive-scsi${scsi}`;
}
