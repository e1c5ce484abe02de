/** QEMU's command line: what a guest finds of its machine. */

import type { GuestPlan } from "../../../../lab/proxmox/guests/guest";
import { qemuArgs } from "../../../../lab/proxmox/guests/qemu-args";

const plan: GuestPlan = {
  vmid: 101,
  name: "ci-01",
  uuid: "4c53f605-4a9f-4987-b8d0-cdf7713396c5",
  cores: 2,
  memory: 2048,
  agent: true,
  disks: ["scsi0", "scsi2"].map((slot) => ({
    slot,
    file: `/disks/${slot},x`,
    format: "raw",
    serial: undefined,
    readOnly: false,
    discard: true,
  })),
  nics: [
    {
      index: 0,
      mac: "BC:24:11:00:00:01",
      model: "virtio",
      bridge: "vmbr0",
      mtu: undefined,
      linkDown: false,
    },
  ],
  seed: { image: "/disks/seed", slot: "ide2", folder: "" },
  template: "/template",
};
const files = { qmp: "/run/q", agent: "/run/a", console: "/log" };

const line = (acceleration: "kvm" | "tcg", changes: Partial<GuestPlan> = {}) =>
  qemuArgs({ ...plan, ...changes }, files, { acceleration, processors: 2, memory: 1024 }).join(" ");

test("disks have the names that the vendor data looks for, each its own controller", () => {
  for (const index of [0, 2]) {
    expect(line("tcg")).toContain(
      `-device virtio-scsi-pci,id=virtioscsi${index} ` +
        `-drive file=/disks/scsi${index},,x,if=none,id=drive-scsi${index},format=raw`,
    );
    expect(line("tcg")).toContain(
      `drive=drive-scsi${index},id=scsi${index},device_id=drive-scsi${index}`,
    );
  }
});

test("the first network device is where it is on Proxmox VE", () => {
  expect(line("tcg")).toContain("ifname=tap101i0,script=no");
  expect(line("tcg")).toContain(
    "virtio-net-pci,mac=BC:24:11:00:00:01,netdev=net0,bus=pci.0,addr=0x12",
  );
});

test("hardware virtualisation or emulation", () => {
  expect(line("kvm")).toContain("-accel kvm -cpu host");
  expect(line("tcg")).toMatch(/-accel tcg,thread=multi\S* -cpu max/);
  expect(line("tcg")).toContain("-smp 2 -m 1024");
});

test("an agent's port only where there is an agent, a CD only where there is one", () => {
  expect(line("tcg")).toContain("name=org.qemu.guest_agent.0");
  expect(line("tcg", { agent: false })).not.toContain("org.qemu.guest_agent");
  expect(line("tcg")).toContain("ide-cd,bus=ide.1,unit=0,drive=drive-ide2,id=ide2");
  expect(line("tcg", { seed: undefined })).not.toContain("ide-cd");
});
