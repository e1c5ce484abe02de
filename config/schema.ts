/*
 * What may stand in a stack file, key by key, with what it means: docs/configuration.md and
 * docs/stack.schema.json are made of this (npm run schema). Rules across keys: rules.ts. Defaults:
 * defaults.ts.
 */
import { z } from "zod";

import * as defaults from "./defaults";
import * as format from "./formats";
import { show } from "./issues";
import { choice, flag, integer, key, list, named, object, required, text } from "./schema-kit";

const vmId = () => integer("a VM id", 100, 999_999_999);
const port = () => integer("a port", 1, 65_535);
const storage = () => text("a Proxmox storage", format.storageName);
const mtu = () => integer("an MTU", 576, 65_520);
const seconds = (min: number, max: number) => integer("seconds", min, max);
const id = (what: string) => integer(`a ${what}'s numeric id`, 1, Number.MAX_SAFE_INTEGER);

const disk = (min: number) =>
  z.union(
    [
      integer("a size in GiB", min, 65_536),
      object({
        size: key(integer("a size in GiB", min, 65_536), "Size in GiB."),
        datastore: key(storage(), "Proxmox storage. By default the host's `datastore`."),
      }),
    ],
    {
      error: (issue) =>
        `is ${show(issue.input)}: give a size in GiB of at least ${min}, or {size, datastore}`,
    },
  );

/** @param source the repository whose values are the defaults */
const aptSource = (source: typeof defaults.RUNNER_REPOSITORY) =>
  object({
    url: key(text("the repository's address", format.httpUrl), "Base address.", source.url),
    suite: key(
      text("a suite such as trixie", format.word),
      "Suite. By default the guest's own codename.",
    ),
    component: key(text("a component such as main", format.word), "Component.", source.component),
    keyUrl: key(
      text("where the signing key is", format.httpUrl),
      "Where the signing key is fetched from.",
      source.keyUrl,
    ),
    keyFingerprint: key(
      text("the signing key's fingerprint", format.fingerprint),
      "Full fingerprint that the key must have.",
      source.keyFingerprint,
    ),
  });

const ssh = object({
  user: key(
    text("the admin user", format.linuxUser),
    "Admin user that cloud-init makes; steps log in as this user and use sudo.",
    defaults.HOST.sshUser,
  ),
  authorizedKeys: key(
    list(text("an SSH public key", format.sshPublicKey)).min(1, {
      error: "is empty: give at least one SSH public key, the first that of sshPrivateKey",
    }),
    "Public keys of the admin user, the first the one of `sshPrivateKey`. Needed, here or under `defaults`.",
  ),
  trust: key(
    choice(["agent", "first-use"]),
    "Where the host's key comes from: read by the guest agent through the Proxmox API, or taken from the network at the first contact, which trusts whoever answers.",
    "agent",
  ),
  hostKey: key(
    text("the host's public key", format.sshPublicKey),
    "The host's public key, where it is known beforehand; `trust` is not asked then. Only for a machine with a fixed address or VM id.",
  ),
  bastion: key(
    object({
      host: required(
        text("the bastion's name or address", format.endpoint),
        "Its name or address.",
      ),
      port: key(port(), "Its port.", 22),
      user: required(
        text("the user on the bastion", format.word),
        "User, with the same private key.",
      ),
      hostKey: required(
        text("the bastion's public host key", format.sshPublicKey),
        "Its public host key.",
      ),
    }),
    "A machine through which the hosts are reached.",
  ),
});

const docker = object({
  source: key(
    choice(["distribution", "docker"]),
    "Packages of Docker Engine: the distribution's `docker.io`, or `docker-ce` of Docker's repository.",
    "docker",
  ),
  repository: key(aptSource(defaults.DOCKER_REPOSITORY), "Docker's repository, or a mirror of it."),
  version: key(
    text("a package version", format.packageVersion),
    "Package version, as `apt-cache madison` prints it. By default what the repository offers at the first installation, then held. A change drains the host.",
  ),
  registryMirrors: key(
    list(text("a mirror's address", format.httpUrl)),
    "Mirrors of Docker Hub.",
    [],
  ),
  addressPools: key(
    list(
      object({
        base: required(text("a network", format.cidr), "Network out of which others are cut."),
        size: required(integer("a prefix length", 8, 30), "Prefix length of each of them."),
      }),
    ),
    "Networks of jobs and services. Must hold one for each job and one more, and must not meet the host's own network.",
    defaults.DOCKER.addressPools,
  ),
  logMaxSize: key(
    text("a size", format.dockerSize),
    "Size at which a container's log is rotated.",
    defaults.DOCKER.logMaxSize,
  ),
  logMaxFiles: key(
    integer("a number of files", 1, 100),
    "Logs that are kept of a container.",
    defaults.DOCKER.logMaxFiles,
  ),
  liveRestore: key(flag(), "Containers go on while Docker restarts.", defaults.DOCKER.liveRestore),
  openFiles: key(
    integer("a number of open files", 1024, 1_048_576),
    "Open files that a process in a container may have.",
    defaults.DOCKER.openFiles,
  ),
});

const runner = object({
  repository: key(
    aptSource(defaults.RUNNER_REPOSITORY),
    "GitLab's repository of runner packages, or a mirror of it.",
  ),
  version: key(
    text("a version", format.runnerVersion),
    "Version of gitlab-runner and its helper images, held; 18.7 or newer. A change drains the host.",
    defaults.RUNNER.version,
  ),
  concurrent: key(
    integer("a number of jobs", 1, 256),
    "Jobs at once on this host, of all profiles together.",
    defaults.RUNNER.concurrent,
  ),
  checkInterval: key(
    seconds(1, 3600),
    "Seconds between two questions for a job.",
    defaults.RUNNER.checkInterval,
  ),
  logLevel: key(
    choice(["debug", "info", "warn", "error"]),
    "How much the runner logs.",
    defaults.RUNNER.logLevel,
  ),
  metricsListen: key(
    text("an address with a port", format.listenAddress),
    "Where the runner serves its metrics, without any password.",
    defaults.RUNNER.metricsListen,
  ),
  drainTimeout: key(
    seconds(60, 604_800),
    "Seconds that running jobs are given before they are aborted. By default the longest `maximumTimeout` of the host's profiles, and never less.",
  ),
});

/** Keys of a host; `defaults` takes the same. */
export const hostSchema = object({
  node: key(
    text("a Proxmox node", format.dnsLabel),
    "Proxmox node. Needed, here or under `defaults`. Another node is another machine.",
  ),
  template: key(
    z.union([vmId(), text("a template's tag", format.proxmoxTag)], {
      error: (issue) => `is ${show(issue.input)}: give a template's id (a number) or its tag`,
    }),
    "Template to clone: its tag, which only one template may have, or its VM id. A change serves new machines only.",
    defaults.HOST.template,
  ),
  address: key(
    text('"dhcp" or an address such as 10.0.0.11/24', format.hostAddress),
    "`dhcp`, or an IPv4 address with its prefix length. Needed, here or under `defaults`.",
  ),
  gateway: key(
    text("the gateway's address", format.ipv4Address),
    "Gateway. Needed with a fixed address, and not allowed with `dhcp`.",
  ),
  dns: key(
    list(text("a DNS server", format.ipAddress)),
    "DNS servers. By default those of DHCP, or of the Proxmox node.",
  ),
  searchDomain: key(
    text("a domain", format.endpoint),
    "Domain in which names are looked up. By default that of DHCP, or of the Proxmox node.",
  ),
  bridge: key(
    text("a bridge such as vmbr0", format.bridgeName),
    "Bridge on the node.",
    defaults.HOST.bridge,
  ),
  vlan: key(integer("a VLAN", 1, 4094), "VLAN tag. By default none."),
  mtu: key(
    mtu(),
    "MTU of the network device, and of the networks of jobs. By default that of the bridge.",
  ),
  firewall: key(flag(), "Proxmox' firewall on the network device.", defaults.HOST.firewall),
  vmId: key(
    vmId(),
    "Fixed VM id. By default a free one out of `proxmox.vmIds`. Another id is another machine.",
  ),
  pool: key(text("a Proxmox pool", format.poolName), "Proxmox pool. By default none."),
  cpuType: key(
    text("a CPU type such as host", format.word),
    "CPU type. `host` shows the guest the node's own processor.",
    defaults.HOST.cpuType,
  ),
  cores: key(
    integer("a number of cores", 1, 512),
    "Cores. A change drains and power-cycles the host.",
    defaults.HOST.cores,
  ),
  memory: key(
    integer("MiB", 1024, 4_194_304),
    "Memory in MiB. A change drains and power-cycles the host.",
    defaults.HOST.memory,
  ),
  tags: key(
    list(text("a Proxmox tag", format.proxmoxTag)),
    "Tags of the VM in Proxmox.",
    defaults.HOST.tags,
  ),
  onBoot: key(flag(), "Started with the node.", defaults.HOST.onBoot),
  protection: key(
    flag(),
    "Neither Proxmox nor Pulumi removes the machine. Has to be switched off, by an `up` of its own, before a replacement.",
    defaults.HOST.protection,
  ),
  datastore: key(
    storage(),
    "Proxmox storage of the disks and of the cloud-init drive.",
    defaults.HOST.datastore,
  ),
  disks: key(
    object({
      root: key(
        disk(10),
        "`/`: GiB, or `size` and `datastore`. Not smaller than the template's disk. Disks only grow.",
        defaults.HOST.disks.root,
      ),
      docker: key(
        disk(10),
        "`/var/lib/docker`: images and containers.",
        defaults.HOST.disks.docker,
      ),
      cache: key(
        disk(1),
        "`/cache`: caches and builds of jobs (Docker volumes).",
        defaults.HOST.disks.cache,
      ),
    }),
    "The three disks. Growing one drains and power-cycles the host.",
  ),
  ssh: key(ssh, "How the host is reached."),
  aptProxy: key(
    text("a proxy's address", format.httpUrl),
    "HTTP proxy through which packages are fetched. By default none.",
  ),
  docker: key(docker, "Docker Engine. A change drains the host."),
  runner: key(runner, "GitLab Runner."),
  profiles: key(
    list(text("the name of a profile")).min(1, {
      error: "is empty: a host serves at least one profile",
    }),
    "Profiles that the host serves, each with a runner record of its own in GitLab.",
    ["default"],
  ),
});

const pullPolicies = () => list(choice(["always", "if-not-present", "never"]));
const images = () => list(text("an image pattern", format.word));
const cpus = () => text("a number of CPUs in quotes", format.cpuCount).nullable();

const executor = object({
  image: key(
    text("an image", format.word),
    "Image of a job that names none.",
    defaults.EXECUTOR.image,
  ),
  helperImage: key(
    text("an image", format.word),
    "Helper image, of the very version of the runner. By default the one that its packages bring.",
  ),
  privileged: key(
    flag(),
    "Jobs own the host. Only on a `protected` profile.",
    defaults.EXECUTOR.privileged,
  ),
  capDrop: key(
    list(text("a capability", format.capability)),
    "Capabilities that jobs lose.",
    defaults.EXECUTOR.capDrop,
  ),
  capAdd: key(
    list(text("a capability", format.capability)),
    "Capabilities that jobs get.",
    defaults.EXECUTOR.capAdd,
  ),
  securityOpt: key(
    list(text("a security option", format.word)),
    "Docker's security options, for jobs and services. The default one keeps sudo and su from working.",
    defaults.EXECUTOR.securityOpt,
  ),
  pullPolicy: key(
    pullPolicies(),
    "How images are pulled: one try for each entry.",
    defaults.EXECUTOR.pullPolicy,
  ),
  allowedPullPolicies: key(
    pullPolicies(),
    "Policies that a job may ask for.",
    defaults.EXECUTOR.allowedPullPolicies,
  ),
  allowedImages: key(
    images(),
    "Images that jobs may use, matched as a job writes them. An empty list allows all.",
    defaults.EXECUTOR.allowedImages,
  ),
  allowedServices: key(
    images(),
    "Images that services may use, matched as a job writes them. An empty list allows all.",
    defaults.EXECUTOR.allowedServices,
  ),
  servicesLimit: key(
    integer("a number of services", 0, 100),
    "Services that a job may have.",
    defaults.EXECUTOR.servicesLimit,
  ),
  memory: key(text("a size", format.dockerSize), "Memory of a job.", defaults.EXECUTOR.memory),
  memorySwap: key(
    text("a size", format.dockerSize),
    "Memory and swap of a job together. By default as `memory`: no swap.",
  ),
  cpus: key(
    cpus(),
    "CPUs of a job, in quotes. `null`: no limit, for kernels that have none.",
    defaults.EXECUTOR.cpus,
  ),
  serviceMemory: key(
    text("a size", format.dockerSize),
    "Memory of each service, without swap.",
    defaults.EXECUTOR.serviceMemory,
  ),
  serviceCpus: key(
    cpus(),
    "CPUs of each service, in quotes. `null`: no limit.",
    defaults.EXECUTOR.serviceCpus,
  ),
  shmSize: key(
    integer("bytes", 1_048_576, 1_099_511_627_776),
    "Size of `/dev/shm` in bytes.",
    defaults.EXECUTOR.shmSize,
  ),
  volumes: key(
    list(text("a volume such as /cache", format.volume)),
    "Volumes of jobs and services. A path alone is a volume of its own for each slot. Docker's socket and the host's system folders are refused.",
    defaults.EXECUTOR.volumes,
  ),
  ulimit: key(
    z.record(z.string(), text('a limit such as "65536", in quotes', format.ulimit)),
    "Limits of processes in jobs, by name.",
    defaults.EXECUTOR.ulimit,
  ),
  networkMtu: key(mtu(), "MTU of the networks of jobs. By default the host's `mtu`."),
  waitForServicesTimeout: key(
    seconds(-1, 3600),
    "Seconds in which services must answer; -1: nobody waits.",
    defaults.EXECUTOR.waitForServicesTimeout,
  ),
});

export const profileSchema = object({
  project: key(id("project"), "Numeric id of the project whose jobs are run."),
  group: key(id("group"), "Numeric id of the group whose projects' jobs are run."),
  instance: key(
    z.literal(true, {
      error: (issue) => `is ${show(issue.input)}: write true or leave it out`,
    }),
    "Jobs of the whole GitLab instance. Exactly one of `project`, `group` and `instance` is needed.",
  ),
  tags: key(
    list(text("a tag for jobs", format.jobTag)),
    "Tags of the runner. The host's name is added, by which a job can be aimed at one host.",
    defaults.PROFILE.tags,
  ),
  runUntagged: key(flag(), "Takes jobs without tags as well.", defaults.PROFILE.runUntagged),
  locked: key(
    flag(),
    "A project's runner cannot be enabled for other projects.",
    defaults.PROFILE.locked,
  ),
  paused: key(flag(), "Takes no jobs.", defaults.PROFILE.paused),
  protected: key(
    flag(),
    "Runs jobs of protected branches and tags only.",
    defaults.PROFILE.protected,
  ),
  maximumTimeout: key(
    seconds(600, 604_800),
    "Seconds that a job may take, whatever its project says.",
    defaults.PROFILE.maximumTimeout,
  ),
  limit: key(
    integer("a number of jobs", 1, 256),
    "Jobs at once of this profile on a host. By default the host's `runner.concurrent`, and never more.",
  ),
  requestConcurrency: key(
    integer("a number of requests", 1, 64),
    "Requests for jobs at once. With 1, a slow one delays the next job.",
    defaults.PROFILE.requestConcurrency,
  ),
  outputLimit: key(
    integer("KiB", 64, 1_048_576),
    "KiB that are kept of a job's log.",
    defaults.PROFILE.outputLimit,
  ),
  environment: key(
    list(text("a variable", format.environmentEntry)),
    "`NAME=value`, given to each job. No secrets: those are CI/CD variables in GitLab.",
    [],
  ),
  featureFlags: key(
    z.record(z.string().regex(/^FF_[A-Z_]+$/, "is no feature flag: they are called FF_…"), flag()),
    "Feature flags of the runner, over the default ones.",
    defaults.PROFILE.featureFlags,
  ),
  docker: key(executor, "What a job's containers are given, and may do."),
});

/** The whole stack file, without its secrets. What must be there is asked for in resolve.ts. */
export const stackSchema = object({
  proxmox: key(
    object({
      endpoint: key(
        text("the API's address, https://host:8006", format.withoutPath),
        "Address of the API, `https://host:8006`. Needed.",
      ),
      insecure: key(flag(), "Whoever answers is trusted: for a first try only.", false),
      vmIds: key(
        object({
          from: required(vmId(), "First id."),
          to: required(vmId(), "Last id."),
        }),
        "Range out of which new machines take their ids.",
        defaults.VM_IDS,
      ),
      snippets: key(
        storage(),
        "Storage for the snippets of the first boot; with content type `snippets`, best with no other. Another storage is another machine.",
        defaults.SNIPPETS_DATASTORE,
      ),
      ssh: key(
        object({
          username: key(
            text("the user who uploads snippets", format.word),
            "User on the nodes, with the key `proxmoxSshPrivateKey`. Needed.",
          ),
          nodes: key(
            named(
              "nodes",
              object({
                address: required(
                  text("the node's name or address", format.endpoint),
                  "Name or address.",
                ),
                port: key(port(), "Port.", 22),
              }),
            ),
            "Where nodes are reached, by name. By default at the address that the API tells.",
          ),
        }),
        "How snippets reach the nodes: Proxmox has no API for them.",
      ),
    }),
    "The Proxmox VE cluster. Needed.",
  ),
  gitlab: key(
    object({
      url: key(
        text("GitLab's address, https://host", format.gitlabUrl),
        "Address of GitLab, `https://host`, as jobs reach it too. Needed.",
      ),
    }),
    "The GitLab server. Needed.",
  ),
  caCertificates: key(
    text("PEM certificates", format.pemCertificates),
    "The site's own CA certificates (PEM), which the hosts, Docker and the runner trust. By default none.",
  ),
  canary: key(
    object({
      project: required(id("project"), "Numeric id of the project."),
      ref: key(text("a branch or tag", format.word), "Branch or tag.", defaults.CANARY_REF),
      timeout: key(
        seconds(60, 7200),
        "Seconds in which the job must have ended, waiting included.",
        defaults.CANARY_TIMEOUT,
      ),
    }),
    "A pipeline that runs a job on a host before the host counts as done. Needs `canaryTriggerToken`. By default none.",
  ),
  rollout: key(
    object({
      parallel: key(
        integer("a number of hosts", 1, 64),
        "Hosts that may be out of service at the same time.",
        defaults.ROLLOUT_PARALLEL,
      ),
    }),
    "How changes reach the hosts.",
  ),
  defaults: key(
    hostSchema,
    "What all hosts have in common. A host's own key wins; maps are merged, lists are not.",
  ),
  profiles: key(named("profiles", profileSchema), "Kinds of runners, by name. Needed."),
  hosts: key(named("hosts", hostSchema), "Runner hosts, by name. Needed."),
});

export type RawStack = z.infer<typeof stackSchema>;
export type RawHost = z.infer<typeof hostSchema>;
export type RawProfile = z.infer<typeof profileSchema>;
export type RawAptSource = z.infer<ReturnType<typeof aptSource>>;
