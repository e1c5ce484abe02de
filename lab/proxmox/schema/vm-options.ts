/** The options of a VM, as `PUT …/config` takes them and the configuration file has them. */

import { parseProperties, printProperties, type PropertyValues } from "./check";
import { DRIVE_COUNTS, DRIVES } from "./drives";
import {
  choice,
  flag,
  integer,
  number,
  optional,
  type Param,
  type Params,
  type Properties,
  text,
} from "./types";

const NIC_MODELS = [
  "e1000",
  "e1000-82540em",
  "e1000-82544gc",
  "e1000-82545em",
  "e1000e",
  "i82551",
  "i82557b",
  "i82559er",
  "ne2k_isa",
  "ne2k_pci",
  "pcnet",
  "rtl8139",
  "virtio",
  "vmxnet3",
] as const;

const RANGES = "(?^:\\d+(?:-\\d+)?(?:;\\d+(?:-\\d+)?)*)";

export const NET: Properties = {
  model: { ...choice(...NIC_MODELS), default_key: 1 },
  ...Object.fromEntries(
    NIC_MODELS.map((model) => [model, { alias: "macaddr", keyAlias: "model" }]),
  ),
  bridge: optional(text({ format: "pve-bridge-id" })),
  firewall: optional(flag()),
  link_down: optional(flag()),
  macaddr: optional(text({ format: "mac-addr" })),
  mtu: optional(integer({ minimum: 1, maximum: 65520 })),
  queues: optional(integer({ minimum: 0, maximum: 64 })),
  rate: optional(number({ minimum: 0 })),
  tag: optional(integer({ minimum: 1, maximum: 4094 })),
  trunks: optional(text({ pattern: RANGES })),
};

const AGENT: Properties = {
  enabled: { ...flag(), default_key: 1 },
  "freeze-fs": optional(flag()),
  "freeze-fs-on-backup": { alias: "freeze-fs" },
  "guest-fsfreeze": { alias: "freeze-fs" },
  fstrim_cloned_disks: optional(flag()),
  type: optional(choice("virtio", "isa")),
};

const MACHINE: Properties = {
  type: {
    ...optional(
      text({
        pattern:
          "(pc|pc(-i440fx)?-\\d+(\\.\\d+)+(\\+pve\\d+)?(\\.pxe)?|q35|pc-q35-\\d+(\\.\\d+)+(\\+pve\\d+)?(\\.pxe)?|virt(?:-\\d+(\\.\\d+)+)?(\\+pve\\d+)?)",
        maxLength: 40,
      }),
    ),
    default_key: 1,
  },
  "aw-bits": optional(number({ minimum: 32, maximum: 64 })),
  "enable-s3": optional(flag()),
  "enable-s4": optional(flag()),
  viommu: optional(choice("intel", "virtio")),
};

const VGA: Properties = {
  type: {
    ...optional(
      choice(
        "cirrus",
        "qxl",
        "qxl2",
        "qxl3",
        "qxl4",
        "none",
        "serial0",
        "serial1",
        "serial2",
        "serial3",
        "std",
        "virtio",
        "virtio-gl",
        "vmware",
      ),
    ),
    default_key: 1,
  },
  clipboard: optional(choice("vnc")),
  memory: optional(integer({ minimum: 4, maximum: 512 })),
};

const MEMORY: Properties = { current: { ...integer({ minimum: 16 }), default_key: 1 } };

const KEYBOARDS =
  "de de-ch da en-gb en-us es fi fr fr-be fr-ca fr-ch hu is it ja lt mk nl no pl pt pt-br sv sl tr".split(
    " ",
  );

/** By name; an option that a VM can have several of is written `name[n]`. */
const SINGLE: Params = {
  acpi: flag(),
  affinity: text({ format: "pve-cpuset" }),
  agent: text({ format: AGENT }),
  "allow-ksm": flag(),
  "amd-sev": text({ format: "pve-qemu-sev-fmt" }),
  arch: choice("x86_64", "aarch64"),
  args: text(),
  audio0: text({
    format: {
      device: choice("ich9-intel-hda", "intel-hda", "AC97"),
      driver: optional(choice("spice", "none")),
    },
  }),
  autostart: flag(),
  balloon: integer({ minimum: 0 }),
  bios: choice("seabios", "ovmf"),
  boot: text({ format: "pve-qm-boot" }),
  bootdisk: text({ format: "pve-qm-bootdisk", pattern: "(ide|sata|scsi|virtio)\\d+" }),
  cdrom: text({ format: "pve-qm-ide" }),
  cicustom: text({ format: "pve-qm-cicustom" }),
  cipassword: text(),
  citype: choice("configdrive2", "nocloud", "opennebula"),
  ciupgrade: flag(),
  ciuser: text(),
  cores: integer({ minimum: 1 }),
  cpu: text({ format: "pve-vm-cpu-conf" }),
  cpulimit: number({ minimum: 0, maximum: 128 }),
  cpuunits: integer({ minimum: 1, maximum: 262144 }),
  description: text({ maxLength: 8192 }),
  efidisk0: text({ format: DRIVES.efidisk }),
  freeze: flag(),
  hookscript: text({ format: "pve-volume-id" }),
  hotplug: text({ format: "pve-hotplug-features" }),
  hugepages: choice("any", "2", "1024"),
  "intel-tdx": text({ format: "pve-qemu-tdx-fmt" }),
  ivshmem: text({
    format: {
      name: optional(text({ pattern: "[a-zA-Z0-9\\-]+" })),
      size: integer({ minimum: 1 }),
    },
  }),
  keephugepages: flag(),
  keyboard: { type: "string", enum: KEYBOARDS },
  kvm: flag(),
  localtime: flag(),
  lock: choice(
    "backup",
    "clone",
    "create",
    "migrate",
    "rollback",
    "snapshot",
    "snapshot-delete",
    "suspending",
    "suspended",
  ),
  machine: text({ format: MACHINE }),
  memory: text({ format: MEMORY }),
  migrate_downtime: number({ minimum: 0 }),
  migrate_speed: integer({ minimum: 0 }),
  name: text({ format: "dns-name" }),
  nameserver: text({ format: "address-list" }),
  numa: flag(),
  onboot: flag(),
  ostype: choice(
    "other",
    "wxp",
    "w2k",
    "w2k3",
    "w2k8",
    "wvista",
    "win7",
    "win8",
    "win10",
    "win11",
    "l24",
    "l26",
    "solaris",
  ),
  protection: flag(),
  reboot: flag(),
  rng0: text({ format: "pve-qm-rng" }),
  scsihw: choice("lsi", "lsi53c810", "virtio-scsi-pci", "virtio-scsi-single", "megasas", "pvscsi"),
  searchdomain: text(),
  shares: integer({ minimum: 0, maximum: 50000 }),
  smbios1: text({ format: "pve-qm-smbios1", maxLength: 512 }),
  smp: integer({ minimum: 1 }),
  sockets: integer({ minimum: 1 }),
  spice_enhancements: text({
    format: {
      foldersharing: optional(flag()),
      videostreaming: optional(choice("off", "all", "filter")),
    },
  }),
  sshkeys: text({ format: "urlencoded" }),
  startdate: text({ pattern: "(now|\\d{4}-\\d{1,2}-\\d{1,2}(T\\d{1,2}:\\d{1,2}:\\d{1,2})?)" }),
  startup: text({ format: "pve-startup-order" }),
  tablet: flag(),
  tags: text({ format: "pve-tag-list" }),
  tdf: flag(),
  template: flag(),
  tpmstate0: text({ format: DRIVES.tpmstate }),
  vcpus: integer({ minimum: 1 }),
  vga: text({ format: VGA }),
  vmgenid: text({
    pattern: "(?:[a-fA-F0-9]{8}(?:-[a-fA-F0-9]{4}){3}-[a-fA-F0-9]{12}|[01])",
  }),
  vmstatestorage: text({ format: "pve-storage-id" }),
  watchdog: text({ format: "pve-qm-watchdog" }),
};

/** Options that come in numbers: how many, and what each is. */
export const INDEXED: Readonly<Record<string, readonly [number, Param]>> = {
  hostpci: [16, text({ format: "pve-qm-hostpci" })],
  ide: [DRIVE_COUNTS.ide, text({ format: DRIVES.ide })],
  ipconfig: [32, text({ format: "pve-qm-ipconfig" })],
  net: [32, text({ format: NET })],
  numa: [
    8,
    text({
      format: {
        cpus: text({ pattern: RANGES }),
        hostnodes: optional(text({ pattern: RANGES })),
        memory: optional(number()),
        policy: optional(choice("preferred", "bind", "interleave")),
      },
    }),
  ],
  parallel: [3, text({ pattern: "/dev/parport\\d+|/dev/usb/lp\\d+" })],
  sata: [DRIVE_COUNTS.sata, text({ format: DRIVES.sata })],
  scsi: [DRIVE_COUNTS.scsi, text({ format: DRIVES.scsi })],
  serial: [4, text({ pattern: "(/dev/.+|socket)" })],
  unused: [DRIVE_COUNTS.unused, text({ format: DRIVES.unused })],
  usb: [
    14,
    text({
      format: {
        host: {
          ...optional(
            text({
              pattern:
                "(?^:(?:(?:(?^:(0x)?([0-9A-Fa-f]{4}):(0x)?([0-9A-Fa-f]{4})))|(?:(?^:(\\d+)\\-(\\d+(\\.\\d+)*)))|[Ss][Pp][Ii][Cc][Ee]))",
            }),
          ),
          default_key: 1,
        },
        mapping: optional(text({ format: "pve-configid" })),
        usb3: optional(flag()),
      },
    }),
  ],
  virtio: [DRIVE_COUNTS.virtio, text({ format: DRIVES.virtio })],
  virtiofs: [
    10,
    text({
      format: {
        dirid: { ...text({ format: "pve-configid" }), default_key: 1 },
        cache: optional(choice("auto", "always", "metadata", "never")),
        "direct-io": optional(flag()),
        "expose-acl": optional(flag()),
        "expose-xattr": optional(flag()),
      },
    }),
  ],
};

/** Every option by its name, all of them optional. */
export const VM_OPTIONS: Params = Object.fromEntries([
  ...Object.entries(SINGLE).map(([name, param]) => [name, optional(param)]),
  ...Object.entries(INDEXED).flatMap(([name, [count, param]]) =>
    Array.from({ length: count }, (_, index) => [`${name}${index}`, optional(param)]),
  ),
]) as Params;

export interface Nic extends PropertyValues {
  model: string;
}

export const parseNic = (name: string, value: string) => parseProperties(NET, value, name) as Nic;

/** `virtio=BC:24:11:…,bridge=vmbr0`: the model carries the address. */
export function printNic({ model, macaddr, ...rest }: Nic): string {
  const first = macaddr === undefined ? model : `${model}=${String(macaddr).toUpperCase()}`;
  const others = printProperties(NET, rest);
  return others === "" ? first : `${first},${others}`;
}

export const agentEnabled = (value: string | undefined) =>
  value !== undefined && parseProperties(AGENT, value, "agent").enabled === true;
