/** What stands in the cloud-init image, and what makes a guest a new instance. */

import fc from "fast-check";

import {
  netmask,
  type Options,
  renderNetworkConfig,
  renderSeed,
  renderUserData,
} from "../../../../lab/proxmox/cloudinit/render";

const host = { nameservers: ["10.0.0.1"], searchDomain: "lab.test" };
const options = (changes: Readonly<Record<string, string>> = {}): Options =>
  new Map(
    Object.entries({
      name: "ci-01",
      ciuser: "ops",
      sshkeys: encodeURIComponent("ssh-ed25519 AAAA a@b\n\nssh-ed25519 BBBB c@d\n"),
      net0: "virtio=BC:24:11:00:00:01,bridge=vmbr0",
      ipconfig0: "ip=10.0.0.5/24,gw=10.0.0.1",
      ...changes,
    }),
  );

test("user data, as Proxmox VE makes it", () => {
  expect(renderUserData(options(), 101, host)).toBe(`#cloud-config
hostname: ci-01
manage_etc_hosts: true
fqdn: ci-01.lab.test
user: ops
ssh_authorized_keys:
  - ssh-ed25519 AAAA a@b
  - ssh-ed25519 BBBB c@d
chpasswd:
  expire: False
users:
  - default
package_upgrade: true
`);
});

test("user data of root, with a domain in the name and no upgrade", () => {
  const text = renderUserData(
    options({ ciuser: "root", name: "a.example.org", ciupgrade: "0", cipassword: "$5$x" }),
    101,
    host,
  );
  expect(text).toContain("hostname: a\n");
  expect(text).toContain("fqdn: a.example.org\n");
  expect(text).toContain("user: root\ndisable_root: False\npassword: $5$x\n");
  expect(text).not.toContain("users:");
  expect(text).not.toContain("package_upgrade");
});

test("a network with a static address", () => {
  expect(renderNetworkConfig(options({ nameserver: "10.0.0.2 10.0.0.3" }), host)).toBe(`version: 1
config:
    - type: physical
      name: eth0
      mac_address: 'bc:24:11:00:00:01'
      subnets:
      - type: static
        address: '10.0.0.5'
        netmask: '255.255.255.0'
        gateway: '10.0.0.1'
    - type: nameserver
      address:
      - '10.0.0.2'
      - '10.0.0.3'
      search:
      - 'lab.test'
`);
});

test("a network with DHCP and IPv6; a device without ipconfig is left out", () => {
  const text = renderNetworkConfig(
    options({
      ipconfig0: "ip=dhcp,ip6=auto",
      net1: "virtio=BC:24:11:00:00:02,bridge=vmbr0",
      net2: "virtio=BC:24:11:00:00:03,bridge=vmbr0",
      ipconfig2: "ip6=fd00::5/64,gw6=fd00::1",
    }),
    host,
  );
  expect(text).toContain("      - type: dhcp4\n      - type: ipv6_slaac\n");
  expect(text).not.toContain("eth1");
  expect(text).toContain("      - type: static6\n        address: 'fd00::5/64'\n");
});

describe("the instance", () => {
  const instance = (changes?: Readonly<Record<string, string>>, vendor?: string) =>
    renderSeed(options(changes), 101, host, vendor === undefined ? {} : { vendor })["meta-data"];

  test.each([
    ["the name", { name: "ci-02" }],
    ["a key", { sshkeys: "ssh-ed25519%20CCCC" }],
    ["the address", { ipconfig0: "ip=10.0.0.6/24" }],
    ["the MAC address", { net0: "virtio=BC:24:11:00:00:09,bridge=vmbr0" }],
  ])("is another one with %s", (_what, changes) => {
    expect(instance(changes)).not.toBe(instance());
  });

  test("stays the same with other vendor data, cores or tags", () => {
    expect(instance({}, "#cloud-config\n")).toBe(instance());
    expect(instance({ cores: "9", tags: "x" })).toBe(instance());
    expect(instance()).toMatch(/^instance-id: [0-9a-f]{40}\n$/);
  });
});

test("a snippet takes the place of what is generated, vendor data stands beside it", () => {
  const seed = renderSeed(options(), 101, host, { user: "mine", vendor: "theirs" });
  expect(seed["user-data"]).toBe("mine");
  expect(seed["vendor-data"]).toBe("theirs");
  expect(renderSeed(options(), 101, host, {})["vendor-data"]).toBe("");
});

test("netmasks have as many leading ones as the prefix says", () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 32 }), (bits) => {
      const binary = netmask(bits)
        .split(".")
        .map((byte) => Number(byte).toString(2).padStart(8, "0"))
        .join("");
      expect(binary).toBe("1".repeat(bits) + "0".repeat(32 - bits));
    }),
  );
});
