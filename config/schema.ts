/*
 * What may stand in a stack file, key by key. Rules across keys: rules.ts. Defaults: defaults.ts.
 */
import { z } from "zod";

import * as format from "./formats";
import { nearest, show } from "./issues";

/**
 * An object that takes no other keys, and says which known one is near to an unknown one: a line for
 * each unknown key.
 */
function object<T extends z.ZodRawShape>(shape: T) {
  return z.strictObject(shape, {
    error: (issue) => {
      if (issue.code === "unrecognized_keys") {
        return issue.keys.map((key) => unknownKey(key, Object.keys(shape))).join("\n");
      }
      return issue.code === "invalid_type"
        ? `is ${show(issue.input)}: a map of keys is needed here`
        : undefined;
    },
  });
}

/** What is said of a key that does not exist. */
export function unknownKey(key: string, known: readonly string[]): string {
  const hint = nearest(key, known);
  return hint === undefined
    ? `is unknown: remove it (known here: ${known.join(", ")})`
    : `is unknown: did you mean "${hint}"?`;
}

const needed = (what: string) => (issue: { code: string; input?: unknown }) =>
  issue.code === "invalid_type"
    ? issue.input === undefined
      ? `is missing: give ${what}`
      : `is ${show(issue.input)}: give ${what}`
    : undefined;

/** Text that has to pass a check of formats.ts. */
function text(what: string, check?: (value: string) => string | undefined) {
  return z.string({ error: needed(what) }).superRefine((value, context) => {
    const problem = value.trim() === "" ? `is empty: give ${what}` : check?.(value);
    if (problem !== undefined) {
      const message = problem.startsWith("is empty") ? problem : `${show(value)} ${problem}`;
      context.addIssue({ code: "custom", message });
    }
  });
}

function integer(what: string, min: number, max: number) {
  const message = (value: unknown) => `is ${show(value)}: give ${what} from ${min} to ${max}`;
  return z
    .number({ error: needed(`${what} from ${min} to ${max}`) })
    .superRefine((value, context) => {
      if (!Number.isInteger(value) || value < min || value > max) {
        context.addIssue({ code: "custom", message: message(value) });
      }
    });
}

const flag = () => z.boolean({ error: needed("true or false") });

function choice<const T extends readonly [string, ...string[]]>(values: T) {
  return z.enum(values, {
    error: (issue) => `is ${show(issue.input)}: choose one of ${values.join(", ")}`,
  });
}

const list = <T extends z.ZodType>(of: T) => z.array(of, { error: needed("a list") });

const vmId = () => integer("a VM id", 100, 999_999_999);
const storage = () => text("a Proxmox storage", format.storageName);
const disk = (min: number) =>
  z.union(
    [
      integer("a size in GiB", min, 65_536),
      object({
        size: integer("a size in GiB", min, 65_536).optional(),
        datastore: storage().optional(),
      }),
    ],
    {
      error: (issue) =>
        `is ${show(issue.input)}: give a size in GiB of at least ${min}, or {size, datastore}`,
    },
  );

const aptSource = object({
  url: text("the repository's address", format.httpUrl).optional(),
  suite: text("a suite such as trixie", format.word).optional(),
  component: text("a component such as main", format.word).optional(),
  keyUrl: text("where the signing key is", format.httpUrl).optional(),
  keyFingerprint: text("the signing key's fingerprint", format.fingerprint).optional(),
});

const ssh = object({
  user: text("the admin user", format.linuxUser).optional(),
  authorizedKeys: list(text("an SSH public key", format.sshPublicKey))
    .min(1, {
      error: "is empty: give at least one SSH public key, the first that of sshPrivateKey",
    })
    .optional(),
  trust: choice(["agent", "first-use"]).optional(),
  hostKey: text("the host's public key", format.sshPublicKey).optional(),
  bastion: object({
    host: text("the bastion's name or address", format.endpoint),
    port: integer("a port", 1, 65_535).optional(),
    user: text("the user on the bastion", format.word),
    hostKey: text("the bastion's public host key", format.sshPublicKey),
  }).optional(),
});

const docker = object({
  source: choice(["distribution", "docker"]).optional(),
  repository: aptSource.optional(),
  version: text("a package version", format.packageVersion).optional(),
  registryMirrors: list(text("a mirror's address", format.httpUrl)).optional(),
  addressPools: list(
    object({ base: text("a network", format.cidr), size: integer("a prefix length", 8, 30) }),
  ).optional(),
  logMaxSize: text("a size", format.dockerSize).optional(),
  logMaxFiles: integer("a number of files", 1, 100).optional(),
  liveRestore: flag().optional(),
  openFiles: integer("a number of open files", 1024, 1_048_576).optional(),
});

const runner = object({
  repository: aptSource.optional(),
  version: text("a version", format.runnerVersion).optional(),
  concurrent: integer("a number of jobs", 1, 256).optional(),
  checkInterval: integer("seconds", 1, 3600).optional(),
  logLevel: choice(["debug", "info", "warn", "error"]).optional(),
  metricsListen: text("an address with a port", format.listenAddress).optional(),
  drainTimeout: integer("seconds", 60, 604_800).optional(),
});

/** Keys of a host; `defaults` takes the same. */
export const hostSchema = object({
  node: text("a Proxmox node", format.dnsLabel).optional(),
  template: z
    .union([vmId(), text("a template's tag", format.proxmoxTag)], {
      error: (issue) => `is ${show(issue.input)}: give a template's id (a number) or its tag`,
    })
    .optional(),
  address: text('"dhcp" or an address such as 10.0.0.11/24', format.hostAddress).optional(),
  gateway: text("the gateway's address", format.ipv4Address).optional(),
  dns: list(text("a DNS server", format.ipAddress)).optional(),
  searchDomain: text("a domain", format.endpoint).optional(),
  bridge: text("a bridge such as vmbr0", format.bridgeName).optional(),
  vlan: integer("a VLAN", 1, 4094).optional(),
  mtu: integer("an MTU", 576, 65_520).optional(),
  firewall: flag().optional(),
  vmId: vmId().optional(),
  pool: text("a Proxmox pool", format.poolName).optional(),
  cpuType: text("a CPU type such as host", format.word).optional(),
  cores: integer("a number of cores", 1, 512).optional(),
  memory: integer("MiB", 1024, 4_194_304).optional(),
  tags: list(text("a Proxmox tag", format.proxmoxTag)).optional(),
  onBoot: flag().optional(),
  protection: flag().optional(),
  datastore: storage().optional(),
  disks: object({
    root: disk(10).optional(),
    docker: disk(10).optional(),
    cache: disk(1).optional(),
  }).optional(),
  ssh: ssh.optional(),
  aptProxy: text("a proxy's address", format.httpUrl).optional(),
  docker: docker.optional(),
  runner: runner.optional(),
  profiles: list(text("the name of a profile"))
    .min(1, { error: "is empty: a host serves at least one profile" })
    .optional(),
});

const pullPolicies = list(choice(["always", "if-not-present", "never"]));

const executor = object({
  image: text("an image", format.word).optional(),
  helperImage: text("an image", format.word).optional(),
  privileged: flag().optional(),
  capDrop: list(text("a capability", format.capability)).optional(),
  capAdd: list(text("a capability", format.capability)).optional(),
  securityOpt: list(text("a security option", format.word)).optional(),
  pullPolicy: pullPolicies.optional(),
  allowedPullPolicies: pullPolicies.optional(),
  allowedImages: list(text("an image pattern", format.word)).optional(),
  allowedServices: list(text("an image pattern", format.word)).optional(),
  servicesLimit: integer("a number of services", 0, 100).optional(),
  memory: text("a size", format.dockerSize).optional(),
  memorySwap: text("a size", format.dockerSize).optional(),
  cpus: text("a number of CPUs in quotes", format.cpuCount).nullable().optional(),
  serviceMemory: text("a size", format.dockerSize).optional(),
  serviceCpus: text("a number of CPUs in quotes", format.cpuCount).nullable().optional(),
  shmSize: integer("bytes", 1_048_576, 1_099_511_627_776).optional(),
  volumes: list(text("a volume such as /cache", format.volume)).optional(),
  ulimit: z
    .record(z.string(), text('a limit such as "65536", in quotes', format.ulimit))
    .optional(),
  networkMtu: integer("an MTU", 576, 65_520).optional(),
  waitForServicesTimeout: integer("seconds", -1, 3600).optional(),
});

export const profileSchema = object({
  project: integer("a project's numeric id", 1, Number.MAX_SAFE_INTEGER).optional(),
  group: integer("a group's numeric id", 1, Number.MAX_SAFE_INTEGER).optional(),
  instance: z
    .literal(true, { error: (issue) => `is ${show(issue.input)}: write true or leave it out` })
    .optional(),
  tags: list(text("a tag for jobs", format.jobTag)).optional(),
  runUntagged: flag().optional(),
  locked: flag().optional(),
  paused: flag().optional(),
  protected: flag().optional(),
  maximumTimeout: integer("seconds", 600, 604_800).optional(),
  limit: integer("a number of jobs", 1, 256).optional(),
  requestConcurrency: integer("a number of requests", 1, 64).optional(),
  outputLimit: integer("KiB", 64, 1_048_576).optional(),
  environment: list(text("a variable", format.environmentEntry)).optional(),
  featureFlags: z
    .record(z.string().regex(/^FF_[A-Z_]+$/, "is no feature flag: they are called FF_…"), flag())
    .optional(),
  docker: executor.optional(),
});

const named = <T extends z.ZodType>(what: string, of: T) =>
  z.record(z.string(), of, { error: needed(`a map of ${what} by name`) });

/** The whole stack file, without its secrets. What must be there is asked for in parse.ts. */
export const stackSchema = object({
  proxmox: object({
    endpoint: text("the API's address, https://host:8006", format.withoutPath).optional(),
    insecure: flag().optional(),
    vmIds: object({ from: vmId(), to: vmId() }).optional(),
    snippets: storage().optional(),
    ssh: object({
      username: text("the user who uploads snippets", format.word).optional(),
      nodes: named(
        "nodes",
        object({
          address: text("the node's name or address", format.endpoint),
          port: integer("a port", 1, 65_535).optional(),
        }),
      ).optional(),
    }).optional(),
  }).optional(),
  gitlab: object({
    url: text("GitLab's address, https://host", format.gitlabUrl).optional(),
  }).optional(),
  caCertificates: text("PEM certificates", format.pemCertificates).optional(),
  canary: object({
    project: integer("a project's numeric id", 1, Number.MAX_SAFE_INTEGER),
    ref: text("a branch or tag", format.word).optional(),
    timeout: integer("seconds", 60, 7200).optional(),
  }).optional(),
  rollout: object({ parallel: integer("a number of hosts", 1, 64).optional() }).optional(),
  defaults: hostSchema.optional(),
  profiles: named("profiles", profileSchema).optional(),
  hosts: named("hosts", hostSchema).optional(),
});

export type RawStack = z.infer<typeof stackSchema>;
export type RawHost = z.infer<typeof hostSchema>;
export type RawProfile = z.infer<typeof profileSchema>;
export type RawAptSource = z.infer<typeof aptSource>;
