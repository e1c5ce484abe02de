/** The environment in which Pulumi and other clients find the lab. */

import {
  chmodSync,
  existsSync,
  mkdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import path from "node:path";

import { NODES, URLS } from "./net/addresses";
import { CACHE, PATHS, ROOT, secretFile } from "./paths";
import { readNodeHostKey, readPublicKey, readSecret, SECRETS } from "./secrets";

/** User that uploads snippets, as lab/ssh/node.sh makes it. */
export const SNIPPET_USER = "pulumi";

/** User that cloud-init makes on the hosts. */
export const ADMIN_USER = "ops";

const sshConfig = path.join(PATHS.ssh, "config");
const knownHosts = path.join(PATHS.home, ".ssh", "known_hosts");
/** Entries that the story adds: one for each host of the stack. */
export const HOSTS_CONFIG = path.join(PATHS.ssh, "hosts.config");

/**
 * What tools/toolchain.sh has chosen, as variables: its own pulumi and plugins, or an installed one
 * that gets the vendor's. `tools/toolchain.sh env` says the same to a shell.
 *
 * @param build folder of what it built
 */
export function toolchainEnvironment(build: string = PATHS.build): NodeJS.ProcessEnv {
  const byVendor = existsSync(path.join(build, "plugins-by-vendor"));
  const own = [
    PATHS.bin,
    ...(byVendor ? [] : [path.join(build, "bin")]),
    path.join(ROOT, "node_modules", ".bin"),
  ];
  const rest = (process.env.PATH ?? "/usr/sbin:/usr/bin:/sbin:/bin").split(":");
  return {
    PATH: [...new Set([...own.filter((folder) => existsSync(folder)), ...rest])].join(":"),
    PULUMI_SKIP_UPDATE_CHECK: "true",
    PULUMI_CREDENTIAL_STORE: "plaintext",
    PULUMI_DISABLE_CI_DETECTION: "1",
    ...(byVendor
      ? {}
      : {
          PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION: "true",
          PULUMI_DISABLE_REGISTRY_RESOLVE: "true",
        }),
  };
}

/** Variables that clients of Proxmox, GitLab and Pulumi read. Holds secrets. */
export function labEnvironment(): NodeJS.ProcessEnv {
  return {
    ...process.env,
    // It would win over the lab's own, in the file below.
    PULUMI_CONFIG_PASSPHRASE: undefined,
    ...toolchainEnvironment(),
    HOME: PATHS.home,
    GITLAB_RUNNERS_CACHE: CACHE,
    // Where Go and OpenSSL look for authorities; others look elsewhere, and some first.
    SSL_CERT_FILE: PATHS.caBundle,
    CURL_CA_BUNDLE: PATHS.caBundle,
    REQUESTS_CA_BUNDLE: PATHS.caBundle,
    NODE_EXTRA_CA_CERTS: PATHS.caCertificate,
    GIT_SSL_CAINFO: PATHS.caBundle,
    NO_PROXY: "*",
    no_proxy: "*",
    PULUMI_HOME: PATHS.pulumiHome,
    PULUMI_BACKEND_URL: `file://${PATHS.pulumiState}`,
    PULUMI_CONFIG_PASSPHRASE_FILE: secretFile(SECRETS.passphrase),
    // As Pulumi.yaml's tsconfig says; the language host that is built here does not read it.
    PULUMI_NODEJS_TRANSPILE_ONLY: "true",
    PROXMOX_VE_ENDPOINT: URLS.proxmox,
    PROXMOX_VE_API_TOKEN: readSecret("proxmoxToken"),
    PROXMOX_VE_SSH_USERNAME: SNIPPET_USER,
    PROXMOX_VE_SSH_PRIVATE_KEY: `${readSecret("snippetKey")}\n`,
    GITLAB_BASE_URL: `${URLS.gitlab}/api/v4/`,
    GITLAB_TOKEN: readSecret("gitlabToken"),
    GITLAB_EARLY_AUTH_CHECK: "false",
  };
}

/** Files that clients find by the environment: known hosts, SSH settings, wrappers. */
export function writeClientFiles(): void {
  for (const folder of [
    PATHS.bin,
    path.dirname(knownHosts),
    PATHS.pulumiHome,
    PATHS.pulumiState,
    PATHS.stacks,
  ]) {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
  }
  const nodes = Object.entries(NODES).map(
    ([node, address]) => `${address},${node},${node}.lab.test ${readNodeHostKey(node)}`,
  );
  writeFileSync(knownHosts, `${nodes.join("\n")}\n`, { mode: 0o600 });
  writeFileSync(
    sshConfig,
    [
      `Include ${HOSTS_CONFIG}`,
      `Host ${Object.keys(NODES).join(" ")}`,
      `  User ${SNIPPET_USER}`,
      `  IdentityFile ${secretFile(SECRETS.snippetKey)}`,
      `  UserKnownHostsFile ${knownHosts}`,
      "Host *",
      "  StrictHostKeyChecking yes",
      "  ConnectTimeout 20",
      "",
    ].join("\n"),
    { mode: 0o600 },
  );
  if (!existsSync(HOSTS_CONFIG)) writeFileSync(HOSTS_CONFIG, "", { mode: 0o600 });
  // OpenSSH asks the user database for the home folder, not $HOME.
  for (const program of ["ssh", "scp", "sftp"]) {
    const wrapper = path.join(PATHS.bin, program);
    writeFileSync(wrapper, `#!/bin/sh\nexec /usr/bin/${program} -F '${sshConfig}' "$@"\n`);
    chmodSync(wrapper, 0o755);
  }
  linkNode();
}

/** `node` in the lab's shell is the one that package.json brings, whoever calls it. */
function linkNode(): void {
  const link = path.join(PATHS.bin, "node");
  if (!existsSync(link)) symlinkSync(process.execPath, link);
}

export interface SshHost {
  readonly name: string;
  readonly address: string;
  readonly user: string;
  readonly hostKey: string;
}

/** Makes `ssh NAME` work in the lab's shell for the hosts of a stack. */
export function writeSshHosts(hosts: readonly SshHost[]): void {
  const known = path.join(PATHS.ssh, "known_hosts");
  writeFileSync(known, hosts.map((host) => `${host.name} ${host.hostKey}\n`).join(""));
  writeFileSync(
    HOSTS_CONFIG,
    hosts
      .map((host) =>
        [
          `Host ${host.name}`,
          `  HostName ${host.address}`,
          `  HostKeyAlias ${host.name}`,
          `  User ${host.user}`,
          `  IdentityFile ${secretFile(SECRETS.guestKey)}`,
          "  IdentitiesOnly yes",
          `  UserKnownHostsFile ${known}`,
          "",
        ].join("\n"),
      )
      .join(""),
    { mode: 0o600 },
  );
}

/** The lab's authority, for stack files. */
export const readAuthority = () => readFileSync(PATHS.caCertificate, "utf8");

/** The public key that the hosts let in. */
export const readGuestPublicKey = () => readPublicKey("guestKey");
