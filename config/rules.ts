/*
 * Rules that look at more than one key. They see the defaulted configuration, so that a wrong
 * combination with a default is found as well.
 */
import * as format from "./formats";
import type { ConfigIssue } from "./issues";
import type { HostConfig, ProfileConfig, StackConfig } from "./model";
import type { RawProfile, RawStack } from "./schema";

type Report = (path: string, message: string) => void;

export function checkRules(
  config: StackConfig,
  raw: RawStack,
  errors: ConfigIssue[],
  warnings: ConfigIssue[],
): void {
  const error: Report = (path, message) => errors.push({ path, message });
  const warning: Report = (path, message) => warnings.push({ path, message });

  if (config.hosts.length === 0) {
    error("hosts", "is empty: add at least one host");
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
  for (const [name, profile] of Object.entries(raw.profiles)) {
    checkScope(name, profile, error);
    if (!config.hosts.some((host) => host.profiles.some((used) => used.name === name))) {
      warning(`profiles.${name}`, "is used by no host");
    }
  }
  for (const host of config.hosts) {
    checkNetwork(host, error);
    checkMachine(host, error, warning);
    for (const profile of host.profiles) {
      checkProfile(host, profile, error, warning);
    }
  }
  checkUnique(config, error);
}

function checkScope(name: string, profile: RawProfile, error: Report): void {
  const given = (["project", "group", "instance"] as const).filter(
    (key) => profile[key] !== undefined,
  );
  if (given.length !== 1) {
    error(
      `profiles.${name}`,
      `${given.length === 0 ? "says" : `says ${given.join(" and ")}, but must say`} ${
        given.length === 0 ? "not whose jobs it runs: give" : ""
      } exactly one of project (id), group (id), instance (true)`.replace("  ", " "),
    );
  }
}

function checkNetwork(host: HostConfig, error: Report): void {
  const at = (key: string) => `hosts.${host.name}.${key}`;
  const { address, gateway, mtu } = host.network;
  if (address === "dhcp") {
    if (gateway !== undefined) {
      error(at("gateway"), `is ${gateway}, but the address comes by DHCP: remove one of the two`);
    }
    if (host.vm.id === undefined && host.ssh.trust.mode === "key") {
      error(
        at("ssh.hostKey"),
        "is given for a machine whose address is not: such a machine is replaced by one with another key. Use trust: agent",
      );
    }
  } else if (gateway === undefined) {
    error(
      at("gateway"),
      `is missing: the address ${address} is static. Give the gateway of its network`,
    );
  } else if (!format.contains(address, gateway)) {
    const { first, last } = format.networkOf(address);
    error(
      at("gateway"),
      `${gateway} is outside of the host's network ${first} to ${last}: correct the gateway, the address or its prefix length`,
    );
  } else if (address.startsWith(`${gateway}/`)) {
    error(at("address"), `${address} is the gateway's own address: choose another`);
  } else {
    const { first, last } = format.networkOf(address);
    if (gateway === first || gateway === last) {
      error(at("gateway"), `${gateway} is the network's own or its broadcast address`);
    }
  }
  for (const [index, pool] of host.docker.addressPools.entries()) {
    const path = at(`docker.addressPools.${index}`);
    const bits = Number(pool.base.split("/")[1]);
    if (pool.size < bits) {
      error(
        path,
        `cuts networks of /${pool.size} out of ${pool.base}: the size must be at least ${bits}`,
      );
    }
    if (address !== "dhcp" && format.overlap(pool.base, address)) {
      error(path, `${pool.base} overlaps the host's own network ${address}: choose another`);
    }
  }
  const networks = host.docker.addressPools.reduce(
    (sum, { base, size }) => sum + 2 ** Math.max(0, size - Number(base.split("/")[1])),
    0,
  );
  // Each job may have a network of its own, and Docker's bridge is one more.
  if (networks < host.runner.concurrent + 1) {
    error(
      at("docker.addressPools"),
      `hold ${networks} networks, but ${host.runner.concurrent} jobs at once need ${host.runner.concurrent + 1}: widen the base or raise the size`,
    );
  }
  for (const profile of host.profiles) {
    if (
      profile.docker.networkMtu !== undefined &&
      mtu !== undefined &&
      profile.docker.networkMtu > mtu
    ) {
      error(
        `profiles.${profile.name}.docker.networkMtu`,
        `is ${profile.docker.networkMtu}, above the MTU ${mtu} of host ${host.name}: large packets of jobs would be lost`,
      );
    }
  }
}

function checkMachine(host: HostConfig, error: Report, warning: Report): void {
  const at = (key: string) => `hosts.${host.name}.${key}`;
  if (host.profiles.length === 0) {
    error(at("profiles"), "is empty: a host serves at least one profile");
  }
  if (host.ssh.authorizedKeys.length === 0) {
    error(
      at("ssh.authorizedKeys"),
      "is empty: give at least one key, the first the one of sshPrivateKey",
    );
  }
  const longest = Math.max(0, ...host.profiles.map((profile) => profile.maximumTimeout));
  if (host.runner.drainTimeout < longest) {
    error(
      at("runner.drainTimeout"),
      `is ${host.runner.drainTimeout} s, but a job may run for ${longest} s (maximumTimeout): a drain would kill it. Make it at least ${longest}`,
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
      );
    }
  }
  if (host.runner.concurrent < host.profiles.length) {
    error(
      at("runner.concurrent"),
      `is ${host.runner.concurrent}, below the ${host.profiles.length} profiles of the host: the runner's long polls would starve some of them`,
    );
  }
}

function checkProfile(
  host: HostConfig,
  profile: ProfileConfig,
  error: Report,
  warning: Report,
): void {
  const at = (key: string) => `profiles.${profile.name}.${key}`;
  const { docker } = profile;
  if (!profile.runUntagged && profile.tags.length === 0) {
    error(at("tags"), "is empty while runUntagged is false: such a runner gets no job");
  }
  if (profile.limit > host.runner.concurrent) {
    error(
      at("limit"),
      `is ${profile.limit}, above concurrent ${host.runner.concurrent} of host ${host.name}: it would never be reached`,
    );
  }
  if (!docker.pullPolicy.some((policy) => docker.allowedPullPolicies.includes(policy))) {
    error(
      at("docker.pullPolicy"),
      `${docker.pullPolicy.join(", ") || "(none)"} and allowedPullPolicies ${docker.allowedPullPolicies.join(", ") || "(none)"} have nothing in common: every job would fail`,
    );
  }
  for (const volume of docker.volumes) {
    if (/(docker|podman|containerd)\.sock/.test(volume)) {
      error(
        at("docker.volumes"),
        `mounts ${volume}: whoever runs a job would own the host. Remove it`,
      );
    }
    if (
      /^\/(etc|usr|root|boot|proc|sys|var|home|dev)?(:|\/.*:)/.test(volume) &&
      !volume.startsWith("/cache")
    ) {
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
    );
  }
  if (docker.capAdd.includes("ALL") || docker.capAdd.includes("SYS_ADMIN")) {
    error(at("docker.capAdd"), "gives jobs the host's rights: remove ALL and SYS_ADMIN");
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
      `is ${docker.memorySwap}, below memory ${docker.memory}: Docker refuses that`,
    );
  }
  if (docker.memory !== undefined && format.bytesOf(docker.memory) > host.vm.memory * 1024 ** 2) {
    error(
      at("docker.memory"),
      `is ${docker.memory}, more than all of host ${host.name} (${host.vm.memory} MiB)`,
    );
  }
  if (docker.cpus !== undefined && Number(docker.cpus) > host.vm.cores) {
    error(
      at("docker.cpus"),
      `is ${docker.cpus}, but host ${host.name} has ${host.vm.cores} cores: Docker refuses that`,
    );
  }
  if (docker.allowedImages.length === 0) {
    warning(at("docker.allowedImages"), "is empty: jobs may use any image");
  }
}

function checkUnique(config: StackConfig, error: Report): void {
  const addresses = new Map<string, string>();
  const ids = new Map<number, string>();
  for (const host of config.hosts) {
    const address = host.network.address.split("/")[0] as string;
    const sameAddress = addresses.get(address);
    if (address !== "dhcp" && sameAddress !== undefined) {
      error(
        `hosts.${host.name}.address`,
        `${address} is the address of ${sameAddress} as well: give each its own`,
      );
    }
    addresses.set(address, host.name);
    if (host.vm.id !== undefined) {
      const sameId = ids.get(host.vm.id);
      if (sameId !== undefined) {
        error(
          `hosts.${host.name}.vmId`,
          `${host.vm.id} is the id of ${sameId} as well: give each its own`,
        );
      }
      ids.set(host.vm.id, host.name);
    }
    for (const other of config.hosts) {
      if (other !== host && other.network.gateway === address) {
        error(
          `hosts.${host.name}.address`,
          `${address} is the gateway of ${other.name}: choose another`,
        );
      }
    }
  }
}
