import * as defaults from "./defaults";
import * as format from "./formats";
import { ConfigIssue, SECRET_LIKE, show } from "./issues";
import type {
  AptSource,
  DiskConfig,
  ExecutorConfig,
  HostConfig,
  ProfileConfig,
  RunnerScope,
  SecretKey,
  SshConfig,
  StackConfig,
} from "./model";
import { SECRET_KEYS } from "./model";
import { checkRules } from "./rules";
import { RawAptSource, RawHost, RawProfile, RawStack, stackSchema } from "./schema";

/** A stack file as it was read: values by key without the project's prefix. */
export interface StackSource {
  readonly project: string;
  readonly stack: string;
  readonly values: Readonly<Record<string, unknown>>;
  /** Keys whose values are encrypted; their values need not be in `values`. */
  readonly secretKeys: ReadonlySet<string>;
}

export interface ParseResult {
  /** Only when there are no errors. */
  readonly config: StackConfig | undefined;
  readonly errors: readonly ConfigIssue[];
  readonly warnings: readonly ConfigIssue[];
}

/** Reads, defaults and checks a whole stack file; reports everything that is wrong at once. */
export function parseStack(source: StackSource): ParseResult {
  const errors: ConfigIssue[] = [];
  const warnings: ConfigIssue[] = [];
  const plain: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(source.values)) {
    if (key in SECRET_KEYS) {
      if (!source.secretKeys.has(key)) {
        errors.push({ path: key, message: plainSecret(key as SecretKey) });
      }
    } else if (/registration.?token/i.test(key)) {
      errors.push({ path: key, message: REGISTRATION_TOKEN });
    } else {
      plain[key] = value;
      errors.push(...secretsIn(value, key));
    }
  }
  for (const key of Object.keys(SECRET_KEYS) as SecretKey[]) {
    if (key === "canaryTriggerToken") {
      continue;
    }
    if (!source.secretKeys.has(key) && source.values[key] === undefined) {
      warnings.push({
        path: key,
        message: `is missing: ${SECRET_KEYS[key]}. Set it with: pulumi config set --secret ${key}`,
      });
    }
  }
  const parsed = stackSchema.safeParse(plain);
  if (!parsed.success) {
    errors.push(
      ...parsed.error.issues.map((issue) => ({
        path: issue.path.map(String).join(".") || "stack file",
        message: issue.path.some((part) => /registration.?token/i.test(String(part)))
          ? REGISTRATION_TOKEN
          : issue.message,
      })),
    );
    return { config: undefined, errors: unique(errors), warnings };
  }
  const config = resolve(source, parsed.data, errors);
  if (config.canary !== undefined && !source.secretKeys.has("canaryTriggerToken")) {
    warnings.push({
      path: "canaryTriggerToken",
      message: `is missing: ${SECRET_KEYS.canaryTriggerToken}. Set it with: pulumi config set --secret canaryTriggerToken`,
    });
  }
  checkRules(config, parsed.data, errors, warnings);
  return { config: errors.length === 0 ? config : undefined, errors: unique(errors), warnings };
}

const REGISTRATION_TOKEN =
  "registration tokens are not supported: GitLab removes them. Remove the key; this program creates " +
  "the runner itself and gets an authentication token (glrt-…) for it. It needs gitlabToken with the " +
  "scopes create_runner and manage_runner";

function plainSecret(key: SecretKey): string {
  return (
    `stands in plain text: it is ${SECRET_KEYS[key]}. Remove the line, revoke what it held, and set it ` +
    `with: pulumi config set --secret ${key}`
  );
}

/** Looks for secrets where none belongs. */
function secretsIn(value: unknown, path: string): ConfigIssue[] {
  if (typeof value === "string") {
    if (/GR1348941/.test(value)) {
      return [{ path, message: REGISTRATION_TOKEN }];
    }
    return SECRET_LIKE.test(value)
      ? [
          {
            path,
            message:
              "holds what looks like a token or private key: secrets stand only under " +
              `${Object.keys(SECRET_KEYS).join(", ")}, set with pulumi config set --secret`,
          },
        ]
      : [];
  }
  if (typeof value === "object" && value !== null) {
    return Object.entries(value).flatMap(([key, inner]) => [
      ...(/registration.?token/i.test(key)
        ? [{ path: `${path}.${key}`, message: REGISTRATION_TOKEN }]
        : []),
      ...secretsIn(inner, `${path}.${key}`),
    ]);
  }
  return [];
}

function unique(issues: readonly ConfigIssue[]): ConfigIssue[] {
  const seen = new Map(issues.map((issue) => [`${issue.path}\n${issue.message}`, issue]));
  return [...seen.values()];
}

function resolve(source: StackSource, raw: RawStack, errors: ConfigIssue[]): StackConfig {
  const profiles = new Map<string, ProfileConfig>();
  const base = raw.defaults ?? {};
  const hosts = Object.entries(raw.hosts)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, host]) => resolveHost(name, merge(base, host), raw.profiles, errors));
  for (const name of Object.keys(raw.profiles)) {
    const problem = format.dnsLabel(name);
    if (problem !== undefined) {
      errors.push({ path: `profiles.${name}`, message: `${show(name)} ${problem}` });
    }
    if (profiles.has(name)) {
      continue;
    }
  }
  return {
    project: source.project,
    stack: source.stack,
    proxmox: {
      endpoint: raw.proxmox.endpoint.replace(/\/$/, ""),
      insecure: raw.proxmox.insecure ?? false,
      vmIds: raw.proxmox.vmIds ?? defaults.VM_IDS,
      snippets: raw.proxmox.snippets ?? defaults.SNIPPETS_DATASTORE,
      ssh: {
        username: raw.proxmox.ssh.username,
        nodes: Object.entries(raw.proxmox.ssh.nodes ?? {})
          .sort(([a], [b]) => (a < b ? -1 : 1))
          .map(([name, { address, port }]) => ({ name, address, port: port ?? 22 })),
      },
    },
    gitlab: { url: raw.gitlab.url.replace(/\/+$/, "") },
    caCertificates: raw.caCertificates,
    canary: raw.canary && {
      project: raw.canary.project,
      ref: raw.canary.ref ?? defaults.CANARY_REF,
      timeout: raw.canary.timeout ?? defaults.CANARY_TIMEOUT,
    },
    rollout: raw.rollout ?? { parallel: 1 },
    hosts,
  };
}

/** A host's keys over the defaults, map by map; lists and values are taken whole. */
export function merge<T>(base: T, over: T): T {
  if (!isMap(base) || !isMap(over)) {
    return over === undefined ? base : over;
  }
  const keys = new Set([...Object.keys(base), ...Object.keys(over)]);
  return Object.fromEntries(
    [...keys].map((key) => [key, merge(base[key], over[key])]),
  ) as unknown as T;
}

function isMap(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function resolveHost(
  name: string,
  raw: RawHost,
  rawProfiles: Readonly<Record<string, RawProfile>>,
  errors: ConfigIssue[],
): HostConfig {
  const at = (key: string) => `hosts.${name}.${key}`;
  const need = <T>(key: string, value: T | undefined, what: string, stand: T): T => {
    if (value === undefined) {
      errors.push({ path: at(key), message: `is missing: give ${what}, here or under defaults` });
      return stand;
    }
    return value;
  };
  const nameProblem = format.hostName(name);
  if (nameProblem !== undefined) {
    errors.push({ path: `hosts.${name}`, message: `${show(name)} ${nameProblem}` });
  }
  const address = need("address", raw.address, '"dhcp" or an address such as 10.0.0.11/24', "dhcp");
  const datastore = raw.datastore ?? defaults.HOST.datastore;
  const concurrent = raw.runner?.concurrent ?? defaults.RUNNER.concurrent;
  const mtu = raw.mtu;
  const profileNames = [...new Set(raw.profiles ?? ["default"])];
  const profiles = profileNames.flatMap((profile) => {
    const found = rawProfiles[profile];
    if (found === undefined) {
      errors.push({
        path: at("profiles"),
        message: `names "${profile}", which is not under profiles: add it there or choose one of ${
          Object.keys(rawProfiles).join(", ") || "(none)"
        }`,
      });
      return [];
    }
    return [resolveProfile(profile, found, concurrent, mtu)];
  });
  const longest = Math.max(0, ...profiles.map(({ maximumTimeout }) => maximumTimeout));
  const template = raw.template ?? defaults.HOST.template;
  return {
    name,
    node: need("node", raw.node, "the Proxmox node that the machine runs on", "node"),
    template: typeof template === "number" ? { id: template } : { tag: template },
    vm: {
      id: raw.vmId,
      pool: raw.pool,
      cpuType: raw.cpuType ?? defaults.HOST.cpuType,
      cores: raw.cores ?? defaults.HOST.cores,
      memory: raw.memory ?? defaults.HOST.memory,
      tags: [...new Set(raw.tags ?? defaults.HOST.tags)].sort(),
      onBoot: raw.onBoot ?? defaults.HOST.onBoot,
      protection: raw.protection ?? defaults.HOST.protection,
    },
    network: {
      bridge: raw.bridge ?? defaults.HOST.bridge,
      vlan: raw.vlan,
      firewall: raw.firewall ?? defaults.HOST.firewall,
      address,
      gateway: raw.gateway,
      dnsServers: raw.dns ?? [],
      searchDomain: raw.searchDomain,
      mtu,
    },
    disks: {
      root: resolveDisk(raw.disks?.root, defaults.HOST.disks.root, datastore),
      docker: resolveDisk(raw.disks?.docker, defaults.HOST.disks.docker, datastore),
      cache: resolveDisk(raw.disks?.cache, defaults.HOST.disks.cache, datastore),
      cloudInitDatastore: datastore,
    },
    ssh: {
      user: raw.ssh?.user ?? defaults.HOST.sshUser,
      authorizedKeys: need(
        "ssh.authorizedKeys",
        raw.ssh?.authorizedKeys,
        "at least one SSH public key, the first the one of sshPrivateKey",
        [],
      ).map((key) => key.trim()),
      trust: resolveTrust(raw.ssh),
      bastion: raw.ssh?.bastion && { ...raw.ssh.bastion, port: raw.ssh.bastion.port ?? 22 },
    },
    packages: { proxy: raw.aptProxy },
    docker: {
      source:
        raw.docker?.source === "distribution"
          ? { kind: "distribution" }
          : {
              kind: "repository",
              repository: resolveSource(raw.docker?.repository, defaults.DOCKER_REPOSITORY),
            },
      version: raw.docker?.version,
      registryMirrors: raw.docker?.registryMirrors ?? [],
      addressPools: raw.docker?.addressPools ?? defaults.DOCKER.addressPools,
      logMaxSize: raw.docker?.logMaxSize ?? defaults.DOCKER.logMaxSize,
      logMaxFiles: raw.docker?.logMaxFiles ?? defaults.DOCKER.logMaxFiles,
      liveRestore: raw.docker?.liveRestore ?? defaults.DOCKER.liveRestore,
      mtu,
    },
    runner: {
      repository: resolveSource(raw.runner?.repository, defaults.RUNNER_REPOSITORY),
      version: raw.runner?.version ?? defaults.RUNNER.version,
      concurrent,
      checkInterval: raw.runner?.checkInterval ?? defaults.RUNNER.checkInterval,
      logLevel: raw.runner?.logLevel ?? defaults.RUNNER.logLevel,
      metricsListen: raw.runner?.metricsListen ?? defaults.RUNNER.metricsListen,
      drainTimeout: raw.runner?.drainTimeout ?? longest,
    },
    profiles,
  };
}

function resolveTrust(raw: RawHost["ssh"]): SshConfig["trust"] {
  if (raw?.hostKey !== undefined) {
    return { mode: "key", hostKey: raw.hostKey.trim().split(/\s+/).slice(0, 2).join(" ") };
  }
  return { mode: raw?.trust ?? "agent" };
}

function resolveDisk(
  raw: number | { size?: number; datastore?: string } | undefined,
  size: number,
  datastore: string,
): DiskConfig {
  return typeof raw === "number"
    ? { size: raw, datastore }
    : { size: raw?.size ?? size, datastore: raw?.datastore ?? datastore };
}

function resolveSource(raw: RawAptSource | undefined, base: AptSource): AptSource {
  return {
    url: (raw?.url ?? base.url).replace(/\/+$/, ""),
    suite: raw?.suite ?? base.suite,
    component: raw?.component ?? base.component,
    keyUrl: raw?.keyUrl ?? base.keyUrl,
    keyFingerprint: (raw?.keyFingerprint ?? base.keyFingerprint).replaceAll(" ", ""),
  };
}

function resolveScope(raw: RawProfile): RunnerScope {
  if (raw.group !== undefined) {
    return { type: "group", id: raw.group };
  }
  return raw.project === undefined ? { type: "instance" } : { type: "project", id: raw.project };
}

function resolveProfile(
  name: string,
  raw: RawProfile,
  concurrent: number,
  mtu: number | undefined,
): ProfileConfig {
  const base = defaults.PROFILE;
  return {
    name,
    scope: resolveScope(raw),
    tags: [...new Set(raw.tags ?? base.tags)].sort(),
    runUntagged: raw.runUntagged ?? base.runUntagged,
    locked: raw.locked ?? base.locked,
    paused: raw.paused ?? base.paused,
    protected: raw.protected ?? base.protected,
    maximumTimeout: raw.maximumTimeout ?? base.maximumTimeout,
    limit: raw.limit ?? concurrent,
    requestConcurrency: raw.requestConcurrency ?? base.requestConcurrency,
    outputLimit: raw.outputLimit ?? base.outputLimit,
    environment: raw.environment ?? [],
    featureFlags: { ...base.featureFlags, ...raw.featureFlags },
    docker: resolveExecutor(raw.docker, mtu),
  };
}

function resolveExecutor(raw: RawProfile["docker"], mtu: number | undefined): ExecutorConfig {
  const base = defaults.EXECUTOR;
  const memory = raw?.memory ?? base.memory;
  return {
    ...base,
    networkMtu: mtu,
    ...Object.fromEntries(Object.entries(raw ?? {}).filter(([, value]) => value !== undefined)),
    memory,
    // Equal to the memory: no swap.
    memorySwap: raw?.memorySwap ?? memory,
    // null in the file: no limit, for kernels that have none.
    cpus: raw?.cpus === null ? undefined : (raw?.cpus ?? base.cpus),
    serviceCpus: raw?.serviceCpus === null ? undefined : (raw?.serviceCpus ?? base.serviceCpus),
  };
}
