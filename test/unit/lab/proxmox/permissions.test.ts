/** Who may do what: with the program's rights, and with fewer. */

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";

import { Access, type Caller } from "../../../../lab/proxmox/access/access";
import { parseConfig } from "../../../../lab/proxmox/config";
import { METHODS } from "../../../../lab/proxmox/routes/all";
import { Lab } from "./harness";

let lab: Lab;
beforeAll(async () => {
  lab = await Lab.start();
  await lab.clone(101, "runner");
});
afterAll(() => lab.close());

const VM = "/nodes/pve1/qemu/101";

describe("a caller", () => {
  test.each([
    ["nobody", {}, 401, "No ticket"],
    ["a stranger", { authorization: "PVEAPIToken=x@pve!y=z" }, 401, "no such user ('x@pve')"],
    [
      "a token that is not there",
      { authorization: "PVEAPIToken=pulumi@pve!other=z" },
      401,
      "no such token 'other' for user 'pulumi@pve'",
    ],
    [
      "a wrong secret",
      { authorization: "PVEAPIToken=pulumi@pve!runners=11111111-2222-3333-4444-555555555555" },
      401,
      "invalid token value!",
    ],
  ])("%s", async (_who, headers, status, reason) => {
    const answer = await lab.send("GET", "/version", headers as unknown as Record<string, string>);
    expect(answer).toMatchObject({ status, reason, data: null });
  });

  test("is asked before a path is looked at", async () => {
    expect((await lab.send("GET", "/nonsense", {})).status).toBe(401);
  });

  test("waits for a refusal", async () => {
    const slow = await Lab.start({ authenticationDelay: 0.3 });
    const started = Date.now();
    await slow.send("GET", "/version", {});
    expect(Date.now() - started).toBeGreaterThanOrEqual(290);
    await slow.close();
  });

  test("with a password is refused: there are none", async () => {
    const answer = await lab.send(
      "POST",
      "/access/ticket",
      { "content-type": "application/x-www-form-urlencoded" },
      "username=root%40pam&password=x",
    );
    expect(answer).toMatchObject({ status: 401, reason: "authentication failure" });
  });
});

describe("the program's token", () => {
  const as = (verb: string, path: string, form = {}) => lab.call(verb, path, form, "runner");

  test("can do what a runner host takes", async () => {
    const answers = [
      await as("GET", "/nodes"),
      await as("GET", "/nodes/pve1/qemu"),
      await as("GET", "/storage/lab"),
      await as("GET", "/nodes/pve1/storage/lab/content", { content: "snippets" }),
      await as("GET", "/cluster/nextid"),
      await as("PUT", `${VM}/config`, { delete: "ide2,net1" }),
      await as("PUT", `${VM}/config`, {
        cores: 2,
        memory: 2048,
        balloon: 2048,
        net0: "model=virtio,bridge=vmbr0",
        scsi1: "file=thin:1,format=raw",
        ide2: "file=thin:cloudinit,",
        ide3: "file=none,media=cdrom",
        ciuser: "ops",
        ipconfig0: "ip=dhcp",
        serial0: "socket",
        vga: "memory=16,type=serial0",
        onboot: 1,
        tags: "ci",
      }),
      await as("GET", `${VM}/config`),
      await as("GET", "/cluster/resources", { type: "vm" }),
      await as("GET", "/pools"),
      await as("PUT", `${VM}/firewall/options`, { enable: 1 }),
      await as("GET", "/nodes/pve1/storage/thin/content/thin:vm-101-disk-0"),
    ];
    expect(answers.map(({ status, reason }) => `${status} ${reason}`)).toEqual(
      answers.map(() => "200 OK"),
    );
  });

  test.each([
    [
      "GET",
      "/nodes/pve1/qemu/9000/agent/file-read?file=/x",
      {},
      "/vms/9000, VM.GuestAgent.FileRead|VM.GuestAgent.Unrestricted",
    ],
    [
      "PUT",
      "/nodes/pve1/qemu/9000/config",
      { cores: 2 },
      /^Permission check failed \(\/vms\/9000, VM\.Config\.Disk\|/,
    ],
    ["DELETE", "/nodes/pve1/qemu/9000", {}, "/vms/9000, VM.Allocate"],
    ["POST", `${VM}/clone`, { newid: 200 }, "/vms/101, VM.Clone"],
    ["POST", "/nodes/pve1/qemu/9000/clone", { newid: 200 }, /^Permission check failed$/],
    [
      "POST",
      "/nodes/pve1/qemu/9000/clone",
      { newid: 200, pool: "other" },
      /^Permission check failed$/,
    ],
    [
      "POST",
      "/nodes/pve1/qemu/9000/clone",
      { newid: 200, pool: "ci", storage: "lab" },
      "/storage/lab, Datastore.AllocateSpace",
    ],
    ["POST", `${VM}/migrate`, { target: "pve2" }, "/vms/101, VM.Migrate"],
    ["POST", `${VM}/agent/exec`, { command: "id" }, "/vms/101, VM.GuestAgent.Unrestricted"],
    ["PUT", `${VM}/config`, { ide3: "file=cdrom,media=cdrom" }, "/, Sys.Console"],
    ["PUT", `${VM}/config`, { startup: "order=1" }, "/, Sys.Modify"],
    [
      "PUT",
      `${VM}/config`,
      { net0: "model=virtio,bridge=vmbr1" },
      "/sdn/zones/localnetwork/vmbr1, SDN.Use",
    ],
    ["PUT", `${VM}/config`, { scsi2: "lab:1" }, "/storage/lab, Datastore.AllocateSpace"],
    ["PUT", `${VM}/config`, { scsi2: "thin:base-9000-disk-0" }, "/vms/9000, VM.Config.Disk"],
    ["GET", "/storage/thin", {}, "/storage/thin, Datastore.Allocate"],
    ["POST", "/pools", { poolid: "mine" }, "/pool/mine, Pool.Allocate"],
    ["GET", "/cluster/firewall/options", {}, "/, Sys.Audit"],
    ["POST", "/cluster/ha/resources", { sid: "vm:101" }, "/, Sys.Console"],
    [
      "POST",
      "/nodes/pve1/storage/lab/upload",
      { content: "iso", filename: "x.iso" },
      "/storage/lab, Datastore.AllocateTemplate",
    ],
  ])("%s %s %j is refused", async (verb, path, form, expected) => {
    const { status, reason } = await as(verb, path, form);
    expect(status).toBe(403);
    if (typeof expected === "string") expect(reason).toBe(`Permission check failed (${expected})`);
    else expect(reason).toMatch(expected);
  });

  test("may set no argument of QEMU's", async () => {
    expect(await as("PUT", `${VM}/config`, { args: "-snapshot" })).toMatchObject({
      status: 500,
      reason: "only root can set 'args' config",
    });
  });

  test("sees its own rights, which doctor compares", async () => {
    const { data } = await as("GET", "/access/permissions");
    expect(Object.keys(data as object)).toEqual([
      "/pool/ci",
      "/sdn/zones/localnetwork/vmbr0",
      "/storage/lab",
      "/storage/thin",
      "/vms/101",
      "/vms/9000",
    ]);
    expect(data).toMatchObject({
      "/storage/lab": { "Datastore.Allocate": 1, "Datastore.Audit": 1 },
    });
    const other = await as("GET", "/access/permissions", { userid: "root@pam" });
    expect(other.reason).toBe("Permission check failed (/access, Sys.Audit)");
  });

  test("sees its own tasks and not those of others", async () => {
    const { data: own } = await as("PUT", `${VM}/resize`, { disk: "scsi0", size: "4G" });
    expect(
      (await as("GET", `/nodes/pve1/tasks/${encodeURIComponent(own as string)}/status`)).data,
    ).toMatchObject({
      user: "pulumi@pve",
      tokenid: "runners",
      type: "resize",
    });
    const { data: other } = await lab.call("PUT", `${VM}/resize`, { disk: "scsi0", size: "5G" });
    const { reason } = await as(
      "GET",
      `/nodes/pve1/tasks/${encodeURIComponent(other as string)}/log`,
    );
    expect(reason).toBe("Permission check failed (/nodes/pve1, Sys.Audit)");
  });
});

test("a token without rights sees nothing, and is told which right it lacks", async () => {
  const as = (path: string) => lab.call("GET", path, {}, "nobody");
  expect((await as("/nodes/pve1/qemu")).data).toEqual([]);
  expect((await as("/cluster/resources?type=vm")).data).toEqual([]);
  expect((await as("/pools")).data).toEqual([]);
  expect((await as("/nodes/pve1/network")).data).toEqual([]);
  expect((await as(`${VM}/config`)).reason).toBe("Permission check failed (/vms/101, VM.Audit)");
});

/** Methods that look closer themselves, and show a caller without rights nothing or itself. */
const HARMLESS = new Set([
  "GET /version",
  "GET /nodes",
  "GET /cluster/nextid",
  "GET /cluster/resources",
  "GET /cluster/firewall/groups",
  "GET /nodes/{node}/qemu",
  "GET /nodes/{node}/network",
  "GET /nodes/{node}/storage",
  "GET /nodes/{node}/tasks",
  "GET /pools",
  "GET /access/permissions",
]);

const others = METHODS.filter(
  ({ verb, path, permission }) =>
    !HARMLESS.has(`${verb} ${path}`) && !("user" in permission && permission.user === "world"),
);

test.each(others.map(({ verb, path }) => [verb, path] as const))(
  "%s %s lets nobody in without rights",
  async (verb, route) => {
    const { data: upid } = await lab.call("PUT", `${VM}/resize`, { disk: "scsi0", size: "+0" });
    const values: Record<string, string> = {
      node: "pve1",
      vmid: "101",
      storage: "thin",
      volume: "thin:vm-101-disk-0",
      upid: encodeURIComponent(upid as string),
      pos: "0",
      name: "set1",
      cidr: "10.0.0.1",
      poolid: "ci",
      group: "grp",
      sid: "vm:101",
    };
    const target = route.replace(/\{(\w+)\}/g, (_, name: string) => values[name] as string);
    const query = route === "/pools" ? "?poolid=ci" : "";
    const { status, reason } = await lab.call(verb, `${target}${query}`, {}, "nobody");
    expect({ status, reason }).toMatchObject({ status: 403 });
  },
);

describe("access lists", () => {
  const dir = mkdtempSync(path.join(os.tmpdir(), "pve-access-"));
  const token = path.join(dir, "token");
  writeFileSync(token, "user@pve!t=11111111-2222-3333-4444-555555555555");
  afterAll(() => rmSync(dir, { recursive: true }));
  const caller = (separate: boolean): Caller => ({ id: "user@pve!t", user: "user@pve", separate });
  const access = (acl: { path: string; role: string; propagate?: boolean }[], privsep = true) =>
    new Access(
      parseConfig({
        nodes: [{ name: "n", address: "127.0.0.1" }],
        tls: { cert: "", key: "" },
        storages: [{ id: "local", type: "dir", path: "/tmp", content: ["iso"] }],
        network: { gateway: "10.0.0.1" },
        roles: { Audit: ["VM.Audit"], Power: ["VM.PowerMgmt"], NoAccess: [] },
        tokens: [{ file: token, privsep, acl }],
      }),
      () => [{ pool: "ci", path: "/vms/101" }],
    );
  const has = (a: Access, path: string, ...names: ("VM.Audit" | "VM.PowerMgmt")[]) =>
    a.has(caller(true), path, ...names);

  test("reach what is below, unless they say otherwise", () => {
    expect(has(access([{ path: "/vms", role: "Audit" }]), "/vms/1", "VM.Audit")).toBe(true);
    const here = access([{ path: "/vms", role: "Audit", propagate: false }]);
    expect(has(here, "/vms/1", "VM.Audit")).toBe(false);
    expect(has(here, "/vms", "VM.Audit")).toBe(true);
  });

  test("are replaced by those further down", () => {
    const a = access([
      { path: "/vms", role: "Audit" },
      { path: "/vms/1", role: "Power" },
    ]);
    expect(has(a, "/vms/1", "VM.Audit")).toBe(false);
    expect(has(a, "/vms/1", "VM.PowerMgmt")).toBe(true);
  });

  test("of a pool reach its VMs, besides what the VM itself has", () => {
    const a = access([
      { path: "/pool/ci", role: "Power" },
      { path: "/vms/101", role: "Audit" },
    ]);
    expect(has(a, "/vms/101", "VM.Audit", "VM.PowerMgmt")).toBe(true);
    expect(has(a, "/vms/102", "VM.PowerMgmt")).toBe(false);
  });

  test("of a pool give way to NoAccess on a VM", () => {
    const a = access([
      { path: "/pool/ci", role: "Power" },
      { path: "/vms/101", role: "NoAccess" },
    ]);
    expect(has(a, "/vms/101", "VM.PowerMgmt")).toBe(false);
  });
});
