import type { AptSource, ExecutorConfig } from "./model";

/*
 * Every default in one place, each with its reason where it is not plain.
 */

export const VM_IDS = { from: 5000, to: 5999 };
export const SNIPPETS_DATASTORE = "local";
export const CANARY_REF = "main";
export const CANARY_TIMEOUT = 600;
export const ROLLOUT_PARALLEL = 1;

export const HOST = {
  template: "ci-template",
  bridge: "vmbr0",
  datastore: "local-lvm",
  /** The guest sees the node's own processor: the fastest, and nested KVM works. */
  cpuType: "host",
  cores: 4,
  memory: 8192,
  tags: ["gitlab-runner"],
  onBoot: true,
  protection: false,
  firewall: true,
  sshUser: "ops",
  disks: { root: 20, docker: 80, cache: 20 },
} as const;

export const DOCKER = {
  /** Room for 1024 jobs' networks of 254 addresses, apart from what sites commonly use. */
  addressPools: [{ base: "172.20.0.0/14", size: 24 }],
  logMaxSize: "20m",
  logMaxFiles: 3,
  liveRestore: true,
  /** Docker 29 gives containers a soft limit of 1024 unless told otherwise: too few for builds. */
  openFiles: 65_536,
} as const;

/** https://docs.docker.com/engine/install/debian/ */
export const DOCKER_REPOSITORY: AptSource = {
  url: "https://download.docker.com/linux/debian",
  suite: undefined,
  component: "stable",
  keyUrl: "https://download.docker.com/linux/debian/gpg",
  keyFingerprint: "9DC858229FC7DD38854AE2D88D81803C0EBFCD88",
};

/** https://docs.gitlab.com/runner/install/linux-repository/ */
export const RUNNER_REPOSITORY: AptSource = {
  url: "https://packages.gitlab.com/runner/gitlab-runner/debian",
  suite: undefined,
  component: "main",
  keyUrl: "https://packages.gitlab.com/gpgkey/gpg.key",
  keyFingerprint: "F6403F6544A38863DAA0B6E03F01618A51312F3F",
};

export const RUNNER = {
  version: "19.3.0",
  /** With the default 2 GiB a job, four jobs fill the default machine. */
  concurrent: 4,
  checkInterval: 3,
  logLevel: "info",
  metricsListen: "127.0.0.1:9252",
} as const;

export const PROFILE = {
  tags: ["proxmox-local", "ci", "docker"],
  runUntagged: false,
  locked: true,
  paused: false,
  protected: false,
  /** One hour: GitLab's own default for a project's jobs. */
  maximumTimeout: 3600,
  /** With one request at a time a slow poll delays the next job. */
  requestConcurrency: 2,
  outputLimit: 8192,
  featureFlags: {
    // Jobs do not see each other.
    FF_NETWORK_PER_BUILD: true,
    // A token that the runner rotates by itself is one that this program no longer knows.
    FF_DISABLE_AUTOMATIC_TOKEN_ROTATION: true,
  },
} as const;

/** Image names are matched as a job writes them, so both forms of Docker Hub's names are listed. */
const hub = (...names: string[]): string[] =>
  names.flatMap((name) => [`${name}:*`, `docker.io/library/${name}:*`]);

export const EXECUTOR: ExecutorConfig = {
  image: "debian:trixie-slim",
  helperImage: undefined,
  privileged: false,
  capDrop: ["NET_RAW", "MKNOD", "AUDIT_WRITE"],
  capAdd: [],
  securityOpt: ["no-new-privileges:true"],
  // Twice the same: a second try when the registry fails. Never a cached private image.
  pullPolicy: ["always", "always"],
  allowedPullPolicies: ["always"],
  allowedImages: hub(
    "alpine",
    "debian",
    "ubuntu",
    "maven",
    "gradle",
    "eclipse-temurin",
    "node",
    "python",
    "golang",
    "ruby",
    "php",
    "rust",
  ),
  allowedServices: hub("postgres", "mysql", "mariadb", "redis", "rabbitmq"),
  servicesLimit: 3,
  memory: "2g",
  memorySwap: "2g",
  cpus: "2",
  serviceMemory: "1g",
  serviceCpus: "1",
  shmSize: 268435456,
  volumes: ["/cache"],
  ulimit: { nofile: "65536" },
  networkMtu: undefined,
  waitForServicesTimeout: 60,
};
