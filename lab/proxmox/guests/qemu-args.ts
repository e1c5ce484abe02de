/** QEMU's command line for a guest: devices and their names as on Proxmox VE. */

import path from "node:path";

import type { GuestDisk, GuestNic, GuestPlan } from "./guest";

export interface QemuFiles {
  readonly qmp: string;
  readonly agent: string;
  readonly console: string;
}

export interface QemuMachine {
  readonly acceleration: "kvm" | "tcg";
  readonly processors: number;
  /** MiB. */
  readonly memory: number;
}

const MODELS: Readonly<Record<string, string>> = { virtio: "virtio-net-pci" };

/** What the template's kernel is told; its root file system has a label. */
const KERNEL = "root=LABEL=root ro console=ttyS0 quiet net.ifnames=1";

/** Commas part QEMU's options; two of them mean one. */
const escape = (text: string) => text.replaceAll(",", ",,");

function disk(one: GuestDisk): string[] {
  const { slot, file, format, readOnly, discard } = one;
  const [, bus = "", index = ""] = /^(\w+?)(\d+)$/.exec(slot) ?? [];
  const drive = [
    `file=${escape(file)}`,
    `if=none,id=drive-${slot},format=${format},cache=unsafe,detect-zeroes=${discard ? "unmap" : "on"}`,
    ...(discard ? ["discard=on"] : []),
    ...(readOnly ? ["readonly=on"] : []),
  ].join(",");
  const serial = one.serial === undefined ? "" : `,serial=${escape(one.serial)}`;
  switch (bus) {
    case "scsi":
      // One controller a disk (virtio-scsi-single); the disk's own id is what udev makes names of.
      return [
        "-device",
        `virtio-scsi-pci,id=virtioscsi${index}`,
        "-drive",
        drive,
        "-device",
        `scsi-hd,bus=virtioscsi${index}.0,channel=0,scsi-id=0,lun=${index},drive=drive-${slot},id=${slot},device_id=drive-${slot},rotation_rate=1${serial}`,
      ];
    case "virtio":
      return ["-drive", drive, "-device", `virtio-blk-pci,drive=drive-${slot},id=${slot}${serial}`];
    case "sata":
      return [
        "-device",
        `ahci,id=ahci${index}`,
        "-drive",
        drive,
        "-device",
        `ide-hd,bus=ahci${index}.0,drive=drive-${slot},id=${slot}${serial}`,
      ];
    default:
      return [
        "-drive",
        drive,
        "-device",
        `ide-hd,bus=ide.${Math.floor(Number(index) / 2)},unit=${Number(index) % 2},drive=drive-${slot},id=${slot}${serial}`,
      ];
  }
}

function nic(vmid: number, { index, mac, model, mtu }: GuestNic): string[] {
  const hostMtu = mtu !== undefined && model === "virtio" ? `,host_mtu=${mtu}` : "";
  return [
    "-netdev",
    `type=tap,id=net${index},ifname=tap${vmid}i${index},script=no,downscript=no`,
    "-device",
    // The slot that gives the interface the name ens18 on Proxmox VE.
    `${MODELS[model] ?? model},mac=${mac},netdev=net${index},bus=pci.0,addr=0x${(0x12 + index).toString(16)},id=net${index},romfile=${hostMtu}`,
  ];
}

export function qemuArgs(plan: GuestPlan, files: QemuFiles, machine: QemuMachine): string[] {
  const { vmid, name, uuid, template, seed } = plan;
  const [, seedBus = "2"] = /^ide(\d)$/.exec(seed?.slot ?? "") ?? [];
  const kernel = (file: string) => path.join(template, file);
  return [
    "-name",
    `${escape(name)},debug-threads=on`,
    "-nodefaults",
    "-no-user-config",
    "-machine",
    "pc",
    ...(machine.acceleration === "kvm"
      ? ["-accel", "kvm", "-cpu", "host"]
      : ["-accel", "tcg,thread=multi,tb-size=256", "-cpu", "max"]),
    "-smp",
    String(machine.processors),
    "-m",
    String(machine.memory),
    ...(uuid === "" ? [] : ["-smbios", `type=1,uuid=${uuid}`]),
    "-kernel",
    kernel("vmlinuz"),
    "-initrd",
    kernel("initrd.img"),
    "-append",
    KERNEL,
    "-chardev",
    `socket,id=qmp,path=${escape(files.qmp)},server=on,wait=off`,
    "-mon",
    "chardev=qmp,mode=control",
    "-chardev",
    `file,id=serial0,path=${escape(files.console)},append=on`,
    "-device",
    "isa-serial,chardev=serial0",
    ...(plan.agent
      ? [
          "-chardev",
          `socket,path=${escape(files.agent)},server=on,wait=off,id=qga0`,
          "-device",
          "virtio-serial,id=qga0,bus=pci.0,addr=0x8",
          "-device",
          "virtserialport,chardev=qga0,name=org.qemu.guest_agent.0",
        ]
      : []),
    "-device",
    "virtio-rng-pci",
    "-display",
    "none",
    ...(seed === undefined
      ? []
      : [
          "-drive",
          `file=${escape(seed.image)},if=none,id=drive-${seed.slot},media=cdrom,format=raw,readonly=on`,
          "-device",
          `ide-cd,bus=ide.${Math.floor(Number(seedBus) / 2)},unit=${Number(seedBus) % 2},drive=drive-${seed.slot},id=${seed.slot}`,
        ]),
    ...plan.disks.flatMap(disk),
    ...plan.nics.flatMap((one) => nic(vmid, one)),
  ];
}
