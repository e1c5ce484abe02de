/** Firewalls in the API, as the provider's resources use them. */

import { Lab } from "./harness";

let lab: Lab;
beforeAll(async () => {
  lab = await Lab.start();
  await lab.clone(101);
});
afterAll(() => lab.close());

describe.each([
  ["a VM's firewall", "/nodes/pve1/qemu/101/firewall"],
  ["the cluster's firewall", "/cluster/firewall"],
])("%s", (_whose, base) => {
  test("options: those that were set, and no others", async () => {
    expect(Object.keys((await lab.call("GET", `${base}/options`)).data as object)).toEqual([
      "digest",
    ]);
    await lab.call("PUT", `${base}/options`, { enable: 1, policy_in: "DROP" });
    expect((await lab.call("GET", `${base}/options`)).data).toEqual({
      enable: 1,
      policy_in: "DROP",
      digest: expect.any(String) as string,
    });
    await lab.call("PUT", `${base}/options`, { delete: "policy_in" });
    expect((await lab.call("GET", `${base}/options`)).data).not.toHaveProperty("policy_in");
  });

  test("sets of addresses", async () => {
    await lab.call("POST", `${base}/ipset`, { name: "ci", comment: "runners" });
    expect((await lab.call("POST", `${base}/ipset`, { name: "ci" })).errors).toEqual({
      name: "IPSet 'ci' already exists",
    });
    await lab.call("POST", `${base}/ipset/ci`, { cidr: "10.0.0.0/24", comment: "all" });
    expect((await lab.call("GET", `${base}/ipset/ci`)).data).toEqual([
      { cidr: "10.0.0.0/24", comment: "all", digest: expect.any(String) as string },
    ]);
    expect((await lab.call("DELETE", `${base}/ipset/ci`)).reason).toBe("IPSet 'ci' is not empty");
    await lab.call("DELETE", `${base}/ipset/ci/10.0.0.0%2F24`);
    expect((await lab.call("DELETE", `${base}/ipset/ci`)).status).toBe(200);
    expect((await lab.call("GET", `${base}/ipset`)).data).toEqual([]);
  });

  test("aliases", async () => {
    await lab.call("POST", `${base}/aliases`, { name: "Office", cidr: "10.1.0.0/16" });
    expect((await lab.call("GET", `${base}/aliases/office`)).data).toMatchObject({
      name: "Office",
      cidr: "10.1.0.0/16",
      ipversion: 4,
    });
    await lab.call("PUT", `${base}/aliases/office`, { cidr: "fd00::/8", rename: "Home" });
    expect((await lab.call("GET", `${base}/aliases/office`)).errors).toEqual({
      name: "no such alias 'office'",
    });
    await lab.call("DELETE", `${base}/aliases/home`);
    expect((await lab.call("GET", `${base}/aliases`)).data).toEqual([]);
  });
});

describe("rules", () => {
  const base = "/nodes/pve1/qemu/101/firewall/rules";
  const list = async () =>
    ((await lab.call("GET", base)).data as { comment: string; pos: number }[]).map(
      ({ comment, pos }) => `${pos} ${comment}`,
    );

  test("a new one comes first; a list counts in numbers, a single rule in text", async () => {
    for (const comment of ["c", "b", "a"]) {
      await lab.call("POST", base, { action: "ACCEPT", type: "in", enable: 1, comment });
    }
    expect(await list()).toEqual(["0 a", "1 b", "2 c"]);
    expect((await lab.call("GET", `${base}/1`)).data).toMatchObject({ pos: "1", comment: "b" });
  });

  test("move and go", async () => {
    await lab.call("PUT", `${base}/0`, { moveto: 3 });
    expect(await list()).toEqual(["0 b", "1 c", "2 a"]);
    await lab.call("DELETE", `${base}/1`);
    expect(await list()).toEqual(["0 b", "1 a"]);
  });

  test("change property by property", async () => {
    await lab.call("PUT", `${base}/0`, { proto: "tcp", dport: "22", comment: "ssh" });
    expect((await lab.call("GET", `${base}/0`)).data).toMatchObject({
      dport: "22",
      comment: "ssh",
    });
    await lab.call("PUT", `${base}/0`, { delete: "dport,proto" });
    expect((await lab.call("GET", `${base}/0`)).data).not.toHaveProperty("dport");
  });

  test.each([
    [{ action: "ACCEPT", type: "in", dport: "22" }, "dport"],
    [{ action: "ACCEPT", type: "sideways" }, "type"],
    [{ type: "in" }, "action"],
    [{ action: "ACCEPT", type: "in", source: "not/an/address" }, "source"],
  ])("%j is refused", async (form, name) => {
    const { status, errors } = await lab.call("POST", base, form as Record<string, string>);
    expect(status).toBe(400);
    expect(Object.keys(errors ?? {})).toEqual([name]);
  });

  test("of a template are copied to its clones", async () => {
    const rule = { action: "DROP", type: "out", enable: 1, comment: "from the template" };
    await lab.call("POST", "/nodes/pve1/qemu/9000/firewall/rules", rule);
    await lab.clone(103);
    expect((await lab.call("GET", "/nodes/pve1/qemu/103/firewall/rules")).data).toMatchObject([
      rule,
    ]);
  });
});

describe("security groups", () => {
  const base = "/cluster/firewall/groups";

  test("hold rules, and go once they are empty", async () => {
    await lab.call("POST", base, { group: "web", comment: "all of them" });
    await lab.call("POST", `${base}/web`, { action: "ACCEPT", type: "in", macro: "HTTP" });
    expect((await lab.call("GET", `${base}/web`)).data).toMatchObject([
      { action: "ACCEPT", type: "in", macro: "HTTP", pos: 0, enable: 0 },
    ]);
    expect((await lab.call("DELETE", `${base}/web`)).reason).toBe(
      "Security group 'web' is not empty",
    );
    expect((await lab.call("GET", `${base}/nope`)).reason).toBe("no such security group 'nope'");
    expect((await lab.call("GET", base)).data).toMatchObject([
      { group: "web", comment: "all of them" },
    ]);
  });
});
