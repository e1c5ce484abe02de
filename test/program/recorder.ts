import * as pulumi from "@pulumi/pulumi";
import { MockMonitor, MockResourceArgs } from "@pulumi/pulumi/runtime/mocks";

import { PROJECT } from "../../config/project";
import program from "../../index";
import { goodStack, Values } from "../unit/config/fixture";

/** A resource as the program asked for it. */
export interface Recorded {
  readonly urn: string;
  readonly type: string;
  readonly name: string;
  readonly parent: string;
  readonly provider: string;
  readonly custom: boolean;
  /** Inputs on the wire: secrets are envelopes, what is unknown is a marker. */
  readonly inputs: Readonly<Record<string, unknown>>;
  /** URNs that it has to come after: what it says, and what its inputs come from. */
  readonly after: readonly string[];
  readonly protect: boolean;
  /** Undefined where the program leaves it to the provider. */
  readonly deleteBeforeReplace: boolean | undefined;
  readonly ignoreChanges: readonly string[];
  readonly additionalSecretOutputs: readonly string[];
  readonly deletedWith: string;
  readonly replacementTrigger: unknown;
}

export interface Invoked {
  readonly token: string;
  readonly inputs: unknown;
}

/** What a run of the program did. */
export interface Run {
  readonly resources: readonly Recorded[];
  readonly invokes: readonly Invoked[];
  readonly outputs: unknown;
  readonly error: Error | undefined;
  readonly log: readonly string[];
  /** The one resource of a type and name; the type may be shortened to its last part. */
  readonly get: (type: string, name: string) => Recorded;
}

export interface World {
  /** The stack's configuration; secrets by `SECRETS`. */
  readonly values?: Values;
  readonly preview?: boolean;
  readonly templates?: readonly Values[];
  /** Generation and VM id of a host's machine. */
  readonly machines?: Readonly<Record<string, { generation?: string; id?: number }>>;
  readonly env?: Readonly<Record<string, string>>;
}

/** The secrets of every run, none of which may be seen outside of an envelope. */
export const SECRETS = {
  proxmoxApiToken: "pulumi@pve!ci=0a1b2c3d-secret-of-proxmox",
  proxmoxSshPrivateKey: "-----secret key of the nodes-----",
  gitlabToken: "glpat-secret-of-gitlab",
  sshPrivateKey: "-----secret key of the hosts-----",
  canaryTriggerToken: "glptt-secret-of-the-canary",
};

/** Begins every runner token. */
export const TOKEN_PREFIX = "glrt-secret-of-";

export const HOST_KEY = "ssh-ed25519 AAAAhostkey";
export const TEMPLATE = { vmId: 9000, name: "debian-13", nodeName: "pve1", tags: ["ci-template"] };

const SIGNATURE = "4dabf18193072939515e22adb298388d";
const SECRET = "1b47061264138c4ac30d75fd1eb44270";

/** Runs the whole of `index.ts` against an engine that records. */
export async function runProgram(world: World = {}): Promise<Run> {
  const log: string[] = [];
  const resources: Recorded[] = [];
  const invokes: Invoked[] = [];
  /* eslint-disable @typescript-eslint/no-explicit-any -- what is on the wire has no types */
  class Recorder extends MockMonitor {
    override async registerResource(request: any, callback: any): Promise<void> {
      const asked = request.toObject();
      await super.registerResource(request, (error: unknown, response: any) => {
        resources.push({
          urn: response?.getUrn(),
          type: asked.type,
          name: asked.name,
          parent: asked.parent,
          provider: asked.provider,
          custom: asked.custom,
          inputs: request.getObject()?.toJavaScript() ?? {},
          after: [
            ...asked.dependenciesList,
            ...asked.propertydependenciesMap.flatMap(([, { urnsList }]: any) => urnsList),
          ],
          protect: asked.protect ?? false,
          deleteBeforeReplace: asked.deletebeforereplacedefined
            ? asked.deletebeforereplace
            : undefined,
          ignoreChanges: asked.ignorechangesList,
          additionalSecretOutputs: asked.additionalsecretoutputsList,
          deletedWith: asked.deletedwith,
          replacementTrigger: request.getReplacementTrigger()?.toJavaScript(),
        });
        callback(error, response);
      });
    }
  }

  const mocks = {
    newResource: ({ type, name, inputs }: MockResourceArgs) => answer(type, name, inputs, world),
    call: ({ token, inputs }: pulumi.runtime.MockCallArgs) => {
      invokes.push({ token, inputs });
      return { ...inputs, vms: world.templates ?? [TEMPLATE] };
    },
  };
  const stack = "test";
  const preview = world.preview ?? false;
  await pulumi.runtime.setMocks(mocks, PROJECT, stack, preview);
  pulumi.runtime.setMockOptions(new Recorder(mocks), PROJECT, stack, preview);
  const { config, secretKeys } = configOf(world.values ?? goodStack());
  pulumi.runtime.setAllConfig(config, secretKeys);
  jest.spyOn(pulumi.log, "warn").mockImplementation((message) => {
    log.push(message);
    return Promise.resolve();
  });

  const env = process.env;
  process.env = { ...env, ...world.env };
  let error: Error | undefined;
  const outputs = await pulumi.runtime.runInPulumiStack(async () => {
    try {
      return await program();
    } catch (caught) {
      // Pulumi's own host would report it; here it must not end the process.
      error = caught as Error;
      return {};
    }
  });
  const plainOutputs = await new Promise((resolve) => pulumi.output(outputs).apply(resolve));
  process.env = env;
  await pulumi.runtime.disconnect();
  /* eslint-enable */
  const get = (type: string, name: string) => {
    const found = resources.filter(
      (one) => one.name === name && (one.type === type || one.type.endsWith(`:${type}`)),
    );
    expect(found.map(({ urn }) => urn)).toHaveLength(1);
    return found[0] as Recorded;
  };
  return { resources, invokes, outputs: plainOutputs, error, log, get };
}

/** Configuration as the engine hands it over: maps as JSON, secrets in the clear and named. */
function configOf(values: Values) {
  const config: Record<string, string> = {};
  const secretKeys: string[] = [];
  for (const [key, value] of Object.entries(values)) {
    const fullKey = key.includes(":") ? key : `${PROJECT}:${key}`;
    if (isSecure(value)) {
      config[fullKey] = SECRETS[key as keyof typeof SECRETS] ?? "secret";
      secretKeys.push(fullKey);
    } else {
      config[fullKey] = typeof value === "string" ? value : JSON.stringify(value);
    }
  }
  return { config, secretKeys };
}

function isSecure(value: unknown): boolean {
  return typeof value === "object" && value !== null && "secure" in value;
}

/** What a provider would answer; in a preview, only what it knows before anything exists. */
function answer(type: string, name: string, inputs: Values, world: World) {
  const host = name.replace(/-(vm|generation|trust)$/, "");
  const machine = world.machines?.[host] ?? {};
  const known = { id: world.preview ? undefined : `${name}-id`, state: { ...inputs } };
  if (world.preview) {
    return known;
  }
  switch (type) {
    case "random:index/randomString:RandomString":
      return { ...known, state: { ...inputs, result: machine.generation ?? "ab12" } };
    case "gitlab:index/userRunner:UserRunner":
      return {
        ...known,
        state: { ...inputs, token: { [SIGNATURE]: SECRET, value: `${TOKEN_PREFIX}${name}` } },
      };
    case "proxmoxve:index/vmLegacy:VmLegacy": {
      const id = machine.id ?? (inputs.vmId as number | undefined) ?? 5001;
      return {
        id: String(id),
        state: {
          ...inputs,
          vmId: id,
          macAddresses: ["00:00:00:00:00:00", "02:42:00:00:00:01", "BC:24:11:00:00:01"],
          ipv4Addresses: [["127.0.0.1"], ["172.17.0.1"], ["169.254.7.7", "10.9.9.9"]],
          networkDevices: [{ macAddress: "bc:24:11:00:00:01" }],
        },
      };
    }
    case "command:local:Command":
      return { ...known, state: { ...inputs, stdout: HOST_KEY } };
    default:
      return known;
  }
}

/** The value in a secret's envelope; fails for anything else. */
export function opened(value: unknown): string {
  expect(value).toMatchObject({ [SIGNATURE]: SECRET });
  return (value as { value: string }).value;
}

/** All text of a value that is not in an envelope, as one string. */
export function plainText(value: unknown): string {
  if (typeof value === "object" && value !== null) {
    return (value as Values)[SIGNATURE] === SECRET
      ? ""
      : Object.entries(value)
          .map(([key, inner]) => `${key}\n${plainText(inner)}`)
          .join("\n");
  }
  return String(value);
}
