import * as defaults from "./defaults";
import * as format from "./formats";
import { ConfigIssue, show } from "./issues";
import type {
  AptSource,
  DiskConfig,
  ExecutorConfig,
  HostConfig,
  ProfileConfig,
  RunnerScope,
  SshConfig,
  StackConfig,
} from "./model";
import type { RawAptSource, RawHost, RawProfile, RawStack } from "./schema";

/** Something that is wrong, and whose other values it is wrong because of. */
export interface Finding extends ConfigIssue {
  readonly because?: readonly string[];
  /** Whether a stand-in took its place, so that nothing that is said of it holds. */
  readonly isMissing?: boolean;
}

/**
 * Fills in the defaults. What is missing and has none is reported; a stand-in takes its place, so
 * that the rules can look at the rest.
 */
export function resolveStack(
  { project, stack }: { readonly project: string; readonly stack: string },
  raw: RawStack,
  findings: Finding[],
): StackConfig {
  const need = (path: string, value: string | undefined, what: string, stand: string): string => {
    if (value === undefined) {
      findings.push({ path, message: `is missing: give ${what}`, isMissing: true });
    }
    return value ?? stand;
  };
  const { proxmox, gitlab, canary } = raw;
  const profiles = raw.profiles ?? {};
  for (const name of Object.keys(profiles)) {
    const problem = format.dnsLabel(name);
    if (problem !== undefined) {
      findings.push({ path: `profiles.${name}`, message: `${show(name)} ${problem}` });
    }
  }
  return {
    project,
    stack,
    proxmox: {
      endpoint: need(
        "proxmox.endpoint",
        proxmox?.endpoint,
        "the API's address, https://host:8006",
        "https://localhost:8006",
      ).replace(/\/$/, ""),
      insecure: proxmox?.insecure ?? false,
      vmIds: proxmox?.vmIds ?? defaults.VM_IDS,
      snippets: proxmox?.snippets ?? defaults.SNIPPETS_DATASTORE,
      ssh: {
        username: need(
          "proxmox.ssh.username",
          proxmox?.ssh?.username,
          "the user who uploads snippets to the nodes",
          "root",
        ),
        nodes: byName(proxmox?.ssh?.nodes).map(([name, { address, port }]) => ({
          name,
          address,
          port: port ?? 22,
        })),
      },
    },
    gitlab: {
      url: need(
        "gitlab.url",
        gitlab?.url,
        "GitLab's address, https://host",
        "https://localhost",
      ).replace(/\/+$/, ""),
    },
    caCertificates: raw.caCertificates,
    canary: canary && {
      project: canary.project,
      ref: canary.ref ?? defaults.CANARY_REF,
      timeout: canary.timeout ?? defaults.CANARY_TIMEOUT,
    },
    rollout: { parallel: raw.rollout?.parallel ?? defaults.ROLLOUT_PARALLEL },
    hosts: byName(raw.hosts).map(([name, host]) =>
      resolveHost(name, merge(raw.defaults ?? {}, host), profiles, findings),
    ),
  };
}

/** Sorted, so that an order in the file never matters. */
function byName<T>(map: Readonly<Record<string, T>> = {}): [string, T][] {
  return Object.entries(map).sort(([a], [b]) => (a < b ? -1 : 1));
}

/** A host's keys over the defaults, map by map; lists and values are taken whole. */
function merge<T>(base: T, over: T): T {
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
  findings: Finding[],
): HostConfig {
  const at = (key: string) => `hosts.${name}.${key}`;
  const need = <T>(key: string, value: T | undefined, what: string, stand: T): T => {
    if (value === undefined) {
      findings.push({
        path: at(key),
        message: `is missing: give ${what}, here or under defaults`,
        isMissing: true,
      });
      return stand;
    }
    return value;
  };
  const nameProblem = format.hostName(name);
  if (nameProblem !== undefined) {
    findings.push({ path: `hosts.${name}`, message: `${show(name)} ${nameProblem}` });
  }
  const address = need("address", raw.address, '"dhcp" or an address such as 10.0.0.11/24', "dhcp");
  const datastore = raw.datastore ?? defaults.HOST.datastore;
  const concurrent = raw.runner?.concurrent ?? defaults.RUNNER.concurrent;
  const mtu = raw.mtu;
  const profileNames = [...new Set(raw.profiles ?? ["default"])];
  const profiles = profileNames.flatMap((profile) => {
    const found = rawProfiles[profile];
    if (found === undefined) {
      findings.push({
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
      openFiles: raw.docker?.openFiles ?? defaults.DOCKER.openFiles,
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
