import { addressOf } from "../../components/proxmox-vm";
import { parseStack } from "../../config/parse";
import { PROJECT } from "../../config/project";
import { PUBLIC_KEY, SECURE, set, stackWith, Values } from "../unit/config/fixture";
import {
  HOST_KEY,
  opened,
  plainText,
  Recorded,
  Run,
  runProgram,
  SECRETS,
  TEMPLATE,
  TOKEN_PREFIX,
  World,
} from "./recorder";

const STEPS = ["docker", "runner", "config", "gate"];

/** Three hosts with two profiles, a canary and static addresses. */
function fleet(changes: Readonly<Values> = {}): Values {
  return stackWith({
    "profiles.builder": { group: 9, tags: ["builder"], protected: true },
    "hosts.ci-02.profiles": ["default", "builder"],
    "hosts.ci-03": { node: "pve2", address: "10.0.0.13/24" },
    canary: { project: 7 },
    canaryTriggerToken: SECURE,
    ...changes,
  });
}

/** One host whose address comes by DHCP. */
function dhcp(changes: Readonly<Values> = {}): Values {
  return stackWith({
    defaults: { ssh: { authorizedKeys: [PUBLIC_KEY] } },
    hosts: { "ci-01": { node: "pve1", address: "dhcp" } },
    ...changes,
  });
}

async function run(world: World): Promise<Run> {
  const result = await runProgram(world);
  expect(result.error).toBeUndefined();
  return result;
}

/** URNs of everything that has to exist before a resource does. */
function before({ resources }: Run, of: Recorded): Set<string> {
  const byUrn = new Map(resources.map((resource) => [resource.urn, resource]));
  const seen = new Set<string>();
  const visit = (resource: Recorded | undefined) =>
    resource?.after
      .filter((urn) => !seen.has(urn))
      .forEach((urn) => {
        seen.add(urn);
        visit(byUrn.get(urn));
      });
  visit(of);
  return seen;
}

/** Names of the resources whose inputs differ between two runs. */
function changed(a: Run, b: Run): string[] {
  const inputs = (one: Run) =>
    new Map(one.resources.map(({ urn, name, inputs }) => [urn, [name, JSON.stringify(inputs)]]));
  const [first, second] = [inputs(a), inputs(b)];
  return [...second]
    .filter(([urn, [, text]]) => first.has(urn) && first.get(urn)?.[1] !== text)
    .map(([, [name]]) => name as string)
    .sort();
}

let whole: Run;
beforeAll(async () => {
  whole = await run({ values: fleet() });
});

describe("resources", () => {
  it("are those of the design, by name and parent", () => {
    const parents = new Map(whole.resources.map(({ urn, name }) => [urn, name]));
    const list = whole.resources
      .filter(({ name }) => !/^ci-0[12]/.test(name))
      .map(({ type, name, parent }) => `${parents.get(parent) ?? "-"} > ${type} ${name}`);
    expect(list.sort()).toEqual([
      "- > pulumi:pulumi:Stack gitlab-runners-test",
      "ci-03 > command:local:Command ci-03-drain",
      "ci-03 > command:local:Command ci-03-trust",
      "ci-03 > command:remote:Command ci-03-config",
      "ci-03 > command:remote:Command ci-03-docker",
      "ci-03 > command:remote:Command ci-03-gate",
      "ci-03 > command:remote:Command ci-03-runner",
      "ci-03 > command:remote:CopyToRemote ci-03-files",
      "ci-03 > command:remote:CopyToRemote ci-03-files-config",
      "ci-03 > command:remote:CopyToRemote ci-03-files-docker",
      "ci-03 > command:remote:CopyToRemote ci-03-files-gate",
      "ci-03 > command:remote:CopyToRemote ci-03-files-runner",
      "ci-03 > gitlab:index/userRunner:UserRunner ci-03-default",
      "ci-03 > proxmoxve:index/fileLegacy:FileLegacy ci-03-vendor-data",
      "ci-03 > proxmoxve:index/vmLegacy:VmLegacy ci-03-vm",
      "ci-03 > random:index/randomString:RandomString ci-03-generation",
      "gitlab-runners-test > gitlab-runners:index:RunnerFleet test",
      "gitlab-runners-test > pulumi:providers:gitlab gitlab",
      "gitlab-runners-test > pulumi:providers:proxmoxve proxmox",
      "test > gitlab-runners:index:RunnerHost ci-03",
    ]);
  });

  it("have URNs of their own, which no order in the file moves", async () => {
    const urns = whole.resources.map(({ urn }) => urn);
    expect(new Set(urns).size).toBe(urns.length);
    const values = fleet();
    values.hosts = Object.fromEntries(Object.entries(values.hosts as Values).reverse());
    const reversed = await run({ values });
    expect(reversed.resources.map(({ urn }) => urn)).toEqual(urns);
    expect(changed(whole, reversed)).toEqual([]);
  });

  it("stay apart when the names of hosts begin alike", async () => {
    const hosts = ["a", "a-docker", "a-files", "a-files-docker", "a-runner"];
    const { resources } = await run({
      values: stackWith({
        hosts: Object.fromEntries(
          hosts.map((name, index) => [name, { node: "pve1", address: `10.0.0.${20 + index}/24` }]),
        ),
      }),
    });
    const urns = resources.map(({ urn }) => urn);
    expect(new Set(urns).size).toBe(urns.length);
    expect(urns).toHaveLength(4 + hosts.length * 16);
  });

  it("one record for each profile on each host, with the host's name as a tag", () => {
    const records = whole.resources.filter(({ type }) => type.endsWith(":UserRunner"));
    expect(
      records
        .map(({ name, inputs }) => [name, inputs.runnerType, inputs.tagLists, inputs.locked])
        .sort(([a], [b]) => String(a).localeCompare(String(b))),
    ).toEqual([
      ["ci-01-default", "project_type", ["ci", "ci-01", "docker", "proxmox-local"], true],
      ["ci-02-builder", "group_type", ["builder", "ci-02"], true],
      ["ci-02-default", "project_type", ["ci", "ci-02", "docker", "proxmox-local"], true],
      ["ci-03-default", "project_type", ["ci", "ci-03", "docker", "proxmox-local"], true],
    ]);
    expect(whole.get("UserRunner", "ci-02-builder").inputs).toMatchObject({
      groupId: 9,
      accessLevel: "ref_protected",
      untagged: false,
    });
  });

  it("use the providers that the stack describes, and look up the templates once", () => {
    const proxmox = whole.get("pulumi:providers:proxmoxve", "proxmox");
    const gitlab = whole.get("pulumi:providers:gitlab", "gitlab");
    expect(proxmox.inputs).toMatchObject({
      endpoint: "https://pve1.example.org:8006",
      randomVmIds: "true",
      randomVmIdStart: "5000",
      randomVmIdEnd: "5999",
    });
    expect(gitlab.inputs).toMatchObject({
      baseUrl: "https://gitlab.example.org/api/v4/",
      earlyAuthCheck: "false",
    });
    for (const { type, provider, name } of whole.resources) {
      const [kind] = type.split(":");
      if (kind === "proxmoxve" || kind === "gitlab") {
        const expected = kind === "gitlab" ? gitlab : proxmox;
        expect([name, provider]).toEqual([name, expect.stringContaining(expected.urn)]);
      }
    }
    expect(whole.invokes).toEqual([
      {
        token: "proxmoxve:index/getVmsLegacy:getVmsLegacy",
        inputs: { filters: [{ name: "template", values: ["true"] }] },
      },
    ]);
  });
});

describe("order", () => {
  it("removes drain, VM, snippet and record one after the other", () => {
    const { urn: record } = whole.get("UserRunner", "ci-01-default");
    const snippet = whole.get("FileLegacy", "ci-01-vendor-data");
    const vm = whole.get("VmLegacy", "ci-01-vm");
    const drain = whole.get("local:Command", "ci-01-drain");
    expect(before(whole, snippet)).toContain(record);
    expect(before(whole, vm)).toContain(snippet.urn);
    expect(before(whole, vm)).toContain(record);
    expect(before(whole, drain)).toContain(vm.urn);
    // It is needed when the machine goes, so it must not go silently with it.
    expect(whole.resources.map(({ deletedWith }) => deletedWith)).toEqual(
      whole.resources.map(() => ""),
    );
  });

  it("knows the machine before it connects, and arms the drain before jobs can come", () => {
    const trust = whole.get("local:Command", "ci-01-trust");
    expect(before(whole, trust)).toContain(whole.get("VmLegacy", "ci-01-vm").urn);
    expect(before(whole, whole.get("CopyToRemote", "ci-01-files"))).toContain(trust.urn);
    const drain = whole.get("local:Command", "ci-01-drain");
    expect(before(whole, drain)).toContain(whole.get("remote:Command", "ci-01-runner").urn);
    expect(before(whole, whole.get("remote:Command", "ci-01-config"))).toContain(drain.urn);
  });

  it("runs the steps one after the other, each with the scripts and its own files", () => {
    STEPS.forEach((step, index) => {
      const first = before(whole, whole.get("remote:Command", `ci-01-${step}`));
      expect(first).toContain(whole.get("CopyToRemote", "ci-01-files").urn);
      expect(first).toContain(whole.get("CopyToRemote", `ci-01-files-${step}`).urn);
      for (const earlier of STEPS.slice(0, index)) {
        expect(first).toContain(whole.get("remote:Command", `ci-01-${earlier}`).urn);
      }
    });
  });

  it("interrupts one host at a time, each behind the gate of the one before", () => {
    const gate = (host: string) => whole.get("remote:Command", `${host}-gate`).urn;
    const docker = (host: string) => before(whole, whole.get("remote:Command", `${host}-docker`));
    expect(docker("ci-02")).toContain(gate("ci-01"));
    expect(docker("ci-03")).toContain(gate("ci-02"));
    expect(docker("ci-01")).not.toContain(gate("ci-02"));
    // A machine is cloned while another is being set up.
    expect(before(whole, whole.get("VmLegacy", "ci-02-vm"))).not.toContain(gate("ci-01"));
  });

  it("interrupts as many hosts at once as the stack says", async () => {
    const two = await run({ values: fleet({ rollout: { parallel: 2 } }) });
    const gate = (host: string) => two.get("remote:Command", `${host}-gate`).urn;
    const docker = (host: string) => before(two, two.get("remote:Command", `${host}-docker`));
    expect(docker("ci-02")).not.toContain(gate("ci-01"));
    expect(docker("ci-03")).toContain(gate("ci-01"));
    expect(docker("ci-03")).not.toContain(gate("ci-02"));
  });

  it("clones one template once at a time, and different ones together", async () => {
    const vm = (one: Run, host: string) => one.get("VmLegacy", `${host}-vm`);
    expect(before(whole, vm(whole, "ci-03"))).toContain(vm(whole, "ci-01").urn);
    const other = await run({
      values: fleet({ "hosts.ci-02.template": 9001 }),
      templates: [TEMPLATE, { ...TEMPLATE, vmId: 9001, tags: ["other"] }],
    });
    const urns = (host: string) => before(other, vm(other, host));
    expect(urns("ci-02")).not.toContain(vm(other, "ci-01").urn);
    expect(urns("ci-03")).toContain(vm(other, "ci-01").urn);
    expect(urns("ci-03")).not.toContain(vm(other, "ci-02").urn);
  });
});

describe("replacement", () => {
  it("is said of every resource, and deletes first only what cannot be there twice", async () => {
    const custom = (one: Run) =>
      one.resources.filter((r) => r.custom && !r.type.startsWith("pulumi:providers:"));
    expect(custom(whole).filter((r) => r.deleteBeforeReplace === undefined)).toEqual([]);
    expect(
      custom(whole)
        .filter((r) => r.deleteBeforeReplace)
        .map((r) => r.name),
    ).toEqual(["ci-01-vm", "ci-02-vm", "ci-03-vm"]);
    const floating = await run({ values: dhcp() });
    expect(custom(floating).filter((r) => r.deleteBeforeReplace)).toEqual([]);
    const fixed = await run({ values: dhcp({ "hosts.ci-01.vmId": 300 }) });
    expect(fixed.get("VmLegacy", "ci-01-vm").deleteBeforeReplace).toBe(true);
  });

  it("of the machine replaces all that is on it or of it, and nothing of other hosts", async () => {
    for (const machine of [{ generation: "zz99" }, { id: 5002 }]) {
      const next = await run({ values: fleet(), machines: { "ci-02": machine } });
      const onMachine = next.resources.filter(
        ({ name, type }) => name.startsWith("ci-02-") && type.startsWith("command:"),
      );
      expect(onMachine).toHaveLength(11);
      for (const { type, name, inputs } of onMachine) {
        const old = whole.get(type, name).inputs.triggers;
        expect([name, inputs.triggers]).not.toEqual([name, old]);
      }
      expect(changed(whole, next).filter((name) => !name.startsWith("ci-02-"))).toEqual([]);
    }
  });

  it("of the machine and new records come together", () => {
    expect(whole.get("VmLegacy", "ci-01-vm").replacementTrigger).toBe("ab12");
    expect(whole.get("UserRunner", "ci-01-default").replacementTrigger).toBe("ab12");
  });

  it("has no other trigger than the machine's identity", () => {
    for (const { type, name, inputs } of whole.resources) {
      if (type.startsWith("command:")) {
        expect([name, inputs.triggers]).toEqual([name, ["ab12", "5001"]]);
      }
    }
  });

  it.each([
    ["another node", { "hosts.ci-01.node": "pve2" }],
    ["another storage for snippets", { "proxmox.snippets": "shared" }],
  ])("is caused by %s, with a snippet under a new name", async (_what, change) => {
    const next = await run({ values: fleet(change) });
    const of = (one: Run) => ({
      keepers: one.get("RandomString", "ci-01-generation").inputs.keepers,
      file: (one.get("FileLegacy", "ci-01-vendor-data").inputs.sourceRaw as Values).fileName,
    });
    expect(of(next).keepers).not.toEqual(of(whole).keepers);
    expect(of(next).file).not.toEqual(of(whole).file);
  });

  it("is not caused by what can change in place", async () => {
    const next = await run({
      values: fleet({
        "hosts.ci-01.cores": 8,
        "hosts.ci-01.memory": 16384,
        "hosts.ci-01.disks": { docker: 120 },
        "hosts.ci-01.datastore": "ceph",
        "hosts.ci-01.runner": { version: "19.4.0" },
        "hosts.ci-01.vmId": 300,
        "profiles.default.docker.memory": "1g",
      }),
    });
    const keepers = (one: Run) => one.get("RandomString", "ci-01-generation").inputs.keepers;
    const vendorData = (one: Run) =>
      (one.get("VmLegacy", "ci-01-vm").inputs.initialization as Values).vendorDataFileId;
    expect(keepers(next)).toEqual(keepers(whole));
    expect(vendorData(next)).toEqual(vendorData(whole));
  });

  it("is not caused by a template that was rebuilt under another id", async () => {
    const next = await run({ values: fleet(), templates: [{ ...TEMPLATE, vmId: 9100 }] });
    expect(changed(whole, next)).toEqual(["ci-01-vm", "ci-02-vm", "ci-03-vm"]);
    const [old, now] = [whole, next].map((one) => one.get("VmLegacy", "ci-01-vm"));
    expect(now?.inputs.clone).toMatchObject({ vmId: 9100 });
    expect({ ...now?.inputs, clone: undefined }).toEqual({ ...old?.inputs, clone: undefined });
    expect(now?.ignoreChanges).toContain("clone");
  });
});

describe("changes", () => {
  it.each<[string, Values, string[]]>([
    [
      "config.toml alone",
      { "profiles.builder.docker.image": "docker:29-cli" },
      ["ci-02-config", "ci-02-files-config", "ci-02-files-gate", "ci-02-gate"],
    ],
    [
      "daemon.json alone",
      { "hosts.ci-02.docker": { logMaxFiles: 5 } },
      ["ci-02-docker", "ci-02-files-docker", "ci-02-gate"],
    ],
    ["the size of a machine", { "hosts.ci-02.cores": 6 }, ["ci-02-gate", "ci-02-vm"]],
    ["the tags of jobs", { "profiles.builder.tags": ["build"] }, ["ci-02-builder"]],
    ["how many hosts at once", { rollout: { parallel: 3 } }, []],
  ])("of %s reach no more than they must", async (_what, change, expected) => {
    expect(changed(whole, await run({ values: fleet(change) }))).toEqual(expected);
  });

  it("of the fleet leave the other hosts alone", async () => {
    const values = fleet();
    set(values, "hosts.ci-02", undefined);
    const without = await run({ values });
    expect(without.resources.some(({ name }) => name.startsWith("ci-02"))).toBe(false);
    expect(changed(whole, without)).toEqual([]);
    const gate = without.get("remote:Command", "ci-01-gate").urn;
    expect(before(without, without.get("remote:Command", "ci-03-docker"))).toContain(gate);
  });
});

describe("secrets", () => {
  const all = [...Object.values(SECRETS), TOKEN_PREFIX];

  it("are in no plain input, and in no output of the stack", () => {
    for (const { name, inputs, replacementTrigger } of whole.resources) {
      const text = plainText({ inputs, replacementTrigger });
      expect([name, all.filter((secret) => text.includes(secret))]).toEqual([name, []]);
    }
    const outputs = JSON.stringify(whole.outputs);
    expect(outputs).toContain("10.0.0.11");
    expect(all.filter((secret) => outputs.includes(secret))).toEqual([]);
  });

  it("reach the steps on standard input, and only those that need them", () => {
    const stdin = (step: string) => whole.get("remote:Command", `ci-02-${step}`).inputs.stdin;
    const tokens =
      `RUNNER_TOKEN_DEFAULT=${TOKEN_PREFIX}ci-02-default\n` +
      `RUNNER_TOKEN_BUILDER=${TOKEN_PREFIX}ci-02-builder\n`;
    expect(stdin("docker")).toBeUndefined();
    expect(stdin("runner")).toBeUndefined();
    expect(opened(stdin("config"))).toBe(tokens);
    expect(opened(stdin("gate"))).toBe(`${tokens}CANARY_TOKEN=${SECRETS.canaryTriggerToken}\n`);
  });

  it("reach the scripts of this machine on standard input", () => {
    const question = (name: string) =>
      JSON.parse(opened(whole.get("local:Command", name).inputs.stdin)) as Values;
    expect(question("ci-01-trust")).toEqual({
      host: "ci-01",
      limit: 900,
      source: "agent",
      node: "pve1",
      vmId: 5001,
      proxmox: {
        endpoint: "https://pve1.example.org:8006",
        insecure: false,
        apiToken: SECRETS.proxmoxApiToken,
      },
    });
    expect(question("ci-01-drain")).toMatchObject({
      vmName: "ci-01",
      limit: 3600,
      ssh: { address: "10.0.0.11", hostKey: HOST_KEY, privateKey: SECRETS.sshPrivateKey },
    });
  });

  it("are not in the commands, which are short, and need no environment", () => {
    for (const { name, type, inputs } of whole.resources) {
      if (type.endsWith(":Command")) {
        expect([name, inputs.environment, inputs.addPreviousOutputInEnv]).toEqual([
          name,
          undefined,
          false,
        ]);
        expect(String(inputs.create).length).toBeLessThan(500);
      }
    }
  });

  it("of providers and connections are in envelopes", () => {
    opened(whole.get("pulumi:providers:gitlab", "gitlab").inputs.token);
    opened(whole.get("pulumi:providers:proxmoxve", "proxmox").inputs.apiToken);
    opened(whole.get("pulumi:providers:proxmoxve", "proxmox").inputs.ssh);
    opened(whole.get("remote:Command", "ci-01-docker").inputs.connection);
    expect(whole.get("UserRunner", "ci-01-default").additionalSecretOutputs).toContain("token");
  });

  it("have no way into the state by a component's inputs", () => {
    const components = whole.resources.filter(({ custom }) => !custom);
    expect(components).toHaveLength(5);
    expect(components.map(({ inputs }) => inputs)).toEqual(components.map(() => ({})));
  });
});

describe("the machine", () => {
  it("holds still: what the provider does not read back is not compared", () => {
    const { ignoreChanges, inputs } = whole.get("VmLegacy", "ci-01-vm");
    expect(ignoreChanges).toEqual(["clone", "disks[0].speed", "disks[1].speed", "disks[2].speed"]);
    expect(inputs).toMatchObject({
      tags: ["gitlab-runner"],
      bootOrders: ["scsi0"],
      memory: { dedicated: 8192, floating: 8192 },
      disks: ["scsi0", "scsi1", "scsi2"].map((name) => ({
        interface: name,
        datastoreId: "local-lvm",
      })),
    });
  });

  it("with a fixed address keeps its name, and waits for no agent", () => {
    const { inputs } = whole.get("VmLegacy", "ci-01-vm");
    expect(inputs).toMatchObject({
      name: "ci-01",
      agent: { enabled: true, waitForIp: { disabled: true } },
      initialization: { ipConfigs: [{ ipv4: { address: "10.0.0.11/24", gateway: "10.0.0.1" } }] },
    });
    expect(inputs).not.toHaveProperty("vmId");
    expect(opened(whole.get("remote:Command", "ci-01-docker").inputs.connection)).toMatchObject({
      host: "10.0.0.11",
      user: "ops",
      hostKey: HOST_KEY,
    });
  });

  it("with DHCP has a name of its generation, and is reached at its own device's address", async () => {
    const one = await run({ values: dhcp() });
    const { inputs } = one.get("VmLegacy", "ci-01-vm");
    expect(inputs).toMatchObject({
      name: "ci-01-ab12",
      agent: { enabled: true, timeout: "5m", waitForIp: { ipv4: true } },
      initialization: { ipConfigs: [{ ipv4: { address: "dhcp" } }] },
    });
    expect(opened(one.get("remote:Command", "ci-01-docker").inputs.connection)).toMatchObject({
      host: "10.9.9.9",
    });
  });

  it("boots from a snippet that it names by plain text", () => {
    const { inputs } = whole.get("FileLegacy", "ci-01-vendor-data");
    const { fileName } = inputs.sourceRaw as { fileName: string };
    expect(fileName).toMatch(/^gitlab-runners-test-ci-01-[0-9a-f]{8}\.yaml$/);
    expect(whole.get("VmLegacy", "ci-01-vm").inputs.initialization).toMatchObject({
      vendorDataFileId: `local:snippets/${fileName}`,
    });
  });

  it("carries its mark from the start, and so do its records", () => {
    expect(whole.get("VmLegacy", "ci-01-vm").inputs.description).toBe("gitlab-runners/test/ci-01");
    expect(whole.get("UserRunner", "ci-01-default").inputs).toMatchObject({
      description: "gitlab-runners/test/ci-01 default",
      maintenanceNote: "gitlab-runners/test/ci-01",
    });
  });

  it("is given longer to shut down than it gives its jobs", async () => {
    const one = await run({
      values: fleet({
        "profiles.default.maximumTimeout": 7200,
        "profiles.builder.maximumTimeout": 9000,
      }),
    });
    const { timeoutShutdownVm, timeoutReboot } = one.get("VmLegacy", "ci-02-vm").inputs;
    const { text } = one.get("CopyToRemote", "ci-02-files-runner").inputs.source as {
      text: string;
    };
    const seconds = (key: string) =>
      [...text.matchAll(new RegExp(`${key}=(\\d+)`, "g"))].map((match) => Number(match[1]));
    const [stop, ...more] = seconds("TimeoutStopSec");
    expect(more).toEqual([]);
    expect(stop).toBeGreaterThan(9000);
    expect(seconds("JobTimeoutSec")).toHaveLength(3);
    seconds("JobTimeoutSec").forEach((limit) => {
      expect(limit).toBeGreaterThan(stop as number);
      expect(timeoutShutdownVm).toBeGreaterThan(limit);
      expect(timeoutReboot).toBeGreaterThan(limit);
    });
    expect(one.get("remote:Command", "ci-02-docker").inputs.create).toMatch(/timeout -k 60 10800 /);
  });

  it("that is protected in Proxmox is protected in Pulumi, before anything is drained", async () => {
    const one = await run({ values: fleet({ "hosts.ci-01.protection": true }) });
    const protectedOnes = one.resources.filter(({ protect }) => protect);
    expect(protectedOnes.map(({ name }) => name)).toEqual(["ci-01-vm"]);
    expect(one.get("VmLegacy", "ci-01-vm").inputs.protection).toBe(true);
  });

  it("is trusted by a key of the stack, or at the first contact, where the stack says so", async () => {
    const given = await run({ values: fleet({ "hosts.ci-01.ssh": { hostKey: PUBLIC_KEY } }) });
    expect(given.resources.some(({ name }) => name === "ci-01-trust")).toBe(false);
    expect(opened(given.get("remote:Command", "ci-01-docker").inputs.connection)).toMatchObject({
      hostKey: PUBLIC_KEY.split(" ").slice(0, 2).join(" "),
    });
    const first = await run({ values: fleet({ "hosts.ci-01.ssh": { trust: "first-use" } }) });
    expect(JSON.parse(opened(first.get("local:Command", "ci-01-trust").inputs.stdin))).toEqual({
      host: "ci-01",
      limit: 900,
      source: "network",
      address: "10.0.0.11",
    });
  });

  it("behind a bastion is reached through it, by steps and drain", async () => {
    const bastion = { host: "gate.example.org", user: "jump", hostKey: PUBLIC_KEY };
    const one = await run({ values: fleet({ "hosts.ci-01.ssh": { bastion } }) });
    expect(opened(one.get("remote:Command", "ci-01-docker").inputs.connection)).toMatchObject({
      host: "10.0.0.11",
      proxy: { host: "gate.example.org", port: 22, user: "jump", hostKey: PUBLIC_KEY },
    });
    expect(JSON.parse(opened(one.get("local:Command", "ci-01-drain").inputs.stdin))).toMatchObject({
      ssh: { bastion: { host: "gate.example.org", port: 22, user: "jump", hostKey: PUBLIC_KEY } },
    });
  });
});

describe("a preview of what does not exist yet", () => {
  it.each([
    ["static addresses", fleet()],
    ["DHCP", dhcp()],
  ])("shows everything with %s", async (_what, values) => {
    const preview = await run({ values, preview: true });
    const real = await run({ values });
    const names = (one: Run) => one.resources.map(({ urn }) => urn).sort();
    expect(names(preview)).toEqual(names(real));
  });

  it("shows which line of a file changes", async () => {
    const { inputs } = whole.get("CopyToRemote", "ci-01-files-config");
    const { text } = inputs.source as { text: string };
    expect(text).toContain('token = "@@RUNNER_TOKEN_DEFAULT@@"\n');
  });
});

describe("refusals", () => {
  it("are told from warnings, which are logged", async () => {
    const { log } = await run({ values: fleet({ "proxmox.insecure": true }) });
    expect(log).toEqual([expect.stringMatching(/^proxmox\.insecure: is true: .* trust the CA/)]);
    expect(whole.log).toEqual([]);
  });

  it("name everything that is wrong, in the words of config:check, and ask for nothing", async () => {
    const values = stackWith({
      "hosts.ci-02.address": "10.0.0.11/24",
      "hosts.ci-01.adress": "x",
      "profiles.default.tags": ["Ci"],
      "gitlab:token": "x",
      sshPrivateKey: undefined,
    });
    const { error, resources } = await runProgram({ values });
    const { errors } = parseStack({
      project: PROJECT,
      stack: "test",
      values: Object.fromEntries(Object.entries(values).filter(([key]) => !key.includes(":"))),
      others: { "gitlab:token": "x" },
      secretKeys: new Set(Object.keys(SECRETS)),
    });
    expect(errors).toHaveLength(4);
    const lines = error?.message.split("\n") ?? [];
    expect(lines[0]).toBe("The configuration of stack test has 5 errors; nothing was changed.");
    expect(lines.slice(1)).toEqual(
      expect.arrayContaining(errors.map(({ path, message }) => `${path}: ${message}`)),
    );
    expect(lines.slice(1)).toContainEqual(expect.stringMatching(/^sshPrivateKey: is missing/));
    expect(resources.map(({ type }) => type)).toEqual(["pulumi:pulumi:Stack"]);
  });

  it("do not show a secret that stands in the wrong place", async () => {
    const { error } = await runProgram({ values: stackWith({ gitlab: SECURE }) });
    expect(error?.message).toContain("gitlab: holds an encrypted value");
  });

  it("name each host whose template is missing or not unique", async () => {
    const { error, resources } = await runProgram({
      values: fleet({ "hosts.ci-01.template": 1234, "hosts.ci-02.template": "nothing" }),
      templates: [TEMPLATE, { ...TEMPLATE, vmId: 9001 }],
    });
    expect(error?.message.split("\n")).toEqual([
      expect.stringMatching(/^ci-01: no template has the id 1234\. The token sees: 9000 debian-13/),
      expect.stringMatching(/^ci-02: no template has the tag "nothing"/),
      expect.stringMatching(/^ci-03: 2 templates have the tag "ci-template": 9000 .* 9001/),
    ]);
    expect(resources.filter(({ type }) => type.endsWith(":VmLegacy"))).toEqual([]);
  });

  it("say which right is missing when no template is seen", async () => {
    const { error } = await runProgram({ templates: [] });
    expect(error?.message).toContain("it needs VM.Audit on the template");
  });

  it("stop a deployment by one of the stack's own runners, but not a preview", async () => {
    const env = { CI_RUNNER_DESCRIPTION: "gitlab-runners/test/ci-01 default" };
    const { error, resources } = await runProgram({ env });
    expect(error?.message).toContain("a runner of the stack that it would change");
    expect(resources.filter(({ custom }) => custom)).toEqual([]);
    await run({ env, preview: true });
    await run({ env: { CI_RUNNER_DESCRIPTION: "gitlab-runners/other/ci-01 default" } });
  });

  it("of DHCP without an address say what to do", () => {
    const macs = ["bc:24:11:00:00:01"];
    expect(() => addressOf("ci-01", "BC:24:11:00:00:01", macs, [["169.254.1.1"]])).toThrow(
      /ci-01: the guest agent reports no IPv4 address for network device BC:24.* static one/,
    );
  });
});
