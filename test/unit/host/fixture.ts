import { ExecutorConfig, HostConfig, ProfileConfig, StackConfig } from "../../../config/model";

/** Not a certificate anybody could use: two PEM blocks to split and join. */
export const CERTIFICATES = [
  "-----BEGIN CERTIFICATE-----\nMIIBszCCAVmgAwIBAgIUQQ==\n-----END CERTIFICATE-----\n",
  "-----BEGIN CERTIFICATE-----\nMIIBszCCAVmgAwIBAgIUQg==\n-----END CERTIFICATE-----\n",
];

export const EXECUTOR: ExecutorConfig = {
  image: "debian:trixie-slim",
  helperImage: undefined,
  privileged: false,
  capDrop: ["NET_RAW", "MKNOD", "AUDIT_WRITE"],
  capAdd: [],
  securityOpt: ["no-new-privileges:true"],
  pullPolicy: ["always", "always"],
  allowedPullPolicies: ["always"],
  allowedImages: [
    "debian:*",
    "node:*",
    "python:*",
    "docker.io/library/debian:*",
    "docker.io/library/node:*",
    "docker.io/library/python:*",
  ],
  allowedServices: ["postgres:*", "docker.io/library/postgres:*"],
  servicesLimit: 3,
  memory: "2g",
  memorySwap: "2g",
  cpus: "1.5",
  serviceMemory: "1g",
  serviceCpus: "1",
  shmSize: 268_435_456,
  volumes: ["/cache"],
  ulimit: { nproc: "4096", nofile: "65536" },
  networkMtu: 1450,
  waitForServicesTimeout: 60,
};

export const PROFILE: ProfileConfig = {
  name: "default",
  scope: { type: "project", id: 7 },
  tags: ["ci", "docker", "proxmox-local"],
  runUntagged: false,
  locked: true,
  paused: false,
  protected: false,
  maximumTimeout: 3600,
  limit: 4,
  requestConcurrency: 2,
  outputLimit: 8192,
  environment: ["LANG=C.UTF-8"],
  featureFlags: { FF_NETWORK_PER_BUILD: true, FF_DISABLE_AUTOMATIC_TOKEN_ROTATION: true },
  docker: EXECUTOR,
};

export const HOST: HostConfig = {
  name: "ci-01",
  node: "pve1",
  template: { tag: "ci-template" },
  vm: {
    id: undefined,
    pool: undefined,
    cpuType: "host",
    cores: 4,
    memory: 8192,
    tags: ["ci"],
    onBoot: true,
    protection: false,
  },
  network: {
    bridge: "vmbr0",
    vlan: undefined,
    firewall: true,
    address: "10.0.0.11/24",
    gateway: "10.0.0.1",
    dnsServers: [],
    searchDomain: undefined,
    mtu: undefined,
  },
  disks: {
    root: { size: 20, datastore: "local-lvm" },
    docker: { size: 50, datastore: "local-lvm" },
    cache: { size: 20, datastore: "local-lvm" },
    cloudInitDatastore: "local-lvm",
  },
  ssh: {
    user: "ops",
    authorizedKeys: ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKey ops@example.org"],
    trust: { mode: "agent" },
    bastion: undefined,
  },
  packages: { proxy: undefined },
  docker: {
    source: {
      kind: "repository",
      repository: {
        url: "https://download.docker.com/linux/debian",
        suite: undefined,
        component: "stable",
        keyUrl: "https://download.docker.com/linux/debian/gpg",
        keyFingerprint: "9DC858229FC7DD38854AE2D88D81803C0EBFCD88",
      },
    },
    version: "5:29.3.0-1~debian.13~trixie",
    registryMirrors: ["https://registry.example.org", "http://mirror.example.org:5000"],
    addressPools: [{ base: "172.20.0.0/14", size: 24 }],
    logMaxSize: "20m",
    logMaxFiles: 3,
    liveRestore: true,
    openFiles: 65_536,
    mtu: 1450,
  },
  runner: {
    repository: {
      url: "https://packages.gitlab.com/runner/gitlab-runner/debian",
      suite: "trixie",
      component: "main",
      keyUrl: "https://packages.gitlab.com/gpgkey/gpg.key",
      keyFingerprint: "F6403F6544A38863DAA0B6E03F01618A51312F3F",
    },
    version: "19.3.0",
    concurrent: 4,
    checkInterval: 3,
    logLevel: "info",
    metricsListen: "127.0.0.1:9252",
    drainTimeout: 3600,
  },
  profiles: [PROFILE],
};

export const STACK: StackConfig = {
  project: "gitlab-runners",
  stack: "prod",
  proxmox: {
    endpoint: "https://pve1.example.org:8006",
    insecure: false,
    vmIds: { from: 5000, to: 5999 },
    snippets: "local",
    ssh: { username: "root", nodes: [{ name: "pve1", address: "10.0.0.2", port: 22 }] },
  },
  gitlab: { url: "https://gitlab.example.org" },
  caCertificates: CERTIFICATES.join(""),
  canary: { project: 7, ref: "main", timeout: 600 },
  rollout: { parallel: 1 },
  hosts: [HOST],
};

/** A second shape: everything optional absent, and two profiles. */
export const BARE_HOST: HostConfig = {
  ...HOST,
  name: "ci-02",
  packages: { proxy: "http://proxy.example.org:3128" },
  docker: {
    ...HOST.docker,
    source: { kind: "distribution" },
    version: undefined,
    registryMirrors: [],
    mtu: undefined,
  },
  runner: { ...HOST.runner, logLevel: "warn", metricsListen: "0.0.0.0:9252", drainTimeout: 7200 },
  profiles: [
    {
      ...PROFILE,
      environment: [],
      featureFlags: {},
      docker: {
        ...EXECUTOR,
        capDrop: [],
        securityOpt: [],
        allowedImages: [],
        allowedServices: [],
        memory: undefined,
        memorySwap: undefined,
        cpus: undefined,
        serviceMemory: undefined,
        serviceCpus: undefined,
        ulimit: {},
        networkMtu: undefined,
      },
    },
    {
      ...PROFILE,
      name: "image-builder",
      docker: { ...EXECUTOR, image: "docker:29-cli", helperImage: "registry.example.org/helper:1" },
    },
  ],
};

export const BARE_STACK: StackConfig = {
  ...STACK,
  stack: "dev",
  caCertificates: undefined,
  canary: undefined,
  hosts: [BARE_HOST],
};
