/** Pools, nodes, tasks, uploads and high availability in the API. */

import { readFileSync } from "node:fs";

import { Tasks } from "../../../../lab/proxmox/tasks/tasks";
import { Lab } from "./harness";

let lab: Lab;
beforeAll(async () => {
  lab = await Lab.start();
  await lab.clone(101);
});
afterAll(() => lab.close());

describe("pools", () => {
  test("list their members", async () => {
    expect((await lab.call("GET", "/pools")).data).toEqual([{ poolid: "ci" }]);
    const { data } = await lab.call("GET", "/pools", { poolid: "ci" });
    expect(data).toMatchObject([
      { poolid: "ci", members: [{ id: "qemu/101", node: "pve1", type: "qemu", vmid: 101 }] },
    ]);
  });

  test("are made, filled, emptied and removed", async () => {
    expect((await lab.call("POST", "/pools", { poolid: "two", comment: "x" })).status).toBe(200);
    expect((await lab.call("POST", "/pools", { poolid: "two" })).reason).toBe(
      "pool 'two' already exists",
    );
    expect((await lab.call("PUT", "/pools", { poolid: "two", vms: "101" })).reason).toBe(
      "VM 101 belongs already to pool 'ci' and 'allow-move' is not set",
    );
    await lab.call("PUT", "/pools", { poolid: "ci", vms: "101", delete: 1 });
    await lab.call("PUT", "/pools", { poolid: "two", vms: "101" });
    expect((await lab.call("DELETE", "/pools", { poolid: "two" })).reason).toBe(
      "pool 'two' is not empty",
    );
    await lab.call("PUT", "/pools", { poolid: "ci", vms: "101", "allow-move": 1 });
    expect((await lab.call("DELETE", "/pools", { poolid: "two" })).status).toBe(200);
  });

  test("outlive the server", async () => {
    await lab.restart();
    expect((await lab.call("GET", "/cluster/resources", { type: "vm" })).data).toContainEqual(
      expect.objectContaining({ vmid: 101, pool: "ci", id: "qemu/101", type: "qemu" }),
    );
  });
});

describe("nodes", () => {
  test("have one bridge, with the node's own address", async () => {
    expect((await lab.call("GET", "/nodes/pve2/network")).data).toMatchObject([
      { iface: "vmbr0", type: "bridge", address: "127.0.0.2", gateway: "10.0.0.1" },
    ]);
  });

  test("take over a VM with its local disks", async () => {
    await lab.clone(104);
    const before = (await lab.config(104)).scsi0;
    const end = await lab.task("POST", "/nodes/pve1/qemu/104/migrate", {
      target: "pve2",
      "with-local-disks": 1,
      targetstorage: "thin",
    });
    expect(end).toBe("OK");
    const { data } = await lab.call("GET", "/nodes/pve2/qemu/104/config");
    expect(data).toMatchObject({ scsi0: before });
    const { storages } = lab.proxmox.world;
    expect(storages.exists("pve2", "thin:vm-104-disk-0")).toBe(true);
    expect(storages.exists("pve1", "thin:vm-104-disk-0")).toBe(false);
  });

  test("refuse a clone that would cross over with local disks", async () => {
    const form = { newid: 105, target: "pve2", full: 1 };
    expect((await lab.call("POST", "/nodes/pve1/qemu/9000/clone", form)).reason).toBe(
      "can't clone VM to node 'pve2' (VM uses local storage)",
    );
  });
});

describe("tasks", () => {
  test("tell what they did", async () => {
    const { data: upid } = await lab.call("POST", "/nodes/pve1/qemu/9000/clone", { newid: 106 });
    const target = `/nodes/pve1/tasks/${encodeURIComponent(upid as string)}`;
    await lab.proxmox.world.tasks.ended(upid as string);
    expect((await lab.call("GET", `${target}/status`)).data).toMatchObject({
      status: "stopped",
      exitstatus: "OK",
      type: "qmclone",
      id: "9000",
      node: "pve1",
    });
    const lines = (await lab.call("GET", `${target}/log`)).data as { n: number; t: string }[];
    expect(lines[0]).toEqual({
      n: 1,
      t: "create full clone of drive scsi0 (thin:base-9000-disk-0)",
    });
    expect(lines.at(-1)?.t).toBe("TASK OK");
  });

  test("that ran when the server died end with an unexpected status", () => {
    const { tasks } = lab.proxmox.world;
    const what = { node: "pve1", type: "qmstart", id: "101", user: "root@pam" };
    const upid = tasks.start(
      what,
      ({ signal }) => new Promise((resolve) => signal.addEventListener("abort", () => resolve())),
    );
    expect(tasks.status(upid)).toMatchObject({ status: "running" });
    expect(new Tasks(lab.file("state")).status(upid)).toMatchObject({
      status: "stopped",
      exitstatus: "unexpected status",
    });
  });

  test("with warnings say how many", async () => {
    const { tasks } = lab.proxmox.world;
    const what = { node: "pve1", type: "qmstart", id: "101", user: "root@pam" };
    const upid = tasks.start(what, (context) => {
      context.warn("it is warm");
      return Promise.resolve();
    });
    await tasks.ended(upid);
    expect(tasks.status(upid)).toMatchObject({ exitstatus: "WARNINGS: 1" });
  });

  test("that nobody ever started", async () => {
    const upid = encodeURIComponent("UPID:pve1:00000B0B:00032374:6B04E05A:resize:101:root@pam:");
    expect((await lab.call("GET", `/nodes/pve1/tasks/${upid}/status`)).reason).toBe("no such task");
    expect((await lab.call("GET", "/nodes/pve1/tasks/nonsense/status")).errors).toEqual({
      upid: "unable to parse worker upid",
    });
  });
});

describe("uploads", () => {
  const upload = (fields: Readonly<Record<string, string>>, content: string) => {
    const parts = Object.entries(fields).map(
      ([name, value]) =>
        `--xx\r\ncontent-disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`,
    );
    const file =
      `--xx\r\ncontent-disposition: form-data; name="filename"; filename="disk.iso"\r\n` +
      `content-type: application/octet-stream\r\n\r\n${content}\r\n--xx--\r\n`;
    const token = readFileSync(lab.file("admin"), "utf8").trim();
    return lab.send(
      "POST",
      "/nodes/pve1/storage/lab/upload",
      {
        "content-type": "multipart/form-data; boundary=xx",
        authorization: `PVEAPIToken=${token}`,
      },
      parts.join("") + file,
    );
  };

  test("land in their storage", async () => {
    const { data } = await upload({ content: "iso" }, "an image");
    await lab.proxmox.world.tasks.ended(data as string);
    expect(readFileSync(lab.file("lab/template/iso/disk.iso"), "utf8")).toBe("an image");
  });

  test("are no snippets", async () => {
    const { status, errors } = await upload({ content: "snippets" }, "x");
    expect(status).toBe(400);
    expect(errors).toHaveProperty("content");
  });

  test("with a wrong sum are not kept", async () => {
    const { data } = await upload(
      { content: "iso", checksum: "00", "checksum-algorithm": "sha256" },
      "other",
    );
    const { tasks } = lab.proxmox.world;
    await tasks.ended(data as string);
    expect(tasks.status(data as string)?.exitstatus).toMatch(/^checksum mismatch/);
    expect(readFileSync(lab.file("lab/template/iso/disk.iso"), "utf8")).toBe("an image");
  });
});

test("high availability keeps a VM from being removed by accident", async () => {
  await lab.call("POST", "/cluster/ha/resources", { sid: "vm:101", max_restart: 2 });
  expect((await lab.call("GET", "/cluster/ha/resources/vm:101")).data).toMatchObject({
    sid: "vm:101",
    type: "vm",
    state: "started",
    max_restart: 2,
  });
  expect((await lab.call("DELETE", "/nodes/pve1/qemu/101")).reason).toMatch(
    /^unable to remove VM 101 - used in HA resources/,
  );
  expect((await lab.call("GET", "/nodes/pve1/qemu/101/status/current")).data).toMatchObject({
    ha: { managed: 1 },
  });
  await lab.call("DELETE", "/cluster/ha/resources/vm:101");
  expect((await lab.call("GET", "/cluster/ha/resources/vm:101")).reason).toBe(
    "no such resource 'vm:101'",
  );
});
