/**
 * What the program knows of a stack once its file was read, defaulted and checked.
 *
 * Everything here is final: no component and no renderer fills in a default or asks Pulumi's
 * configuration again. Secrets are not here: they stay in the stack's configuration and are
 * fetched by name (`SECRET_KEYS`) where one is handed to a provider or a step.
 */

/** Top-level configuration keys that hold a secret, and what each is for. */
export const SECRET_KEYS = {
  proxmoxApiToken: "the Proxmox API token (user@realm!name=uuid)",
  proxmoxSshPrivateKey: "the SSH key that uploads snippets to the Proxmox nodes",
  gitlabToken: "the GitLab token that creates runners (scopes create_runner, manage_runner)",
  sshPrivateKey: "the SSH key of the admin user on the runner hosts",
  canaryTriggerToken: "the pipeline trigger token of the canary project",
} as const;

export type SecretKey = keyof typeof SECRET_KEYS;

/** A whole stack. */
export interface StackConfig {
  /** Pulumi project, e.g. `gitlab-runners`. */
  readonly project: string;
  /** Pulumi stack, e.g. `prod`. */
  readonly stack: string;
  readonly proxmox: ProxmoxConfig;
  readonly gitlab: GitLabConfig;
  /** The site's own CA certificates (PEM), trusted by the host, Docker and the runner. */
  readonly caCertificates: string | undefined;
  readonly canary: CanaryConfig | undefined;
  readonly rollout: RolloutConfig;
  /** Sorted by name. */
  readonly hosts: readonly HostConfig[];
}

export interface ProxmoxConfig {
  /** `https://host:8006`, without a path. */
  readonly endpoint: string;
  /** Skip TLS verification of the Proxmox API. Default false. */
  readonly insecure: boolean;
  /** Range from which new VMs take their ids. */
  readonly vmIds: { readonly from: number; readonly to: number };
  /** Storage that takes snippets, e.g. `local`. */
  readonly snippets: string;
  /** How the provider reaches the nodes to upload a snippet. */
  readonly ssh: {
    readonly username: string;
    readonly nodes: readonly {
      readonly name: string;
      readonly address: string;
      readonly port: number;
    }[];
  };
}

export interface GitLabConfig {
  /** `https://gitlab.example.org`, without a trailing slash. */
  readonly url: string;
}

/** A pipeline that the gate starts to see a real job run on the host. */
export interface CanaryConfig {
  /** Numeric id of the project whose pipeline is triggered. */
  readonly project: number;
  /** Branch or tag. Default `main`. */
  readonly ref: string;
  /** How long the job may take, in seconds. Default 600. */
  readonly timeout: number;
}

export interface RolloutConfig {
  /** How many hosts may be interrupted at the same time. Default 1. */
  readonly parallel: number;
}

/** Which template a VM is cloned from. */
export type TemplateConfig = { readonly id: number } | { readonly tag: string };

export interface HostConfig {
  /** Key in `hosts`: a DNS label. */
  readonly name: string;
  /** Proxmox node. */
  readonly node: string;
  readonly template: TemplateConfig;
  readonly vm: VmConfig;
  readonly network: NetworkConfig;
  readonly disks: DisksConfig;
  readonly ssh: SshConfig;
  readonly packages: PackagesConfig;
  readonly docker: DockerConfig;
  readonly runner: RunnerConfig;
  /** The runner profiles that this host serves, each with its own record in GitLab. */
  readonly profiles: readonly ProfileConfig[];
}

export interface VmConfig {
  /** Fixed VM id; otherwise one out of `proxmox.vmIds`. */
  readonly id: number | undefined;
  readonly pool: string | undefined;
  readonly cpuType: string;
  readonly cores: number;
  /** MiB. */
  readonly memory: number;
  /** Sorted, lower case. */
  readonly tags: readonly string[];
  readonly onBoot: boolean;
  /** Proxmox' own protection flag. */
  readonly protection: boolean;
}

export interface NetworkConfig {
  readonly bridge: string;
  readonly vlan: number | undefined;
  /** Firewall flag of the network device. */
  readonly firewall: boolean;
  /** `dhcp`, or an address with its prefix length such as `10.0.0.11/24`. */
  readonly address: string;
  /** Only with a static address. */
  readonly gateway: string | undefined;
  /** Empty: what the node or DHCP says. */
  readonly dnsServers: readonly string[];
  readonly searchDomain: string | undefined;
  readonly mtu: number | undefined;
}

export interface DiskConfig {
  /** GiB. */
  readonly size: number;
  readonly datastore: string;
}

export interface DisksConfig {
  /** scsi0, `/`. */
  readonly root: DiskConfig;
  /** scsi1, `/var/lib/docker`. */
  readonly docker: DiskConfig;
  /** scsi2, `/cache`. */
  readonly cache: DiskConfig;
  /** Where the cloud-init drive lives. */
  readonly cloudInitDatastore: string;
}

export interface SshConfig {
  /** Admin user that cloud-init creates. Default `ops`. */
  readonly user: string;
  /** At least one; the first must belong to `sshPrivateKey`. */
  readonly authorizedKeys: readonly string[];
  /** Where the host key comes from: read through the guest agent, given, or trusted on first use. */
  readonly trust:
    | { readonly mode: "agent" }
    | { readonly mode: "key"; readonly hostKey: string }
    | { readonly mode: "first-use" };
  readonly bastion:
    | {
        readonly host: string;
        readonly port: number;
        readonly user: string;
        readonly hostKey: string;
      }
    | undefined;
}

/** How packages reach the host. */
export interface PackagesConfig {
  /** URL of an HTTP proxy for apt, or undefined. */
  readonly proxy: string | undefined;
}

/** An apt repository that is not the distribution's own. */
export interface AptSource {
  /** Base URL, e.g. `https://packages.gitlab.com/runner/gitlab-runner/debian`. */
  readonly url: string;
  /** Suite; the guest's own codename when undefined. */
  readonly suite: string | undefined;
  readonly component: string;
  readonly keyUrl: string;
  /** Full OpenPGP fingerprint, upper case hex without spaces. */
  readonly keyFingerprint: string;
}

export interface DockerConfig {
  /** Docker Engine's packages: the distribution's `docker.io`, or `docker-ce` of a repository. */
  readonly source:
    | { readonly kind: "distribution" }
    | { readonly kind: "repository"; readonly repository: AptSource };
  /** Exact package version, held; undefined: what the repository offers at install time, then held. */
  readonly version: string | undefined;
  readonly registryMirrors: readonly string[];
  /** Out of which networks of jobs are cut. */
  readonly addressPools: readonly { readonly base: string; readonly size: number }[];
  readonly logMaxSize: string;
  readonly logMaxFiles: number;
  readonly liveRestore: boolean;
  /** Open files that a process in a container may have, soft and hard. */
  readonly openFiles: number;
  readonly mtu: number | undefined;
}

export interface RunnerConfig {
  readonly repository: AptSource;
  /** Version without Debian revision, e.g. `19.3.0`. */
  readonly version: string;
  /** Jobs at once on this host. */
  readonly concurrent: number;
  /** Seconds. Default 3. */
  readonly checkInterval: number;
  readonly logLevel: "debug" | "info" | "warn" | "error";
  /** `address:port` of the metrics listener. Default `127.0.0.1:9252`. */
  readonly metricsListen: string;
  /** How long a drain waits for running jobs, in seconds. At least every profile's `maximumTimeout`. */
  readonly drainTimeout: number;
}

/** Where a runner record lives in GitLab. */
export type RunnerScope =
  | { readonly type: "project"; readonly id: number }
  | { readonly type: "group"; readonly id: number }
  | { readonly type: "instance" };

export interface ProfileConfig {
  /** Key in `profiles`. */
  readonly name: string;
  readonly scope: RunnerScope;
  /** Sorted; the host's name is added to the record besides. */
  readonly tags: readonly string[];
  readonly runUntagged: boolean;
  readonly locked: boolean;
  readonly paused: boolean;
  readonly protected: boolean;
  /** Seconds, at least 600. */
  readonly maximumTimeout: number;
  /** Jobs at once for this profile; at most the host's `concurrent`. */
  readonly limit: number;
  readonly requestConcurrency: number;
  /** KiB of job log kept. */
  readonly outputLimit: number;
  /** `KEY=value`, given to each job; no secrets. */
  readonly environment: readonly string[];
  readonly featureFlags: Readonly<Record<string, boolean>>;
  readonly docker: ExecutorConfig;
}

/** `[runners.docker]`: names as in config.toml, in camelCase. */
export interface ExecutorConfig {
  readonly image: string;
  readonly helperImage: string | undefined;
  readonly privileged: boolean;
  readonly capDrop: readonly string[];
  readonly capAdd: readonly string[];
  readonly securityOpt: readonly string[];
  readonly pullPolicy: readonly ("always" | "if-not-present" | "never")[];
  readonly allowedPullPolicies: readonly ("always" | "if-not-present" | "never")[];
  readonly allowedImages: readonly string[];
  readonly allowedServices: readonly string[];
  readonly servicesLimit: number;
  /** Docker size such as `2g`; undefined: no limit. */
  readonly memory: string | undefined;
  readonly memorySwap: string | undefined;
  /** Such as `2` or `1.5`; undefined: no limit. */
  readonly cpus: string | undefined;
  readonly serviceMemory: string | undefined;
  readonly serviceCpus: string | undefined;
  /** Bytes. Default 268435456. */
  readonly shmSize: number;
  readonly volumes: readonly string[];
  readonly ulimit: Readonly<Record<string, string>>;
  readonly networkMtu: number | undefined;
  readonly waitForServicesTimeout: number;
}
