/** What only the lab knows: tokens, SSH keys, the passphrase. Made once, each in a file of 0600. */

import { randomBytes, randomUUID } from "node:crypto";
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";

import { NODES } from "./net/addresses";
import { PATHS, secretFile } from "./paths";
import { run } from "./run";

/** Names of the files under .lab/secrets. */
export const SECRETS = {
  /** The program's token: `user@realm!name=uuid`, as a client sends it. */
  proxmoxToken: "proxmox-token",
  /** root's token, for whoever wants to look at everything; the program never gets it. */
  proxmoxAdminToken: "proxmox-admin-token",
  /** Scopes create_runner and manage_runner: the program's. */
  gitlabToken: "gitlab-token",
  /** Scope api: starts the story's pipeline; the program never gets it. */
  gitlabOperatorToken: "gitlab-operator-token",
  /** Trigger token of runner-health, for stacks with a canary. */
  gitlabTriggerToken: "gitlab-trigger-token",
  /** Uploads snippets to the nodes. */
  snippetKey: "snippet_ed25519",
  /** Logs in on the guests. */
  guestKey: "guest_ed25519",
  passphrase: "passphrase",
  /** Signs the package repository. */
  packagesKey: "packages-key.asc",
} as const;
export type SecretName = keyof typeof SECRETS;

export const PROXMOX_USER = "pulumi@pve";
export const PROXMOX_TOKEN = "runners";
export const PROXMOX_ADMIN_TOKEN = "lab";

export function readSecret(name: SecretName): string {
  return readFileSync(secretFile(SECRETS[name]), "utf8").trim();
}

/** The public half of an SSH key. */
export function readPublicKey(name: "snippetKey" | "guestKey"): string {
  return readFileSync(`${secretFile(SECRETS[name])}.pub`, "utf8").trim();
}

/** The host key of a node, as known_hosts has it. */
export function readNodeHostKey(node: string): string {
  const [type, key] = readFileSync(`${nodeHostKey(node)}.pub`, "utf8").split(" ");
  return `${type} ${key}`;
}

export function nodeHostKey(node: string): string {
  return `${PATHS.ssh}/${node}/ssh_host_ed25519_key`;
}

/** Makes what is missing. GitLab makes its own tokens, in the files that its configuration names. */
export async function ensureSecrets(): Promise<void> {
  mkdirSync(PATHS.secrets, { recursive: true, mode: 0o700 });
  const make = (name: SecretName, value: () => string) => {
    const file = secretFile(SECRETS[name]);
    if (!existsSync(file)) writeFileSync(file, `${value()}\n`, { mode: 0o600, flag: "wx" });
    chmodSync(file, 0o600);
  };
  make("proxmoxToken", () => `${PROXMOX_USER}!${PROXMOX_TOKEN}=${randomUUID()}`);
  make("proxmoxAdminToken", () => `root@pam!${PROXMOX_ADMIN_TOKEN}=${randomUUID()}`);
  make("passphrase", () => randomBytes(24).toString("base64url"));
  await ensureKey(secretFile(SECRETS.snippetKey), "gitlab-runners snippets");
  await ensureKey(secretFile(SECRETS.guestKey), "gitlab-runners lab");
  for (const node of Object.keys(NODES)) {
    mkdirSync(`${PATHS.ssh}/${node}`, { recursive: true, mode: 0o700 });
    await ensureKey(nodeHostKey(node), `root@${node}`);
  }
}

async function ensureKey(file: string, comment: string): Promise<void> {
  if (existsSync(file)) return;
  await run("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", file], {
    limit: 20,
  });
}
