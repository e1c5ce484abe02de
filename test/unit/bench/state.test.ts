import { adopt } from "../../../bench/preview/adopt";
import { bareResources, flatten } from "../../../bench/preview/bare";
import { replicate } from "../../../bench/preview/replicate";
import { SECRET, SIGNATURE, type State } from "../../../bench/preview/state";

const secret = (value: unknown) => ({ [SIGNATURE]: SECRET, plaintext: JSON.stringify(value) });
const urn = (stack: string, types: string, name: string) =>
  `urn:pulumi:${stack}::project::${types}::${name}`;

const stackUrn = urn("one", "pulumi:pulumi:Stack", "project-one");
const providerUrn = urn("one", "pulumi:providers:cloud", "cloud");
const hostUrn = urn("one", "own:index:Host", "ci-1");
const vmTypes = "own:index:Host$cloud:index:Vm";
const vmUrn = urn("one", vmTypes, "ci-1-vm");

/** A stack with a provider, and a host with a VM. */
const STATE: State = {
  version: 3,
  deployment: {
    resources: [
      {
        urn: stackUrn,
        type: "pulumi:pulumi:Stack",
        custom: false,
        outputs: { hosts: { "ci-1": { address: "10.0.0.1", vmId: 100 } } },
      },
      {
        urn: providerUrn,
        type: "pulumi:providers:cloud",
        custom: true,
        inputs: {
          version: "1.2.3",
          __internal: { pluginDownloadURL: "there" },
          token: secret("t"),
        },
        parent: stackUrn,
      },
      { urn: hostUrn, type: "own:index:Host", custom: false, parent: stackUrn },
      {
        urn: vmUrn,
        type: "cloud:index:Vm",
        custom: true,
        inputs: {
          __defaults: ["bios"],
          bios: "default",
          name: "ci-1",
          address: "10.0.0.1",
          size: 1100,
          vmId: 100,
          hash: "of ci 1",
          ask: secret(JSON.stringify({ host: "ci-1", vmId: 100 })),
          files: { [SIGNATURE]: "archive", path: "./files" },
        },
        outputs: { name: "ci-1", hash: "of ci 1", more: { hash: "of ci 1" } },
        parent: hostUrn,
        provider: `${providerUrn}::0-1`,
        dependencies: [hostUrn, providerUrn],
      },
    ],
  },
};

const FROM = { stack: "one", host: { name: "ci-1", address: "10.0.0.1", vmId: 100 } };
const TO = {
  stack: "many",
  hosts: [
    { name: "ci-7", address: "10.0.0.7", vmId: 107 },
    { name: "ci-8", address: "10.0.0.8", vmId: 108 },
  ],
};
const copied = replicate(STATE, FROM, TO);
const copy = (name: string) =>
  copied.deployment.resources.find((resource) => resource.urn.endsWith(`::${name}`));

describe("a state for many hosts", () => {
  it("has what is shared once, and each host with what is its own", () => {
    expect(copied.deployment.resources.map((resource) => resource.urn)).toEqual([
      urn("many", "pulumi:pulumi:Stack", "project-many"),
      urn("many", "pulumi:providers:cloud", "cloud"),
      urn("many", "own:index:Host", "ci-7"),
      urn("many", vmTypes, "ci-7-vm"),
      urn("many", "own:index:Host", "ci-8"),
      urn("many", vmTypes, "ci-8-vm"),
    ]);
    expect(copy("ci-8-vm")?.parent).toBe(urn("many", "own:index:Host", "ci-8"));
  });

  it("has each host's name, address and VM id wherever they stand, secrets included", () => {
    expect(copy("ci-8-vm")?.inputs).toMatchObject({
      name: "ci-8",
      address: "10.0.0.8",
      size: 1100,
      vmId: 108,
      ask: secret(JSON.stringify({ host: "ci-8", vmId: 108 })),
    });
    expect(copy("project-many")?.outputs).toEqual({
      hosts: {
        "ci-7": { address: "10.0.0.7", vmId: 107 },
        "ci-8": { address: "10.0.0.8", vmId: 108 },
      },
    });
  });
});

describe("what a preview would register", () => {
  const inputs = {
    ...copy("ci-8-vm")?.inputs,
    hash: "of ci 8",
    ask: "[secret]",
    size: "04da6b54-80e4-46f7-96ec-b56ff0331ba9",
  };
  const step = (op: string) => [{ op, urn: urn("many", vmTypes, "ci-8-vm"), newState: { inputs } }];
  const adopted = (op: string) => adopt(copied, step(op)).deployment.resources;

  it("is taken over, but for secrets and for what is not known", () => {
    expect(adopted("update").at(-1)?.inputs).toEqual({
      ...copy("ci-8-vm")?.inputs,
      hash: "of ci 8",
    });
  });

  it("is taken over into outputs that repeat it", () => {
    expect(adopted("update").at(-1)?.outputs).toMatchObject({ name: "ci-8", hash: "of ci 8" });
  });

  it("touches nothing else", () => {
    expect(adopted("update").slice(0, -1)).toEqual(copied.deployment.resources.slice(0, -1));
    expect(adopted("same")).toEqual(copied.deployment.resources);
  });
});

describe("a program of bare resources", () => {
  const flat = flatten(STATE, "bare", "/checkout");

  it("has the providers and resources without components, below the stack", () => {
    const vm = flat.deployment.resources.at(-1);
    expect(flat.deployment.resources.map((resource) => resource.urn)).toEqual([
      "urn:pulumi:one::bare::pulumi:pulumi:Stack::bare-one",
      "urn:pulumi:one::bare::pulumi:providers:cloud::cloud",
      "urn:pulumi:one::bare::cloud:index:Vm::ci-1-vm",
    ]);
    expect(vm).toMatchObject({
      parent: "urn:pulumi:one::bare::pulumi:pulumi:Stack::bare-one",
      provider: "urn:pulumi:one::bare::pulumi:providers:cloud::cloud::0-1",
      dependencies: ["urn:pulumi:one::bare::pulumi:providers:cloud::cloud"],
      inputs: { files: { path: "/checkout/files" } },
    });
  });

  it("registers what was given, without defaults, from the same plugin", () => {
    const [provider, vm] = bareResources(flat);
    expect(provider).toMatchObject({ name: "cloud", inputs: { token: secret("t") } });
    expect(Object.keys(provider?.inputs ?? {})).toEqual(["token"]);
    expect(vm).toMatchObject({
      type: "cloud:index:Vm",
      provider: "cloud",
      version: "1.2.3",
      pluginDownloadURL: "there",
    });
    expect(vm?.inputs).not.toHaveProperty("bios");
    expect(vm?.inputs).not.toHaveProperty("__defaults");
  });
});
