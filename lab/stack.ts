/** Stack files for the lab: what an engineer would write for this Proxmox and this GitLab. */

import { createHash } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";

import { parse, stringify } from "yaml";

import { ADMIN_USER, readAuthority, readGuestPublicKey, SNIPPET_USER } from "./environment";
import { HEALTH_PROJECT } from "./gitlab-instance";
import { GATEWAY, HOST, NODES, PREFIX, URLS } from "./net/addresses";
import { PATHS } from "./paths";
import type { GuestKind } from "./proxmox/config";
import { POOL, TEMPLATES } from "./proxmox/instance";
import { projectName, pulumi, STACK, stackFile } from "./pulumi";
import { readSecret } from "./secrets";

/** A stack's configuration without its secrets, by key without the project's prefix. */
export type StackValues = Readonly<Record<string, unknown>>;

export interface LabHost {
  readonly name: string;
  readonly node: keyof typeof NODES;
  readonly address: string;
}

/** Facts that only the running lab knows. */
export interface LabFacts {
  readonly guest: GuestKind;
  readonly runnerVersion: string;
  /** Fingerprint of the key that signs the package repository. */
  readonly packagesFingerprint: string;
}

export const FIRST_HOST: LabHost = {
  name: HOST.name,
  node: HOST.node,
  address: `${HOST.address}/${PREFIX}`,
};

/** The stack of `make lab`: one host that is as small as this machine needs. */
export function labStack(facts: LabFacts, hosts: readonly LabHost[] = [FIRST_HOST]): StackValues {
  // A light guest shares the machine's kernel; where that has no cgroup v2, Docker refuses limits
  // on CPUs (and forgets those on memory). Nor may it open more files than the lab itself.
  const light = facts.guest === "light";
  const unlimited = light && !existsSync("/sys/fs/cgroup/cgroup.controllers");
  const openFiles = light ? openFilesHere() : 65_536;
  return {
    proxmox: {
      endpoint: URLS.proxmox,
      ssh: {
        username: SNIPPET_USER,
        nodes: Object.fromEntries(
          Object.entries(NODES).map(([name, address]) => [name, { address }]),
        ),
      },
    },
    gitlab: { url: URLS.gitlab },
    caCertificates: readAuthority(),
    defaults: {
      template: TEMPLATES[facts.guest].tag,
      dns: [GATEWAY],
      searchDomain: "lab.test",
      pool: POOL,
      cores: 2,
      memory: 2048,
      datastore: "local-lvm",
      ssh: { user: ADMIN_USER, authorizedKeys: [readGuestPublicKey()] },
      aptProxy: URLS.aptProxy,
      docker: { source: "distribution", registryMirrors: [URLS.registry], openFiles },
      runner: {
        version: facts.runnerVersion,
        repository: {
          url: `${URLS.packages}/runner/gitlab-runner/debian`,
          keyUrl: `${URLS.packages}/gpgkey/gpg.key`,
          keyFingerprint: facts.packagesFingerprint,
        },
        concurrent: 2,
      },
      profiles: ["default"],
    },
    profiles: {
      default: {
        project: HEALTH_PROJECT.id,
        maximumTimeout: 1800,
        docker: {
          memory: "512m",
          memorySwap: "512m",
          serviceMemory: "256m",
          ulimit: { nofile: String(openFiles) },
          cpus: unlimited ? null : "1",
          serviceCpus: unlimited ? null : "0.5",
        },
      },
    },
    hosts: Object.fromEntries(
      hosts.map(({ name, node, address }) => [
        name,
        address === "dhcp" ? { node, address } : { node, address, gateway: GATEWAY },
      ]),
    ),
  };
}

/** What a process of this machine may open, as far as the program has use for it. */
function openFilesHere(): number {
  const [, hard] =
    /^Max open files +\S+ +(\S+)/m.exec(readFileSync("/proc/self/limits", "utf8")) ?? [];
  return Math.min(65_536, hard === "unlimited" ? Infinity : Number(hard));
}

const stackSecrets = () => ({
  proxmoxApiToken: readSecret("proxmoxToken"),
  proxmoxSshPrivateKey: `${readSecret("snippetKey")}\n`,
  gitlabToken: readSecret("gitlabToken"),
  sshPrivateKey: `${readSecret("guestKey")}\n`,
  canaryTriggerToken: readSecret("gitlabTriggerToken"),
});

interface StackFile {
  encryptionsalt?: string;
  config?: Record<string, unknown>;
}

/**
 * Writes a stack's file; the stack exists already. Secrets that are encrypted in it stay as they
 * are unless they have changed, so that writing the same again changes nothing.
 */
export async function writeStack(values: StackValues, stack = STACK): Promise<void> {
  const file = stackFile(stack);
  const project = projectName();
  const secrets = stackSecrets();
  const stampFile = path.join(PATHS.stacks, `${stack}.stamp`);
  // Not the file's own hash: a stamp of which secrets stand in it, useless without them.
  const stamp = createHash("sha256")
    .update(readSecret("passphrase"))
    .update(JSON.stringify(secrets))
    .digest("hex");
  const old: StackFile = existsSync(file) ? (parse(readFileSync(file, "utf8")) as StackFile) : {};
  const current = existsSync(stampFile) && readFileSync(stampFile, "utf8") === stamp;
  const kept = Object.entries(old.config ?? {}).filter(
    ([, value]) => current && typeof value === "object" && value !== null && "secure" in value,
  );
  const config = Object.fromEntries([
    ...Object.entries(values).map(([key, value]) => [`${project}:${key}`, value]),
    ...kept,
  ]);
  const text = stringify({ ...old, config }, { lineWidth: 0 });
  if (!existsSync(file) || readFileSync(file, "utf8") !== text) {
    writeFileSync(file, text, { mode: 0o600 });
  }
  if (kept.length < Object.keys(secrets).length) {
    for (const [key, value] of Object.entries(secrets)) {
      await pulumi(["config", "set", "--secret", `${project}:${key}`], {
        stack,
        input: value,
        limit: 60,
      });
    }
    writeFileSync(stampFile, stamp, { mode: 0o600 });
  }
}
