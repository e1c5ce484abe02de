/*
 * Rules that look at more than one key. They see the defaulted configuration, so that a wrong
 * combination with a default is found as well.
 */
import * as format from "./formats";
import type { HostConfig, ProfileConfig, StackConfig } from "./model";
import type { Finding } from "./resolve";
import type { RawProfile, RawStack } from "./schema";

/** Reports what is wrong at a path, and which other paths' values have to do with it. */
type Report = (path: string, message: string, ...because: string[]) => void;

export function checkRules(
  config: StackConfig,
  raw: RawStack,
  errors: Finding[],
  warnings: Finding[],
): void {
  const error: Report = (path, message, ...because) => errors.push({ path, message, because });
  const warning: Report = (path, message, ...because) => warnings.push({ path, message, because });

  if (config.hosts.length === 0) {
    error("hosts", "is empty: add at least one host", "hosts.*");
  }
  if (config.proxmox.vmIds.from > config.proxmox.vmIds.to) {
    const { from, to } = config.proxmox.vmIds;
    error("proxmox.vmIds", `runs from ${from} to ${to}: the first must not be above the second`);
  }
  if (config.proxmox.insecure) {
    warning(
      "proxmox.insecure",
      "is true: the Proxmox token goes to whoever answers; trust the CA instead",
    );
  }
  for (const [name, profile] of Object.entries(raw.profiles ?? {})) {
    checkScope(name, profile, error);
    if (!config.hosts.some((host) => host.profiles.some((used) => used.name === name))) {
      warning(`profiles.${name}`, "is used by no host", "hosts");
    }
  }
  for (const host of config.hosts) {
    checkNetwork(host, error);
    checkAddressPools(host, error);
    checkMachine(host, error, warning);
    for (const profile of host.profiles) {
      checkServing(host, profile, error);
    }
  }
  for (const profile of profilesInUse(config)) {
    checkProfile(profile, error, warning);
  }
  checkUnique(config, error, warning);
}

/** Each once. A profile may differ between hosts in what it takes from them, which is no matter. */
function profilesInUse(config: StackConfig): ProfileConfig[] {
  const all = config.hosts.flatMap((host) => host.profiles);
  return [...new Map(all.map((profile) => [profile.name, profile])).values()];
}

function checkScope(name: string, profile: RawProfile, error: Report): void {
  const keys = ["project", "group", "instance"] as const;
  const given = keys.filter((key) => profile[key] !== undefined);
  if (given.length === 1) {
    return;
  }
  const what =
    given.length === 0 ? "does not say whose jobs it runs" : `says ${given.join(" and ")} at once`;
  error(
    `profiles.${name}`,
    `${what}: give exactly one of project (id), group (id), instance (true)`,
    ...keys.map((key) => `profiles.${name}.${key}`),
  );
}

function checkNetwork(host: HostConfig, error: Report): void {
  const at = (key: string) => `hosts.${host.name}.${key}`;
  const { address, gateway, mtu } = host.network;
  const related = [at("address"), at("gateway")];
  if (address === "dhcp") {
    if (gateway !== undefined) {
      error(
        at("gateway"),
        `is ${gateway}, but the address comes by DHCP: remove one of the two`,
        ...related,
      );
    }
    if (host.vm.id === undefined && host.ssh.trust.mode === "key") {
      error(
        at("ssh.hostKey"),
        "is given for a machine whose address is not: such a machine is replaced by one with another key. Use trust: agent",
        ...related,
        at("vmId"),
      );
    }
  } else if (gateway === undefined) {
    error(
      at("gateway"),
      `is missing: the address ${address} is static. Give the gateway of its network`,
      ...related,
    );
  } else if (!format.contains(address, gateway)) {
    const { first, last } = format.networkOf(address);
    error(
      at("gateway"),
      `${gateway} is outside of the host's network ${first} to ${last} (address ${address}): correct the gateway, the address or its prefix length`,
      ...related,
    );
  } else if (address.startsWith(`${gateway}/`)) {
    error(at("address"), `${address} is the gateway's own address: choose another`, ...related);
  } else {
    const { first, last } = format.networkOf(address);
    if (gateway === first || gateway === last) {
      error(
        at("gateway"),
        `${gateway} is the network's own or its broadcast address: correct the gateway`,
        ...related,
      );
    }
  }
  for (const profile of host.profiles) {
    const { networkMtu } = profile.docker;
    if (networkMtu !== undefined && mtu !== undefined && networkMtu > mtu) {
      error(
        `profiles.${profile.name}.docker.networkMtu`,
        `is ${networkMtu}, above the MTU ${mtu} of host ${host.name}: large packets of jobs would be lost. Make it at most ${mtu}`,
        at("mtu"),
      );
    }
  }
}

function checkAddressPools(host: HostConfig, error: Report): void {
  const at = (key: string) => `hosts.${host.name}.${key}`;
  const pools = host.docker.addressPools;
  for (const [index, { base, size }] of pools.entries()) {
    const path = at(`docker.addressPools.${index}`);
    const bits = Number(base.split("/")[1]);
    if (size < bits) {
      error(
        path,
        `cuts networks of /${size} out of ${base}: the size must be at least ${bits}`,
        at("docker.addressPools"),
      );
    }
    if (host.network.address !== "dhcp" && format.overlap(base, host.network.address)) {
      error(
        path,
        `${base} overlaps the host's own network ${host.network.address}: choose another`,
        at("docker.addressPools"),
        at("address"),
      );
    }
    for (const other of pools.slice(0, index)) {
      if (format.overlap(base, other.base)) {
        error(
          path,
          `${base} overlaps ${other.base} before it: choose another`,
          at("docker.addressPools"),
        );
      }
    }
  }
  const networks = pools.reduce(
    (sum, { base, size }) => sum + 2 ** Math.max(0, size - Number(base.split("/")[1])),
    0,
  );
  // Each job may have a network of its own, and Docker's bridge is one more.
  const needed = host.runner.concurrent + 1;
  if (networks < needed) {
    error(
      at("docker.addressPools"),
      `hold ${networks} networks, but ${host.runner.concurrent} jobs at once need ${needed}: widen the base or raise the size`,
      at("runner.concurrent"),
    );
  }
}

function checkMachine(host: HostConfig, error: Report, warning: Report): void {
  const at = (key: string) => `hosts.${host.name}.${key}`;
  const longest = Math.max(0, ...host.profiles.map((profile) => profile.maximumTimeout));
  if (host.runner.drainTimeout < longest) {
    error(
      at("runner.drainTimeout"),
      `is ${host.runner.drainTimeout} s, but a job may run for ${longest} s (maximumTimeout): a drain would kill it. Make it at least ${longest}`,
      ...host.profiles.map(({ name }) => `profiles.${name}.maximumTimeout`),
    );
  }
  if (host.docker.source.kind === "repository" && host.docker.version?.match(/dfsg|deb\d/)) {
    warning(
      at("docker.version"),
      "looks like the distribution's, while docker.source is Docker's repository",
    );
  }
  const [major, minor] = host.runner.version.split(".").map(Number) as [number, number];
  if (major < 18 || (major === 18 && minor < 7)) {
    error(
      at("runner.version"),
      `is ${host.runner.version}: this program needs gitlab-runner 18.7 or newer (tokens of users, Docker 29)`,
    );
  }
  const slots = Math.max(0, ...host.profiles.map((p) => Math.min(p.limit, host.runner.concurrent)));
  const memory = host.profiles.find((profile) => profile.docker.memory)?.docker.memory;
  if (memory !== undefined) {
    const needed = Math.round((slots * format.bytesOf(memory)) / 1024 ** 2);
    if (needed > host.vm.memory) {
      warning(
        at("memory"),
        `is ${host.vm.memory} MiB, but ${slots} jobs of ${memory} may use ${needed} MiB: lower concurrent or the jobs' memory`,
        at("runner.concurrent"),
      );
    }
  }
  if (host.runner.concurrent < host.profiles.length) {
    error(
      at("runner.concurrent"),
      `is ${host.runner.concurrent}, below the ${host.profiles.length} profiles of the host: the runner's long polls would starve some of them. Make it at least ${host.profiles.length}`,
      at("profiles"),
    );
  }
}

/** What a profile asks of the host that serves it. */
function checkServing(host: HostConfig, profile: ProfileConfig, error: Report): void {
  const at = (key: string) => `profiles.${profile.name}.${key}`;
  const { docker } = profile;
  if (profile.limit > host.runner.concurrent) {
    error(
      at("limit"),
      `is ${profile.limit}, above concurrent ${host.runner.concurrent} of host ${host.name}: it would never be reached. Make it at most ${host.runner.concurrent}`,
      `hosts.${host.name}.runner.concurrent`,
    );
  }
  if (docker.memory !== undefined && format.bytesOf(docker.memory) > host.vm.memory * 1024 ** 2) {
    error(
      at("docker.memory"),
      `is ${docker.memory}, more than all of host ${host.name} (${host.vm.memory} MiB): lower it`,
      `hosts.${host.name}.memory`,
    );
  }
  if (docker.cpus !== undefined && Number(docker.cpus) > host.vm.cores) {
    error(
      at("docker.cpus"),
      `is ${docker.cpus}, but host ${host.name} has ${host.vm.cores} cores: Docker refuses that. Lower it`,
      `hosts.${host.name}.cores`,
    );
  }
}

/** Folders whose content on the host is no job's business; as a bare container path they are fine. */
const HOST_FOLDERS = /^\/(bin|boot|dev|etc|home|lib|opt|proc|root|run|sbin|srv|sys|usr|var)(\/|$)/;

function checkProfile(profile: ProfileConfig, error: Report, warning: Report): void {
  const at = (key: string) => `profiles.${profile.name}.${key}`;
  const { docker } = profile;
  if (!profile.runUntagged && profile.tags.length === 0) {
    error(
      at("tags"),
      "is empty while runUntagged is false: such a runner gets no job. Give it tags",
      at("runUntagged"),
    );
  }
  if (!docker.pullPolicy.some((policy) => docker.allowedPullPolicies.includes(policy))) {
    const list = (values: readonly string[]) => values.join(", ") || "(none)";
    error(
      at("docker.pullPolicy"),
      `${list(docker.pullPolicy)} and allowedPullPolicies ${list(docker.allowedPullPolicies)} have nothing in common: every job would fail. Allow one of the first`,
      at("docker.allowedPullPolicies"),
    );
  }
  for (const volume of docker.volumes) {
    const [source = "", target] = volume.split(":");
    if (/(docker|podman|containerd)\.sock/.test(volume)) {
      error(
        at("docker.volumes"),
        `mounts ${volume}: whoever runs a job would own the host. Remove it`,
      );
    } else if (target !== undefined && (source === "/" || HOST_FOLDERS.test(source))) {
      error(
        at("docker.volumes"),
        `mounts ${volume} of the host into every job and service: remove it`,
      );
    }
  }
  if (docker.privileged && !profile.protected) {
    error(
      at("docker.privileged"),
      "is true on a profile that is not protected: any branch's job would own the host. Set protected: true, or leave privileged out",
      at("protected"),
    );
  }
  if (docker.capAdd.includes("ALL") || docker.capAdd.includes("SYS_ADMIN")) {
    error(
      at("docker.capAdd"),
      `${docker.capAdd.join(", ")} gives jobs the host's rights: remove ALL and SYS_ADMIN`,
    );
  }
  if (docker.capDrop.includes("ALL")) {
    warning(
      at("docker.capDrop"),
      "drops ALL: apt and the runner's own helper need CHOWN, FOWNER, DAC_OVERRIDE",
    );
  }
  if (
    docker.memory !== undefined &&
    docker.memorySwap !== undefined &&
    format.bytesOf(docker.memorySwap) < format.bytesOf(docker.memory)
  ) {
    error(
      at("docker.memorySwap"),
      `is ${docker.memorySwap}, below memory ${docker.memory}: Docker refuses that. Make it at least ${docker.memory}`,
      at("docker.memory"),
    );
  }
  if (docker.allowedImages.length === 0) {
    warning(at("docker.allowedImages"), "is empty: jobs may use any image");
  }
}

function checkUnique(config: StackConfig, error: Report, warning: Report): void {
  const addresses = new Map<string, string>();
  const ids = new Map<number, string>();
  const records = new Map<string, string>();
  for (const host of config.hosts) {
    const at = (key: string) => `hosts.${host.name}.${key}`;
    const address = host.network.address.split("/")[0] as string;
    const sameAddress = addresses.get(address);
    if (address !== "dhcp" && sameAddress !== undefined) {
      error(
        at("address"),
        `${address} is the address of ${sameAddress} as well: give each its own`,
        `hosts.${sameAddress}.address`,
      );
    }
    addresses.set(address, host.name);
    if (host.vm.id !== undefined) {
      const sameId = ids.get(host.vm.id);
      if (sameId !== undefined) {
        error(
          at("vmId"),
          `${host.vm.id} is the id of ${sameId} as well: give each its own`,
          `hosts.${sameId}.vmId`,
        );
      }
      ids.set(host.vm.id, host.name);
      const { from, to } = config.proxmox.vmIds;
      if (host.vm.id >= from && host.vm.id <= to) {
        warning(
          at("vmId"),
          `${host.vm.id} lies in proxmox.vmIds (${from} to ${to}), from which machines without an id draw theirs: choose one outside`,
          "proxmox.vmIds",
        );
      }
    }
    for (const profile of host.profiles) {
      // The name of its record, in Pulumi and in config.toml.
      const record = `${host.name}-${profile.name}`;
      const same = records.get(record);
      if (same !== undefined) {
        error(
          at("profiles"),
          `${profile.name} makes the runner ${record}, which is one of host ${same} already: rename the host or the profile`,
        );
      }
      records.set(record, host.name);
    }
    for (const other of config.hosts) {
      if (other !== host && other.network.gateway === address) {
        error(
          at("address"),
          `${address} is the gateway of ${other.name}: choose another`,
          `hosts.${other.name}.gateway`,
        );
      }
      for (const profile of other.profiles) {
        if (profile.tags.includes(host.name)) {
          error(
            `profiles.${profile.name}.tags`,
            `holds "${host.name}", the name of a host, which is the tag of its own runners: jobs for that host would run elsewhere. Choose another tag`,
          );
        }
      }
    }
  }
}
