/** What is written is what is read: configuration files, firewall files, property strings, ids. */

import fc from "fast-check";

import {
  emptyFirewall,
  parseFirewall,
  printFirewall,
  type Rule,
} from "../../../../lab/proxmox/firewall/file";
import { isCdrom, parseDrive, printDrive } from "../../../../lab/proxmox/schema/drives";
import { formatSize, parseSize } from "../../../../lab/proxmox/schema/formats";
import { parseNic, printNic } from "../../../../lab/proxmox/schema/vm-options";
import { parseUpid, printUpid } from "../../../../lab/proxmox/tasks/upid";
import {
  emptyConfig,
  parseConfigFile,
  printConfigFile,
  withPending,
} from "../../../../lab/proxmox/vm/config-file";

describe("the configuration of a VM", () => {
  test("has its description first, its options by name, and what waits", () => {
    const config = emptyConfig();
    config.values.set("name", "ci-01");
    config.values.set("cores", "2");
    config.values.set("description", "first\n100 % sure");
    config.pending.set("cores", "4");
    config.pendingDelete.add("name");
    const raw = printConfigFile(config);
    expect(raw).toBe(
      "#first\n#100 %25 sure\ncores: 2\nname: ci-01\n\n[PENDING]\ndelete: name\ncores: 4\n",
    );
    expect(parseConfigFile(raw)).toEqual(config);
    expect([...withPending(config).keys()]).toEqual(["cores", "description"]);
    expect(withPending(config).get("cores")).toBe("4");
  });

  test("keeps every description", () => {
    fc.assert(
      fc.property(fc.string({ minLength: 1, unit: "binary-ascii" }), (description) => {
        const config = emptyConfig();
        config.values.set("description", description);
        expect(parseConfigFile(printConfigFile(config)).values.get("description")).toBe(
          description,
        );
        const waiting = emptyConfig();
        waiting.pending.set("description", description.trim() || "x");
        const kept = parseConfigFile(printConfigFile(waiting)).pending.get("description");
        expect(kept).toBe(description.trim() || "x");
      }),
    );
  });
});

describe("property strings", () => {
  test("drives: the volume first, the others by name, the size in its largest unit", () => {
    const drive = parseDrive("scsi0", "file=local:1,ssd=on,size=40960M,backup=0");
    expect(printDrive("scsi0", drive)).toBe("local:1,backup=0,size=40G,ssd=1");
    expect(isCdrom(parseDrive("ide2", "none,media=cdrom"))).toBe(true);
  });

  test("network devices: the model carries the address", () => {
    for (const text of [
      "virtio=bc:24:11:00:00:01,bridge=vmbr0",
      "model=virtio,macaddr=bc:24:11:00:00:01,bridge=vmbr0",
    ]) {
      expect(printNic(parseNic("net0", text))).toBe("virtio=BC:24:11:00:00:01,bridge=vmbr0");
    }
  });

  test.each([
    ["net0", "bridge=vmbr0", "property is missing and it is not optional"],
    ["net0", "virtio=01:00:00:00:00:01", "valid unicast MAC address"],
    ["net0", "virtio,tag=5000", "value must have a maximum value of 4094"],
  ])("%s %s is refused", (name, text, problem) => {
    expect(() => parseNic(name, text)).toThrow();
    try {
      parseNic(name, text);
    } catch (error) {
      expect(Object.values((error as { errors: Record<string, string> }).errors).join()).toContain(
        problem,
      );
    }
  });

  test("sizes", () => {
    expect(parseSize("1.5G")).toBe(1610612736);
    expect(parseSize("40")).toBe(40);
    expect(parseSize("x")).toBeUndefined();
    fc.assert(
      fc.property(fc.nat(), (bytes) => {
        expect(parseSize(formatSize(bytes))).toBe(bytes);
      }),
    );
  });
});

test("task ids", () => {
  const text = "UPID:pve1:00000B0B:00032374:6B04E05A:resize:101:root@pam:";
  expect(printUpid(parseUpid(text) as never)).toBe(text);
  expect(parseUpid("UPID:pve1:nonsense")).toBeUndefined();
});

test("the firewall's file", () => {
  const firewall = emptyFirewall();
  firewall.options.set("enable", "1");
  firewall.aliases.set("office", { name: "Office", cidr: "10.1.0.0/16", comment: "all of it" });
  firewall.ipsets.set("ci", {
    comment: "runners",
    entries: [
      { cidr: "10.0.0.0/24", nomatch: false, comment: undefined },
      { cidr: "10.0.0.9", nomatch: true, comment: "not this one" },
    ],
  });
  const rule: Rule = {
    type: "in",
    action: "ACCEPT",
    enable: 0,
    macro: "SSH",
    source: "+ci",
    proto: "tcp",
    dport: "22",
    log: "nolog",
    comment: "from here # only",
  };
  firewall.rules.push(rule);
  firewall.groups.set("web", {
    comment: undefined,
    rules: [{ type: "out", action: "DROP", enable: 1 }],
  });
  const text = printFirewall(firewall);
  expect(text).toContain(
    "|IN SSH(ACCEPT) -source +ci -p tcp -dport 22 -log nolog # from here # only",
  );
  expect(parseFirewall(text)).toEqual(firewall);
});
