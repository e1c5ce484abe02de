import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";

import { parse } from "yaml";

import { renderVendorData } from "../../../cloud-init/vendor-data";
import { HOST, STACK } from "../host/fixture";

const text = renderVendorData(HOST, STACK);
const data = parse(text);
const hasCloudInit = spawnSync("cloud-init", ["--version"]).status === 0;

it("is cloud-config", () => {
  expect(text.startsWith("#cloud-config\n")).toBe(true);
});

it("leaves to the user data of Proxmox what stands there", () => {
  const theirs = ["users", "hostname", "fqdn", "ssh_authorized_keys", "password", "chpasswd"];
  for (const key of [...theirs, "packages", "package_update", "package_upgrade"]) {
    expect(data).not.toHaveProperty(key);
  }
});

it("keeps the host keys when cloud-init runs again", () => {
  expect(data.ssh_deletekeys).toBe(false);
});

it("makes file systems only on empty disks, and mounts them by id", () => {
  const disk = (n: number) => `/dev/disk/by-id/scsi-0QEMU_QEMU_HARDDISK_drive-scsi${n}`;
  expect(data.fs_setup).toEqual([
    { label: "docker", filesystem: "ext4", device: disk(1), partition: "auto", overwrite: false },
    { label: "cache", filesystem: "ext4", device: disk(2), partition: "auto", overwrite: false },
  ]);
  expect(data.mounts.map((mount: string[]) => mount.slice(0, 3))).toEqual([
    [disk(1), "/var/lib/docker", "ext4"],
    [disk(2), "/cache", "ext4"],
  ]);
});

it("boots without a data disk, and grows one that grew", () => {
  for (const mount of data.mounts) {
    expect(mount[3].split(",")).toEqual(expect.arrayContaining(["nofail", "x-systemd.growfs"]));
  }
});

it("holds nothing but what the first boot needs, so that other changes keep the machine", () => {
  const changed = renderVendorData(
    {
      ...HOST,
      runner: { ...HOST.runner, version: "19.9.0" },
      docker: { ...HOST.docker, version: undefined },
      profiles: [],
      packages: { proxy: "http://proxy.example.org:3128" },
    },
    { ...STACK, caCertificates: undefined, gitlab: { url: "https://other.example.org" } },
  );
  expect(changed).toBe(text);
});

(hasCloudInit ? it : it.skip)("passes cloud-init's own schema", () => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "vendor-data-"));
  try {
    const file = path.join(folder, "vendor-data.yaml");
    fs.writeFileSync(file, text);
    const check = spawnSync("cloud-init", ["schema", "--config-file", file], { encoding: "utf8" });
    expect(check.stdout + check.stderr).toContain("Valid");
    expect(check.status).toBe(0);
  } finally {
    fs.rmSync(folder, { recursive: true });
  }
});
