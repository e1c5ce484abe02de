/** Answers that were seen from the real handlers, one by one. */

import { readFileSync, writeFileSync } from "node:fs";

import { installed, Lab } from "./harness";

let lab: Lab;
beforeAll(async () => {
  lab = await Lab.start();
  await lab.clone(101);
});
afterAll(() => lab.close());

const VM = "/nodes/pve1/qemu/101";

describe("what there is", () => {
  test("version", async () => {
    const { data } = await lab.call("GET", "/version");
    expect(data).toMatchObject({ version: "9.2.11", release: "9.2" });
  });

  test("the next free id is a string", async () => {
    expect((await lab.call("GET", "/cluster/nextid")).data).toBe("100");
  });

  test("an id that is taken", async () => {
    const answer = await lab.call("GET", "/cluster/nextid", { vmid: 9000 });
    expect(answer).toMatchObject({
      status: 400,
      reason: "Parameter verification failed.",
      errors: { vmid: "VM 9000 already exists" },
    });
  });

  test("templates", async () => {
    const { data } = await lab.call("GET", "/nodes/pve1/qemu");
    expect(data).toContainEqual(
      expect.objectContaining({
        vmid: 9000,
        name: "tpl",
        template: 1,
        status: "stopped",
        tags: "ci-template",
      }),
    );
    expect((await lab.call("GET", "/nodes/pve2/qemu")).data).toEqual([]);
  });

  test("a storage", async () => {
    const { data } = await lab.call("GET", "/storage/lab");
    expect(data).toMatchObject({ storage: "lab", type: "dir", path: lab.file("lab"), shared: 1 });
    expect((data as { content: string }).content.split(",").sort()).toEqual(
      ["images", "import", "iso", "snippets"].sort(),
    );
  });

  test("a disk", async () => {
    const { data } = await lab.call(
      "GET",
      "/nodes/pve1/storage/thin/content/thin:base-9000-disk-0",
    );
    expect(data).toMatchObject({
      format: "raw",
      size: 3221225472,
      path: "/dev/pve/base-9000-disk-0",
    });
  });

  test("a stopped VM", async () => {
    const { data } = await lab.call("GET", `${VM}/status/current`);
    expect(data).toMatchObject({
      agent: 1,
      clipboard: null,
      cpu: 0,
      cpus: 1,
      ha: { managed: 0 },
      maxdisk: 3221225472,
      maxmem: 1073741824,
      name: "vm-101",
      qmpstatus: "stopped",
      serial: 1,
      status: "stopped",
      uptime: 0,
      vmid: 101,
    });
    expect(data).not.toHaveProperty("pid");
  });
});

describe("what is not there", () => {
  test.each([
    ["GET", "/x", 501, "Method 'GET /x' not implemented"],
    ["DELETE", "/version", 501, "Method 'DELETE /version' not implemented"],
    [
      "GET",
      "/nodes/pve1/qemu/555/config",
      500,
      "Configuration file 'nodes/pve1/qemu-server/555.conf' does not exist",
    ],
    [
      "GET",
      "/nodes/pve2/qemu/101/config",
      500,
      "Configuration file 'nodes/pve2/qemu-server/101.conf' does not exist",
    ],
    ["GET", "/storage/nope", 500, "storage 'nope' does not exist"],
    ["GET", `${VM}/firewall/rules/9`, 500, "no rule at position 9"],
  ])("%s %s", async (verb, path, status, reason) => {
    expect(await lab.call(verb, path)).toMatchObject({ status, reason, data: null });
  });

  test("a node", async () => {
    const { reason } = await lab.call("GET", "/nodes/pve9/qemu");
    expect(reason).toMatch(/^hostname lookup 'pve9' failed/);
  });
});

describe("a clone", () => {
  test("has its own disks, address and identity, and the template's options", async () => {
    const template = await lab.config(9000);
    const clone = await lab.config(101);
    expect(clone.template).toBeUndefined();
    expect(clone.name).toBe("vm-101");
    expect(clone.tags).toBe("ci-template");
    expect(clone.boot).toBe("order=scsi0");
    expect(clone.memory).toBe("1024");
    expect(clone.cores).toBe(1);
    expect(clone.scsi0).toBe("thin:vm-101-disk-0,discard=on,iothread=1,size=3G,ssd=1");
    expect(clone.ide2).toBe("thin:vm-101-cloudinit,media=cdrom,size=4M");
    expect(clone.net0).toMatch(/^virtio=BC:24:11(:[0-9A-F]{2}){3},bridge=vmbr0$/);
    expect(clone.net0).not.toBe(template.net0);
    expect(clone.smbios1).not.toBe(template.smbios1);
  });

  test("an id that is taken", async () => {
    const { status, reason } = await lab.call("POST", "/nodes/pve1/qemu/9000/clone", {
      newid: 9000,
    });
    expect({ status, reason }).toEqual({
      status: 500,
      reason: "unable to create VM 9000: config file already exists",
    });
  });

  test("waits one second for its template, and no longer", async () => {
    const { locks, vms } = lab.proxmox.world;
    let free: () => void = () => undefined;
    const held = locks.run(9000, 1, () => new Promise<void>((resolve) => (free = resolve)));
    const end = await lab.task("POST", "/nodes/pve1/qemu/9000/clone", { newid: 150 });
    free();
    await held;
    expect(end).toBe("can't lock file '/var/lock/qemu-server/lock-9000.conf' - got timeout");
    expect(vms.nodeOf(150)).toBeUndefined();
  });
});

describe("options", () => {
  const put = (form: Record<string, string | number>) => lab.call("PUT", `${VM}/config`, form);

  test("removing what is not set is no error", async () => {
    expect(await put({ delete: "net1,serial1" })).toMatchObject({ status: 200, data: null });
  });

  test("a network device without an address gets a new one each time", async () => {
    const seen = new Set<string>();
    for (let time = 0; time < 2; time++) {
      await put({ net0: "model=virtio,bridge=vmbr0,firewall=1" });
      const net0 = (await lab.config(101)).net0 as string;
      expect(net0).toMatch(/^virtio=BC:24:11:[0-9A-F:]{8},bridge=vmbr0,firewall=1$/);
      seen.add(net0);
    }
    expect(seen.size).toBe(2);
  });

  test("a cloud-init drive, with the comma that the provider leaves", async () => {
    await put({ delete: "ide2" });
    expect((await lab.config(101)).ide2).toBeUndefined();
    await put({ ide2: "file=thin:cloudinit," });
    expect((await lab.config(101)).ide2).toBe("thin:vm-101-cloudinit,media=cdrom");
    const { reason } = await put({ ide1: "thin:cloudinit" });
    expect(reason).toBe("ide1 - cloud-init drive is already attached at 'ide2'");
  });

  test("tags are sorted, in lower case, none twice", async () => {
    await put({ tags: "pulumi;ci;gitlab;CI" });
    expect((await lab.config(101)).tags).toBe("ci;gitlab;pulumi");
  });

  test("a disk's properties are printed by name, its size as it is", async () => {
    await put({
      scsi0:
        "file=thin:vm-101-disk-0,ssd=1,replicate=1,iothread=1,size=99G,cache=none,aio=io_uring,backup=1",
    });
    expect((await lab.config(101)).scsi0).toBe(
      "thin:vm-101-disk-0,aio=io_uring,backup=1,cache=none,iothread=1,replicate=1,size=3G,ssd=1",
    );
  });

  test("a new disk is made, and kept as unused once it is taken off", async () => {
    await put({ scsi1: "file=thin:8,format=raw,size=8589934592,discard=on" });
    expect((await lab.config(101)).scsi1).toBe("thin:vm-101-disk-1,discard=on,size=8G");
    await put({ delete: "scsi1" });
    expect((await lab.config(101)).unused0).toBe("thin:vm-101-disk-1");
    await put({ scsi1: "thin:vm-101-disk-1" });
    expect(await lab.config(101)).toMatchObject({ scsi1: "thin:vm-101-disk-1,size=8G" });
    expect((await lab.config(101)).unused0).toBeUndefined();
  });

  test.each([
    [
      { bogus: 1 },
      {
        bogus:
          "property is not defined in schema and the schema does not allow additional properties",
      },
    ],
    [{ cores: "x" }, { cores: "type check ('integer') failed - got 'x'" }],
    [{ cores: 0 }, { cores: "value must have a minimum value of 1" }],
    [{ onboot: "maybe" }, { onboot: "type check ('boolean') failed - got 'maybe'" }],
    [
      { ostype: "beos" },
      { ostype: expect.stringContaining("value 'beos' does not have a value in the enumeration") },
    ],
    [{ net0: "model=virtio,bogus=1" }, { net0: expect.stringContaining("net0.bogus: property") }],
    [{ force: 1 }, { delete: "missing property - 'force' requires this property" }],
    [{ name: "a_b" }, { name: "invalid format - value does not look like a valid DNS name" }],
    [
      { cores: 2, delete: "cores" },
      { delete: "you can't use '-cores' and '-delete cores' at the same time" },
    ],
    [
      { memory: 512, balloon: 1024 },
      { balloon: "balloon value too large (must be smaller than assigned memory)" },
    ],
  ])("%j is refused", async (form, errors) => {
    const answer = await put(form as Record<string, string>);
    expect(answer).toMatchObject({ status: 400, reason: "Parameter verification failed." });
    expect(answer.errors).toEqual(errors);
    expect(answer.message).toBe("Parameter verification failed.\n");
  });

  test("an SSH key that is none", async () => {
    const { status, reason } = await put({ sshkeys: encodeURIComponent("ssh-ed25519 nonsense") });
    expect({ status, reason }).toEqual({ status: 500, reason: "SSH public key validation error" });
  });

  test("a configuration that somebody else changed", async () => {
    const { digest } = await lab.config(101);
    await put({ cores: 3 });
    const { reason } = await put({ cores: 4, digest: digest as string });
    expect(reason).toMatch(/^detected modified configuration/);
    expect((await lab.config(101)).cores).toBe(3);
  });

  test("a password is hashed, and never shown", async () => {
    await put({ cipassword: "geheim" });
    expect((await lab.config(101)).cipassword).toBe("**********");
    const file = lab.file("state/etc/pve/nodes/pve1/qemu-server/101.conf");
    expect(readFileSync(file, "utf8")).toMatch(/^cipassword: \$5\$/m);
    expect(readFileSync(file, "utf8")).not.toContain("geheim");
  });
});

describe("disks", () => {
  test("grow, and never shrink", async () => {
    const resize = (size: string) => lab.call("PUT", `${VM}/resize`, { disk: "scsi0", size });
    const { data } = await resize(String(5 * 1024 ** 3));
    expect(data).toMatch(
      /^UPID:pve1:[0-9A-F]{8}:[0-9A-F]{8}:[0-9A-F]{8}:resize:101:root@pam!lab:$/,
    );
    await lab.proxmox.world.tasks.ended(data as string);
    expect((await lab.config(101)).scsi0).toContain("size=5G");
    expect(await resize("4G")).toMatchObject({
      status: 500,
      reason: "shrinking disks is not supported",
    });
    await lab.task("PUT", `${VM}/resize`, { disk: "scsi0", size: "+1G" });
    expect((await lab.config(101)).scsi0).toContain("size=6G");
  });

  test("do not move to where they are", async () => {
    const { status, reason } = await lab.call("POST", `${VM}/move_disk`, {
      disk: "scsi0",
      storage: "thin",
      delete: 1,
    });
    expect({ status, reason }).toEqual({
      status: 500,
      reason: "you can't move to the same storage with same format",
    });
  });
});

describe("snippets", () => {
  test("are listed as snippets", async () => {
    writeFileSync(lab.file("lab/snippets/vendor.yaml"), "#cloud-config\n");
    const { data } = await lab.call("GET", "/nodes/pve1/storage/lab/content", {
      content: "snippets",
    });
    expect(data).toEqual([
      {
        content: "snippets",
        ctime: expect.any(Number) as number,
        format: "snippet",
        size: 14,
        volid: "lab:snippets/vendor.yaml",
      },
    ]);
    const end = await lab.task(
      "DELETE",
      "/nodes/pve1/storage/lab/content/lab:snippets%2Fvendor.yaml",
    );
    expect(end).toBe("OK");
    const after = await lab.call("GET", "/nodes/pve1/storage/lab/content", { content: "snippets" });
    expect(after.data).toEqual([]);
  });
});

describe("the agent", () => {
  test("of a VM that is off", async () => {
    const { status, reason } = await lab.call("GET", `${VM}/agent/network-get-interfaces`);
    expect({ status, reason }).toEqual({ status: 500, reason: "VM 101 is not running" });
  });

  test("of a VM without one", async () => {
    await lab.call("PUT", `${VM}/config`, { agent: "enabled=0" });
    const { reason } = await lab.call("POST", `${VM}/agent/ping`);
    expect(reason).toBe("No QEMU guest agent configured");
    await lab.call("PUT", `${VM}/config`, { agent: "enabled=1" });
  });
});

describe("removal", () => {
  test("of a protected VM", async () => {
    await lab.call("PUT", `${VM}/config`, { protection: 1 });
    expect(await lab.call("DELETE", VM)).toMatchObject({
      status: 500,
      reason: "can't remove VM 101 - protection mode enabled",
    });
    await lab.call("PUT", `${VM}/config`, { delete: "protection" });
  });

  test("takes disks, pool and firewall along, with the slash that the provider leaves", async () => {
    await lab.clone(102);
    await lab.call("POST", "/nodes/pve1/qemu/102/firewall/aliases", {
      name: "me",
      cidr: "10.0.0.1",
    });
    const end = await lab.task("DELETE", "/nodes/pve1/qemu/102/", {
      purge: 1,
      "destroy-unreferenced-disks": 1,
    });
    expect(end).toBe("OK");
    const { world } = lab.proxmox;
    expect(world.vms.nodeOf(102)).toBeUndefined();
    expect(world.pools.of(102)).toBeUndefined();
    expect(world.firewalls.load(102).firewall.aliases.size).toBe(0);
    expect(world.storages.list("pve1", "thin").filter(({ vmid }) => vmid === 102)).toEqual([]);
  });
});

const describeGuests = installed("xorriso") ? describe : describe.skip;
describeGuests("a guest (needs xorriso)", () => {
  const status = async () =>
    (await lab.call("GET", `${VM}/status/current`)).data as Record<string, unknown>;

  test("starts once, and is asked to power off", async () => {
    expect(await lab.task("POST", `${VM}/status/start`, { timeout: 1800 })).toBe("OK");
    expect(await status()).toMatchObject({ status: "running", qmpstatus: "running" });
    expect(await lab.task("POST", `${VM}/status/start`)).toBe("VM 101 already running");
    expect((await lab.call("DELETE", VM)).reason).toBe("VM 101 is running - destroy failed");
    const { data } = await lab.call("GET", `${VM}/agent/file-read`, { file: "/etc/hostname" });
    expect(data).toEqual({ content: "content of /etc/hostname\n", "bytes-read": 25 });
    expect(await lab.task("POST", `${VM}/status/shutdown`, { forceStop: 1 })).toBe("OK");
    expect(await status()).toMatchObject({ status: "stopped" });
  });

  test("takes what it cannot take at once with its next start", async () => {
    await lab.call("PUT", `${VM}/config`, { cores: 1 });
    await lab.task("POST", `${VM}/status/start`);
    await lab.call("PUT", `${VM}/config`, { cores: 2, description: "said at once" });
    expect(await lab.config(101)).toMatchObject({ cores: 2, description: "said at once" });
    expect(await lab.config(101, { current: 1 })).toMatchObject({
      cores: 1,
      description: "said at once",
    });
    expect(await lab.task("POST", `${VM}/status/reboot`)).toBe("OK");
    expect((await lab.config(101, { current: 1 })).cores).toBe(2);
    await lab.task("POST", `${VM}/status/stop`);
  });

  test("is found again after the server was started anew", async () => {
    await lab.task("POST", `${VM}/status/start`);
    const { pid } = await status();
    await lab.restart();
    expect(await status()).toMatchObject({ status: "running", pid });
    await lab.task("POST", `${VM}/status/stop`);
    expect(await status()).toMatchObject({ status: "stopped" });
  });

  test("that does not power off is ended, or the task fails", async () => {
    await lab.task("POST", `${VM}/status/start`);
    lab.guests.obedient = false;
    expect(await lab.task("POST", `${VM}/status/shutdown`, { timeout: 0 })).toBe(
      "VM quit/powerdown failed - got timeout",
    );
    expect(await status()).toMatchObject({ status: "running" });
    expect(await lab.task("POST", `${VM}/status/shutdown`, { timeout: 0, forceStop: 1 })).toBe(
      "OK",
    );
    lab.guests.obedient = true;
    expect(await status()).toMatchObject({ status: "stopped" });
  });

  test("with more processors than the node has", async () => {
    await lab.call("PUT", `${VM}/config`, { cores: 9 });
    expect(await lab.task("POST", `${VM}/status/start`)).toBe(
      "MAX 8 vcpus allowed per VM on this node",
    );
    await lab.call("PUT", `${VM}/config`, { cores: 1 });
  });

  test("whose snippet is missing does not start", async () => {
    await lab.call("PUT", `${VM}/config`, { cicustom: "vendor=lab:snippets/gone.yaml" });
    expect(await lab.task("POST", `${VM}/status/start`)).toBe(
      "volume 'lab:snippets/gone.yaml' does not exist",
    );
    await lab.call("PUT", `${VM}/config`, { delete: "cicustom" });
  });
});
