import { generateKeyPairSync } from "node:crypto";

import { checkFile } from "../../../ops/check-file";
import { goodStack, PUBLIC_KEY, SECURE, stackText, stackWith, Values, writeStack } from "./fixture";

/** Errors of a stack file, without its name and the lines. */
function errorsOf(text: string): string[] {
  const file = writeStack(text);
  return checkFile(file).errors.map((line) => line.slice(file.length).replace(/^(:\d+)?: /, ""));
}

it("finds nothing in a good stack", () => {
  const file = writeStack(stackText(goodStack()));
  const { errors, warnings, stack } = checkFile(file);
  expect([errors, warnings]).toEqual([[], []]);
  expect(stack?.hosts.map(({ name }) => name)).toEqual(["ci-01", "ci-02"]);
});

const privateKey = generateKeyPairSync("ed25519").privateKey.export({
  type: "pkcs8",
  format: "pem",
}) as string;
const shortRsa = `ssh-rsa ${sshBlob("ssh-rsa", [Buffer.from([1, 0, 1]), Buffer.alloc(129, 1)])}`;

function sshBlob(type: string, parts: Buffer[]): string {
  const fields = [Buffer.from(type), ...parts].flatMap((part) => {
    const length = Buffer.alloc(4);
    length.writeUInt32BE(part.length);
    return [length, part];
  });
  return Buffer.concat(fields).toString("base64");
}

const HOST = "hosts.ci-01";
const DEFAULT = "profiles.default";

interface Case {
  readonly what: string;
  /** What is set in a good stack. */
  readonly set: Readonly<Values>;
  /** Which key the message names. */
  readonly key: string;
  /** What it shows of the value. */
  readonly value: string;
  /** What it says to do. */
  readonly remedy: string;
}

const CASES: readonly Case[] = [
  // Keys.
  {
    what: "a missing key",
    set: { "hosts.ci-01.node": undefined },
    key: `${HOST}.node`,
    value: "is missing",
    remedy: "give the Proxmox node that the machine runs on, here or under defaults",
  },
  {
    what: "a missing address",
    set: { "hosts.ci-01.address": undefined },
    key: `${HOST}.address`,
    value: "is missing",
    remedy: 'give "dhcp" or an address such as 10.0.0.11/24',
  },
  {
    what: "a missing map",
    set: { gitlab: undefined },
    key: "gitlab.url",
    value: "is missing",
    remedy: "give GitLab's address, https://host",
  },
  {
    what: "an unknown key with a near one",
    set: { "hosts.ci-01.adress": "10.0.0.11/24" },
    key: `${HOST}.adress`,
    value: "is unknown",
    remedy: 'did you mean "address"?',
  },
  {
    what: "an unknown key with none near",
    set: { "profiles.default.colour": "blue" },
    key: `${DEFAULT}.colour`,
    value: "is unknown",
    remedy: "remove it (known here: project, group,",
  },
  {
    what: "an unknown top-level key",
    set: { host: {} },
    key: "host",
    value: "is unknown",
    remedy: 'did you mean "hosts"?',
  },
  {
    what: "a mistyped secret's name",
    set: { gitlabTokn: SECURE },
    key: "gitlabTokn",
    value: "is unknown",
    remedy: 'did you mean "gitlabToken"?',
  },
  {
    what: "a key with a mistyped prefix",
    set: { "gitlab-runner:rollout": { parallel: 2 } },
    key: "gitlab-runner:rollout",
    value: "has another prefix",
    remedy: "did you mean gitlab-runners:rollout?",
  },
  {
    what: "a provider's own key",
    set: { "proxmoxve:endpoint": "https://pve:8006" },
    key: "proxmoxve:endpoint",
    value: "is not read",
    remedy: "Remove it (all keys start with gitlab-runners:)",
  },
  // Types.
  {
    what: "text for a number",
    set: { "hosts.ci-01.cores": "four" },
    key: `${HOST}.cores`,
    value: 'is "four"',
    remedy: "give a number of cores from 1 to 512",
  },
  {
    what: "a fraction of a core",
    set: { "hosts.ci-01.cores": 1.5 },
    key: `${HOST}.cores`,
    value: "is 1.5",
    remedy: "give a number of cores from 1 to 512",
  },
  {
    what: "text for a truth value",
    set: { "profiles.default.locked": "yes" },
    key: `${DEFAULT}.locked`,
    value: 'is "yes"',
    remedy: "give true or false",
  },
  {
    what: "text for a list",
    set: { "profiles.default.tags": "ci" },
    key: `${DEFAULT}.tags`,
    value: 'is "ci"',
    remedy: "give a list",
  },
  {
    what: "a list for a map",
    set: { hosts: ["ci-01"] },
    key: "hosts",
    value: 'is ["ci-01"]',
    remedy: "give a map of hosts by name",
  },
  {
    what: "a number of CPUs without quotes",
    set: { "profiles.default.docker.cpus": 2 },
    key: `${DEFAULT}.docker.cpus`,
    value: "is 2",
    remedy: "give a number of CPUs in quotes",
  },
  {
    what: "a choice that there is not",
    set: { "hosts.ci-01.docker.source": "snap" },
    key: `${HOST}.docker.source`,
    value: 'is "snap"',
    remedy: "choose one of distribution, docker",
  },
  // Network.
  {
    what: "an address without its prefix",
    set: { "hosts.ci-01.address": "10.0.0.11" },
    key: `${HOST}.address`,
    value: '"10.0.0.11" is neither "dhcp" nor an address',
    remedy: "write it as 10.0.0.11/24",
  },
  {
    what: "an address with an impossible part",
    set: { "hosts.ci-01.address": "10.0.0.300/24" },
    key: `${HOST}.address`,
    value: '"10.0.0.300/24"',
    remedy: "write it as 10.0.0.11/24",
  },
  {
    what: "a network's own address",
    set: { "hosts.ci-01.address": "10.0.0.0/24" },
    key: `${HOST}.address`,
    value: '"10.0.0.0/24" is the network\'s own',
    remedy: "choose one between them",
  },
  {
    what: "an address outside of the gateway's network",
    set: { "hosts.ci-01.address": "10.0.1.11/24" },
    key: `${HOST}.gateway`,
    value:
      "10.0.0.1 is outside of the host's network 10.0.1.0 to 10.0.1.255 (address 10.0.1.11/24)",
    remedy: "correct the gateway, the address or its prefix length",
  },
  {
    what: "a gateway outside of the network",
    set: { "hosts.ci-01.gateway": "192.168.7.1" },
    key: `${HOST}.gateway`,
    value: "192.168.7.1 is outside",
    remedy: "correct the gateway",
  },
  {
    what: "a static address without a gateway",
    set: { "defaults.gateway": undefined, "hosts.ci-02.gateway": "10.0.0.1" },
    key: `${HOST}.gateway`,
    value: "the address 10.0.0.11/24 is static",
    remedy: "Give the gateway of its network",
  },
  {
    what: "a gateway beside DHCP",
    set: { "hosts.ci-01.address": "dhcp" },
    key: `${HOST}.gateway`,
    value: "is 10.0.0.1, but the address comes by DHCP",
    remedy: "remove one of the two",
  },
  {
    what: "the gateway's own address",
    set: { "hosts.ci-01.gateway": "10.0.0.11" },
    key: `${HOST}.address`,
    value: "10.0.0.11/24 is the gateway's own address",
    remedy: "choose another",
  },
  {
    what: "a VLAN out of range",
    set: { "hosts.ci-01.vlan": 4095 },
    key: `${HOST}.vlan`,
    value: "is 4095",
    remedy: "give a VLAN from 1 to 4094",
  },
  {
    what: "a bad address pool",
    set: { "hosts.ci-01.docker.addressPools": [{ base: "172.20.0.0", size: 24 }] },
    key: `${HOST}.docker.addressPools.0.base`,
    value: '"172.20.0.0" is no IPv4 network',
    remedy: "write it as 172.20.0.0/14",
  },
  {
    what: "an address pool that starts inside of its network",
    set: { "hosts.ci-01.docker.addressPools": [{ base: "172.21.0.0/14", size: 24 }] },
    key: `${HOST}.docker.addressPools.0.base`,
    value: '"172.21.0.0/14" is inside of a network',
    remedy: "write it as 172.20.0.0/14",
  },
  {
    what: "an address pool that meets the host's network",
    set: { "hosts.ci-01.docker.addressPools": [{ base: "10.0.0.0/16", size: 24 }] },
    key: `${HOST}.docker.addressPools.0`,
    value: "10.0.0.0/16 overlaps the host's own network 10.0.0.11/24",
    remedy: "choose another",
  },
  {
    what: "address pools that meet",
    set: {
      "hosts.ci-01.docker.addressPools": [
        { base: "172.20.0.0/14", size: 24 },
        { base: "172.22.0.0/16", size: 24 },
      ],
    },
    key: `${HOST}.docker.addressPools.1`,
    value: "172.22.0.0/16 overlaps 172.20.0.0/14",
    remedy: "choose another",
  },
  {
    what: "address pools that are too small",
    set: { "hosts.ci-01.docker.addressPools": [{ base: "172.20.0.0/23", size: 24 }] },
    key: `${HOST}.docker.addressPools`,
    value: "hold 2 networks, but 4 jobs at once need 5",
    remedy: "widen the base or raise the size",
  },
  {
    what: "a job network with too large an MTU",
    set: { "hosts.ci-01.mtu": 1400, "profiles.default.docker.networkMtu": 1500 },
    key: `${DEFAULT}.docker.networkMtu`,
    value: "is 1500, above the MTU 1400 of host ci-01",
    remedy: "Make it at most 1400",
  },
  // Addresses of services.
  {
    what: "a GitLab without TLS",
    set: { "gitlab.url": "http://gitlab.example.org" },
    key: "gitlab.url",
    value: '"http://gitlab.example.org"',
    remedy: "must start with https://",
  },
  {
    what: "a GitLab address with the API's path",
    set: { "gitlab.url": "https://gitlab.example.org/api/v4" },
    key: "gitlab.url",
    value: '"https://gitlab.example.org/api/v4"',
    remedy: "must end before /api: write only https://host",
  },
  {
    what: "a password in an address",
    set: { "gitlab.url": "https://root:pass@gitlab.example.org" },
    key: "gitlab.url",
    value: "must not hold a user or password",
    remedy: "secrets have keys of their own",
  },
  {
    what: "a Proxmox address with a path",
    set: { "proxmox.endpoint": "https://pve1.example.org:8006/api2/json" },
    key: "proxmox.endpoint",
    value: '"https://pve1.example.org:8006/api2/json" must have no path',
    remedy: "write only https://host:port",
  },
  {
    what: "a Proxmox address that is none",
    set: { "proxmox.endpoint": "pve1.example.org" },
    key: "proxmox.endpoint",
    value: '"pve1.example.org" is no URL',
    remedy: "write it as https://host:port",
  },
  // Two of one kind.
  {
    what: "two hosts with one address",
    set: { "hosts.ci-02.address": "10.0.0.11/24" },
    key: "hosts.ci-02.address",
    value: "10.0.0.11 is the address of ci-01 as well",
    remedy: "give each its own",
  },
  {
    what: "two hosts with one VM id",
    set: { "hosts.ci-01.vmId": 300, "hosts.ci-02.vmId": 300 },
    key: "hosts.ci-02.vmId",
    value: "300 is the id of ci-01 as well",
    remedy: "give each its own",
  },
  {
    what: "a host at another's gateway",
    set: { "hosts.ci-02.gateway": "10.0.0.11" },
    key: `${HOST}.address`,
    value: "10.0.0.11 is the gateway of ci-02",
    remedy: "choose another",
  },
  {
    what: "two runners with one name",
    set: {
      "hosts.ci-01.profiles": ["default", "b-c"],
      "hosts.ci-01-b": { node: "pve1", address: "10.0.0.13/24", profiles: ["c"] },
      "profiles.b-c": { project: 7 },
      "profiles.c": { project: 7 },
    },
    key: "hosts.ci-01-b.profiles",
    value: "c makes the runner ci-01-b-c, which is one of host ci-01 already",
    remedy: "rename the host or the profile",
  },
  {
    what: "a tag that is a host's name",
    set: { "profiles.default.tags": ["ci", "ci-02"] },
    key: `${DEFAULT}.tags`,
    value: 'holds "ci-02", the name of a host',
    remedy: "Choose another tag",
  },
  // Names and tags.
  {
    what: "a host name with a capital",
    set: { "hosts.CI-03": { node: "pve1", address: "10.0.0.13/24" } },
    key: "hosts.CI-03",
    value: '"CI-03" is no DNS label',
    remedy: "use lower-case letters, digits and dashes",
  },
  {
    what: "a host name that is too long",
    set: { [`hosts.${"h".repeat(51)}`]: { node: "pve1", address: "10.0.0.13/24" } },
    key: `hosts.${"h".repeat(51)}`,
    value: "is too long for a machine's name",
    remedy: "use at most 50 characters",
  },
  {
    what: "a profile name with an underscore",
    set: { "profiles.big_jobs": { project: 7 } },
    key: "profiles.big_jobs",
    value: '"big_jobs" is no DNS label',
    remedy: "use lower-case letters, digits and dashes",
  },
  {
    what: "a tag with a capital",
    set: { "profiles.default.tags": ["ci", "Docker"] },
    key: `${DEFAULT}.tags.1`,
    value: '"Docker" is no tag for jobs',
    remedy: "use lower-case letters, digits",
  },
  {
    what: "a tag with a space",
    set: { "profiles.default.tags": ["ci docker"] },
    key: `${DEFAULT}.tags.0`,
    value: '"ci docker" is no tag for jobs',
    remedy: "without spaces",
  },
  {
    what: "a Proxmox tag with a capital",
    set: { "hosts.ci-01.tags": ["Prod"] },
    key: `${HOST}.tags.0`,
    value: '"Prod" is no Proxmox tag',
    remedy: "use lower-case letters",
  },
  {
    what: "root as admin user",
    set: { "hosts.ci-01.ssh.user": "root" },
    key: `${HOST}.ssh.user`,
    value: '"root" must not be root',
    remedy: "steps log in as an ordinary user and use sudo",
  },
  // Keys and certificates.
  {
    what: "a key that is no SSH key",
    set: { "hosts.ci-01.ssh.authorizedKeys": ["my key"] },
    key: `${HOST}.ssh.authorizedKeys.0`,
    value: '"my key" has type "my"',
    remedy: "use ssh-ed25519",
  },
  {
    what: "a key without its type",
    set: { "hosts.ci-01.ssh.authorizedKeys": [PUBLIC_KEY.split(" ")[1]] },
    key: `${HOST}.ssh.authorizedKeys.0`,
    value: '"AAAAC3NzaC1lZDI1NTE5',
    remedy: "give one line such as `ssh-ed25519 AAAA… name`",
  },
  {
    what: "a key that was cut off",
    set: { "hosts.ci-01.ssh.authorizedKeys": [PUBLIC_KEY.slice(0, 60)] },
    key: `${HOST}.ssh.authorizedKeys.0`,
    value: "is damaged",
    remedy: "an ed25519 key has 68 characters",
  },
  {
    what: "an RSA key that is too short",
    set: { "hosts.ci-01.ssh.authorizedKeys": [shortRsa] },
    key: `${HOST}.ssh.authorizedKeys.0`,
    value: "is an RSA key of less than 2048 bits",
    remedy: "make a new one with ssh-keygen -t ed25519",
  },
  {
    what: "a private key for a public one",
    set: { "hosts.ci-01.ssh.authorizedKeys": [privateKey] },
    key: `${HOST}.ssh.authorizedKeys.0`,
    value: "(hidden: it looks like a secret) is a private key",
    remedy: "give the public one, the line in the file that ends with .pub",
  },
  {
    what: "no key at all",
    set: { "hosts.ci-01.ssh.authorizedKeys": [] },
    key: `${HOST}.ssh.authorizedKeys`,
    value: "is empty",
    remedy: "give at least one SSH public key",
  },
  {
    what: "a host key for a machine that changes",
    set: {
      "defaults.gateway": undefined,
      "hosts.ci-01": { node: "pve1", address: "dhcp", ssh: { hostKey: PUBLIC_KEY } },
      "hosts.ci-02.gateway": "10.0.0.1",
    },
    key: `${HOST}.ssh.hostKey`,
    value: "is given for a machine whose address is not",
    remedy: "Use trust: agent",
  },
  {
    what: "a broken certificate",
    set: {
      caCertificates: "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    },
    key: "caCertificates",
    value: "certificate 1 cannot be read",
    remedy: "give it as PEM, unchanged",
  },
  {
    what: "text that is no certificate",
    set: { caCertificates: "/etc/ssl/ca.pem" },
    key: "caCertificates",
    value: '"/etc/ssl/ca.pem" holds no certificate',
    remedy: "give PEM text that starts with -----BEGIN CERTIFICATE-----",
  },
  {
    what: "half a fingerprint",
    set: { "hosts.ci-01.runner.repository.keyFingerprint": "51312F3F" },
    key: `${HOST}.runner.repository.keyFingerprint`,
    value: '"51312F3F" is no full fingerprint',
    remedy: "give all 40 hexadecimal digits",
  },
  // Secrets.
  {
    what: "a secret in plain text",
    set: { gitlabToken: "something" },
    key: "gitlabToken",
    value: "stands in plain text",
    remedy: "revoke what it held, and set it with: pulumi config set --secret gitlabToken",
  },
  {
    what: "a registration token's key",
    set: { registrationToken: "GR1348941abcdefghijkl" },
    key: "registrationToken",
    value: "registration tokens are not supported",
    remedy: "Remove the key; this program creates the runner itself",
  },
  {
    what: "a registration token's key in a profile",
    set: { "profiles.default.registration_token": SECURE.secure },
    key: `${DEFAULT}.registration_token`,
    value: "registration tokens are not supported",
    remedy: "Remove the key",
  },
  {
    what: "a registration token somewhere",
    set: { "profiles.default.environment": ["TOKEN=GR1348941abcdefghijkl"] },
    key: `${DEFAULT}.environment.0`,
    value: "registration tokens are not supported",
    remedy: "Remove the key",
  },
  {
    what: "a runner token somewhere",
    set: { "profiles.default.environment": ["TOKEN=glrt-abcdefghijklmnop"] },
    key: `${DEFAULT}.environment.0`,
    value: "holds what looks like a token",
    remedy: "remove and revoke it",
  },
  {
    what: "a token under another prefix",
    set: { "gitlab:token": "glpat-abcdefghijklmnop" },
    key: "gitlab:token",
    value: "holds what looks like a token",
    remedy: "remove and revoke it",
  },
  {
    what: "a secret inside of a map",
    set: { "gitlab.url": SECURE },
    key: "gitlab",
    value: "holds an encrypted value",
    remedy: "Write it in plain text",
  },
  // Machine.
  {
    what: "a root disk that is smaller than a template's",
    set: { "hosts.ci-01.disks.root": 5 },
    key: `${HOST}.disks.root`,
    value: "is 5",
    remedy: "give a size in GiB from 10 to 65536",
  },
  {
    what: "a disk's size in words",
    set: { "hosts.ci-01.disks.docker": { size: "80G" } },
    key: `${HOST}.disks.docker.size`,
    value: 'is "80G"',
    remedy: "give a size in GiB from 10 to 65536",
  },
  {
    what: "a disk that is neither",
    set: { "hosts.ci-01.disks.cache": "20" },
    key: `${HOST}.disks.cache`,
    value: 'is "20"',
    remedy: "give a size in GiB of at least 1, or {size, datastore}",
  },
  {
    what: "too little memory",
    set: { "hosts.ci-01.memory": 512 },
    key: `${HOST}.memory`,
    value: "is 512",
    remedy: "give MiB from 1024",
  },
  {
    what: "a VM id that Proxmox keeps",
    set: { "hosts.ci-01.vmId": 99 },
    key: `${HOST}.vmId`,
    value: "is 99",
    remedy: "give a VM id from 100",
  },
  {
    what: "a range of ids that runs backwards",
    set: { "proxmox.vmIds": { from: 900, to: 800 } },
    key: "proxmox.vmIds",
    value: "runs from 900 to 800",
    remedy: "the first must not be above the second",
  },
  {
    what: "half a range of ids",
    set: { "proxmox.vmIds": { from: 900 } },
    key: "proxmox.vmIds.to",
    value: "is missing",
    remedy: "give a VM id from 100",
  },
  // Profiles.
  {
    what: "no host",
    set: { hosts: {} },
    key: "hosts",
    value: "is empty",
    remedy: "add at least one host",
  },
  {
    what: "a profile that there is not",
    set: { "hosts.ci-01.profiles": ["defualt"] },
    key: `${HOST}.profiles`,
    value: 'names "defualt", which is not under profiles',
    remedy: "add it there or choose one of default",
  },
  {
    what: "a host without a profile",
    set: { "hosts.ci-01.profiles": [] },
    key: `${HOST}.profiles`,
    value: "is empty",
    remedy: "a host serves at least one profile",
  },
  {
    what: "a profile without a scope",
    set: { "profiles.default.project": undefined },
    key: DEFAULT,
    value: "does not say whose jobs it runs",
    remedy: "give exactly one of project (id), group (id), instance (true)",
  },
  {
    what: "a profile with two scopes",
    set: { "profiles.default.group": 9 },
    key: DEFAULT,
    value: "says project and group at once",
    remedy: "give exactly one of project (id), group (id), instance (true)",
  },
  {
    what: "a project's path for its id",
    set: { "profiles.default.project": "group/app" },
    key: `${DEFAULT}.project`,
    value: 'is "group/app"',
    remedy: "give a project's numeric id from 1",
  },
  {
    what: "a runner that gets no job",
    set: { "profiles.default.tags": [] },
    key: `${DEFAULT}.tags`,
    value: "is empty while runUntagged is false",
    remedy: "Give it tags",
  },
  {
    what: "a mistyped feature flag",
    set: { "profiles.default.featureFlags": { NETWORK_PER_BUILD: true } },
    key: `${DEFAULT}.featureFlags.NETWORK_PER_BUILD`,
    value: "is no feature flag",
    remedy: "they are called FF_…",
  },
  // Security.
  {
    what: "the Docker socket among the volumes",
    set: {
      "profiles.default.docker.volumes": ["/cache", "/var/run/docker.sock:/var/run/docker.sock"],
    },
    key: `${DEFAULT}.docker.volumes`,
    value: "mounts /var/run/docker.sock:/var/run/docker.sock",
    remedy: "Remove it",
  },
  {
    what: "the host's root among the volumes",
    set: { "profiles.default.docker.volumes": ["/:/host:ro"] },
    key: `${DEFAULT}.docker.volumes`,
    value: "mounts /:/host:ro of the host",
    remedy: "remove it",
  },
  {
    what: "the runner's configuration among the volumes",
    set: { "profiles.default.docker.volumes": ["/etc/gitlab-runner:/config:ro"] },
    key: `${DEFAULT}.docker.volumes`,
    value: "mounts /etc/gitlab-runner:/config:ro of the host",
    remedy: "remove it",
  },
  {
    what: "privileged jobs of any branch",
    set: { "profiles.default.docker.privileged": true },
    key: `${DEFAULT}.docker.privileged`,
    value: "is true on a profile that is not protected",
    remedy: "Set protected: true, or leave privileged out",
  },
  {
    what: "a capability that is all of them",
    set: { "profiles.default.docker.capAdd": ["SYS_ADMIN"] },
    key: `${DEFAULT}.docker.capAdd`,
    value: "SYS_ADMIN gives jobs the host's rights",
    remedy: "remove ALL and SYS_ADMIN",
  },
  {
    what: "pull policies that have nothing in common",
    set: { "profiles.default.docker.pullPolicy": ["if-not-present"] },
    key: `${DEFAULT}.docker.pullPolicy`,
    value: "if-not-present and allowedPullPolicies always have nothing in common",
    remedy: "Allow one of the first",
  },
  // Limits.
  {
    what: "no job at a time",
    set: { "hosts.ci-01.runner.concurrent": 0 },
    key: `${HOST}.runner.concurrent`,
    value: "is 0",
    remedy: "give a number of jobs from 1 to 256",
  },
  {
    what: "fewer jobs than profiles",
    set: {
      "hosts.ci-01.runner.concurrent": 1,
      "hosts.ci-01.profiles": ["default", "other"],
      "profiles.other": { project: 7 },
    },
    key: `${HOST}.runner.concurrent`,
    value: "is 1, below the 2 profiles of the host",
    remedy: "Make it at least 2",
  },
  {
    what: "a limit above that of the host",
    set: { "profiles.default.limit": 9 },
    key: `${DEFAULT}.limit`,
    value: "is 9, above concurrent 4 of host ci-01",
    remedy: "Make it at most 4",
  },
  {
    what: "a drain that is shorter than a job",
    set: { "hosts.ci-01.runner.drainTimeout": 600 },
    key: `${HOST}.runner.drainTimeout`,
    value: "is 600 s, but a job may run for 3600 s (maximumTimeout)",
    remedy: "Make it at least 3600",
  },
  {
    what: "a job's time that GitLab refuses",
    set: { "profiles.default.maximumTimeout": 60 },
    key: `${DEFAULT}.maximumTimeout`,
    value: "is 60",
    remedy: "give seconds from 600",
  },
  {
    what: "a job with more memory than its host",
    set: { "profiles.default.docker.memory": "16g" },
    key: `${DEFAULT}.docker.memory`,
    value: "is 16g, more than all of host ci-01 (8192 MiB)",
    remedy: "lower it",
  },
  {
    what: "memory as a bare number",
    set: { "profiles.default.docker.memory": "2048" },
    key: `${DEFAULT}.docker.memory`,
    value: '"2048" is no size',
    remedy: "write it as 512m or 2g",
  },
  {
    what: "less swap than memory",
    set: { "profiles.default.docker.memorySwap": "1g" },
    key: `${DEFAULT}.docker.memorySwap`,
    value: "is 1g, below memory 2g",
    remedy: "Make it at least 2g",
  },
  {
    what: "a job with more CPUs than its host",
    set: { "profiles.default.docker.cpus": "8" },
    key: `${DEFAULT}.docker.cpus`,
    value: "is 8, but host ci-01 has 4 cores",
    remedy: "Lower it",
  },
  {
    what: "a runner that is too old",
    set: { "hosts.ci-01.runner.version": "17.11.0" },
    key: `${HOST}.runner.version`,
    value: "is 17.11.0",
    remedy: "needs gitlab-runner 18.7 or newer",
  },
  {
    what: "a version with a v",
    set: { "hosts.ci-01.runner.version": "v19.3.0" },
    key: `${HOST}.runner.version`,
    value: '"v19.3.0" is no version',
    remedy: "write it as 19.3.0, without v",
  },
  {
    what: "a metrics address without a port",
    set: { "hosts.ci-01.runner.metricsListen": "127.0.0.1" },
    key: `${HOST}.runner.metricsListen`,
    value: '"127.0.0.1" is no address with a port',
    remedy: "write it as 127.0.0.1:9252",
  },
];

it("has the number of cases that was asked for", () => {
  expect(new Set(CASES.map(({ what }) => what)).size).toBe(CASES.length);
  expect(CASES.length).toBeGreaterThanOrEqual(40);
});

it.each(CASES)("refuses $what", ({ set, key, value, remedy }) => {
  const errors = errorsOf(stackText(stackWith(set)));
  const message = errors.find((line) => line.startsWith(`${key}: `) && line.includes(value));
  expect({ errors, message }).toMatchObject({ message: expect.stringContaining(remedy) });
});

it.each(CASES)("says no more than what is wrong about $what", ({ set, key }) => {
  const errors = errorsOf(stackText(stackWith(set)));
  // A fault may be named at the key, in it, or at the hosts that share it; nothing else is in the way.
  const related = errors.filter((line) => {
    const path = line.slice(0, line.indexOf(": "));
    return (
      path.startsWith(key) ||
      Object.keys(set).some((where) => path.startsWith(where)) ||
      path.replace(/ci-0\d/, "*") === key.replace(/ci-0\d/, "*")
    );
  });
  expect(related).toEqual(errors);
});

it.each([
  ["a private key", { "hosts.ci-01.ssh.authorizedKeys": [privateKey] }, privateKey.split("\n")[1]],
  ["a runner token", { "profiles.default.docker.image": "glrt-abcdefghijklmnop" }, "abcdefghijk"],
  ["a plain secret", { gitlabToken: "s3cr3t-of-somebody" }, "s3cr3t"],
  ["a password in an address", { "gitlab.url": "https://a:s3cr3t@gitlab.example.org" }, "s3cr3t"],
])("does not print %s", (_what, change, secret) => {
  const errors = errorsOf(stackText(stackWith(change)));
  expect(errors.length).toBeGreaterThan(0);
  expect(errors.join("\n")).not.toContain(secret);
});

describe("all errors at once", () => {
  it("names those of single keys together with those across keys", () => {
    const errors = errorsOf(
      stackText(
        stackWith({
          "gitlab.url": "http://gitlab.example.org",
          "hosts.ci-01.cores": "four",
          "hosts.ci-01.adress": "x",
          "hosts.ci-02.address": "10.0.0.11/24",
          "hosts.ci-02.runner.drainTimeout": 600,
          "profiles.default.tags": ["Ci"],
          "profiles.default.docker.privileged": true,
          "profiles.default.docker.volumes": ["/var/run/docker.sock:/var/run/docker.sock"],
          registrationToken: "GR1348941abcdefghijkl",
          sshPrivateKey: "plain",
          "proxmox.endpoint": undefined,
        }),
      ),
    );
    expect(errors.map((line) => line.slice(0, line.indexOf(": "))).sort()).toEqual([
      "gitlab.url",
      "hosts.ci-01.adress",
      "hosts.ci-01.cores",
      "hosts.ci-02.address",
      "hosts.ci-02.runner.drainTimeout",
      "profiles.default.docker.privileged",
      "profiles.default.docker.volumes",
      "profiles.default.tags.0",
      "proxmox.endpoint",
      "registrationToken",
      "sshPrivateKey",
    ]);
  });

  it("names each wrong element of a list", () => {
    const errors = errorsOf(stackText(stackWith({ "profiles.default.tags": ["A", "b", "c d"] })));
    expect(errors.map((line) => line.split(": ")[0])).toEqual([
      "profiles.default.tags.0",
      "profiles.default.tags.2",
    ]);
  });

  it("names every fault of an empty stack", () => {
    const errors = errorsOf("config: {}\n");
    expect(errors.map((line) => line.split(": ")[0])).toEqual([
      "gitlab.url",
      "hosts",
      "proxmox.endpoint",
      "proxmox.ssh.username",
    ]);
  });

  it("does not call missing what is there and wrong", () => {
    const errors = errorsOf(
      stackText(stackWith({ "hosts.ci-01.address": "nowhere", "defaults.gateway": "none" })),
    );
    expect(errors.map((line) => line.split(": ")[0])).toEqual([
      "defaults.gateway",
      "hosts.ci-01.address",
    ]);
  });

  it("finds two hosts with one name, and goes on", () => {
    const good = stackText(stackWith({ "profiles.default.tags": ["Ci"] }));
    const twice = good.replace("    ci-02:", "    ci-01:");
    expect(twice).not.toBe(good);
    const errors = errorsOf(twice);
    expect(errors).toEqual([
      expect.stringMatching(/^profiles\.default\.tags\.0: "Ci" is no tag/),
      expect.stringMatching(/^line \d+: ci-01 stands here a second time: give each its own name/),
    ]);
  });
});

describe("the file itself", () => {
  it("says that it does not exist", () => {
    expect(checkFile("Pulumi.nowhere.yaml").errors).toEqual([
      "Pulumi.nowhere.yaml: does not exist: give the path of a Pulumi.<stack>.yaml",
    ]);
  });

  it("says in which line the YAML is broken", () => {
    const errors = errorsOf("config:\n  gitlab-runners:hosts: {a: [}\n");
    expect(errors[0]).toMatch(/^line 2: is no YAML: .+ Correct this line$/);
  });

  it("says that it is no stack file", () => {
    expect(errorsOf("name: x\n")).toEqual([
      "config: is missing: a stack file of Pulumi has a map `config:` with keys such as gitlab-runners:hosts",
    ]);
  });

  it("says that a key has no prefix", () => {
    expect(errorsOf("config:\n  hosts: {}\n")).toContain(
      "hosts: has no prefix: write it as gitlab-runners:hosts",
    );
  });

  it("names the line of a value", () => {
    const text = stackText(stackWith({ "hosts.ci-02.cores": "x", "profiles.default.tags": ["A"] }));
    const file = writeStack(text);
    const lineOf = (part: string) => text.split("\n").findIndex((line) => line.includes(part)) + 1;
    expect(checkFile(file).errors.map((line) => line.split(": ")[0])).toEqual([
      `${file}:${lineOf("- A")}`,
      `${file}:${lineOf("cores: x")}`,
    ]);
  });
});
