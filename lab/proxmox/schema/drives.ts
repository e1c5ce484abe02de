/** Drives of a VM: their properties, names and the way Proxmox prints them. */

import { parseProperties, printProperties, type PropertyValues } from "./check";
import { formatSize, parseSize } from "./formats";
import { choice, flag, integer, number, optional, type Properties, text } from "./types";

const limits = (unit: "iops" | "bps"): Properties => {
  const entries: [string, Properties[string]][] = [];
  for (const direction of ["", "_rd", "_wr"]) {
    const name = `${unit}${direction}`;
    const max = `${name}_max`;
    entries.push([name, optional(integer())]);
    if (unit === "iops") entries.push([max, optional(integer())]);
    entries.push([`${max}_length`, optional(integer({ minimum: 1 }))]);
    if (direction !== "") entries.push([`${name}_length`, { alias: `${max}_length` }]);
  }
  return Object.fromEntries(entries);
};

const speeds: Properties = Object.fromEntries(
  ["mbps", "mbps_max", "mbps_rd", "mbps_rd_max", "mbps_wr", "mbps_wr_max"].map((name) => [
    name,
    optional(number()),
  ]),
);

const common: Properties = {
  file: { ...text({ format: "pve-volume-id-or-qm-path" }), default_key: 1 },
  volume: { alias: "file" },
  aio: optional(choice("native", "threads", "io_uring")),
  backup: optional(flag()),
  cache: optional(choice("none", "writethrough", "writeback", "unsafe", "directsync")),
  detect_zeroes: optional(flag()),
  discard: optional(choice("ignore", "on")),
  format: optional(choice("raw", "qcow", "qed", "qcow2", "vmdk", "cloop")),
  "import-from": optional(text({ format: "pve-volume-id-or-absolute-path" })),
  media: optional(choice("cdrom", "disk")),
  replicate: optional(flag()),
  rerror: optional(choice("ignore", "report", "stop")),
  serial: optional(text({ format: "urlencoded", maxLength: 60 })),
  shared: optional(flag()),
  size: optional(text({ format: "disk-size" })),
  snapshot: optional(flag()),
  werror: optional(choice("enospc", "ignore", "report", "stop")),
  ...limits("iops"),
  ...limits("bps"),
  ...speeds,
};
const ssd = optional(flag());
const wwn = optional(text({ pattern: "(?^:^(0x)[0-9a-fA-F]{16})" }));
const iothread = optional(flag());
const ro = optional(flag());

export const DRIVES = {
  ide: {
    ...common,
    model: optional(text({ format: "urlencoded", maxLength: 120 })),
    ssd,
    wwn,
  },
  sata: { ...common, ssd, wwn },
  scsi: {
    ...common,
    iothread,
    product: optional(text({ pattern: "[A-Za-z0-9\\-_\\s]{,16}" })),
    queues: optional(integer({ minimum: 2 })),
    ro,
    scsiblock: optional(flag()),
    ssd,
    vendor: optional(text({ pattern: "[A-Za-z0-9\\-_\\s]{,8}" })),
    wwn,
  },
  virtio: { ...common, iothread, ro },
  efidisk: {
    file: common.file as Properties[string],
    volume: { alias: "file" },
    efitype: optional(choice("2m", "4m")),
    format: common.format as Properties[string],
    "import-from": common["import-from"] as Properties[string],
    "ms-cert": optional(choice("2011", "2023", "2023w", "2023k")),
    "pre-enrolled-keys": optional(flag()),
    size: common.size as Properties[string],
  },
  tpmstate: {
    file: common.file as Properties[string],
    volume: { alias: "file" },
    format: optional(choice("raw", "qcow2", "vmdk")),
    "import-from": common["import-from"] as Properties[string],
    size: common.size as Properties[string],
    version: optional(choice("v1.2", "v2.0")),
  },
  unused: {
    file: { ...text({ format: "pve-volume-id" }), default_key: 1 },
    volume: { alias: "file" },
  },
} as const satisfies Record<string, Properties>;

/** How many drives of a bus there can be. */
export const DRIVE_COUNTS = {
  ide: 4,
  sata: 6,
  scsi: 31,
  virtio: 16,
  efidisk: 1,
  tpmstate: 1,
  unused: 256,
} as const;
export type Bus = keyof typeof DRIVE_COUNTS;

const NAME = /^(ide|sata|scsi|virtio|efidisk|tpmstate|unused)(\d+)$/;

/** Bus of a drive's name; undefined when it names none. */
export function busOf(name: string): Bus | undefined {
  const [, bus, index] = NAME.exec(name) ?? [];
  if (bus === undefined || Number(index) >= DRIVE_COUNTS[bus as Bus]) return undefined;
  return bus as Bus;
}

/** A drive that is part of the VM, not one that was taken off it. */
export function isDrive(name: string): boolean {
  const bus = busOf(name);
  return bus !== undefined && bus !== "unused";
}

/** The names that a parameter `disk` may have, as the schema counts them. */
export function diskNames(unused: boolean): readonly string[] {
  const names = (bus: Bus, count: number = DRIVE_COUNTS[bus]) =>
    Array.from({ length: count }, (_, index) => `${bus}${index}`);
  return [
    ...names("ide"),
    ...names("scsi"),
    ...names("virtio"),
    ...names("sata"),
    ...names("efidisk"),
    ...names("tpmstate"),
    ...(unused ? names("unused") : []),
  ];
}

export interface Drive extends PropertyValues {
  file: string;
}

export function parseDrive(name: string, value: string): Drive {
  const bus = busOf(name);
  if (bus === undefined) throw new Error(`${name} is no drive`);
  return parseProperties(DRIVES[bus], value, name) as Drive;
}

export function printDrive(name: string, drive: Drive): string {
  const bus = busOf(name);
  if (bus === undefined) throw new Error(`${name} is no drive`);
  const bytes = typeof drive.size === "string" ? parseSize(drive.size) : undefined;
  const sized = bytes === undefined ? drive : { ...drive, size: formatSize(bytes) };
  return printProperties(DRIVES[bus], sized);
}

export const isCdrom = (drive: Drive) => drive.media === "cdrom";

/** The cloud-init drive, made already or asked for. */
export function isCloudInit(drive: Drive): boolean {
  return /(^|:)cloudinit$/.test(drive.file) || /vm-\d+-cloudinit(\.\w+)?$/.test(drive.file);
}
