/** The configuration file of this Proxmox VE, `--config FILE`, read and checked. */

import { readFileSync } from "node:fs";

import { z } from "zod";

import { PRIVILEGES } from "./access/privileges";

const nodeName = z.string().regex(/^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/, "must be a host name");
const vmId = z.int().min(100).max(999_999_999);
const volumeName = z.string().regex(/^[A-Za-z][A-Za-z0-9._-]*[A-Za-z0-9]$/);

/** Kinds of guests: a QEMU machine, or a systemd-nspawn container behind the same API. */
export const GUEST_KINDS = ["vm", "light"] as const;
export type GuestKind = (typeof GUEST_KINDS)[number];

const role = z.strictObject({
  path: z.string().regex(/^\/(?:[^/].*[^/]|[^/])?$/, "must be a path such as /vms/9000"),
  role: z.string(),
  propagate: z.boolean().default(true),
});

const token = z.strictObject({
  /** File that holds `user@realm!name=uuid`, as a client sends it. */
  file: z.string(),
  /** The token has its own rights, which end where its user's end. Default: yes. */
  privsep: z.boolean().default(true),
  /** Rights of the user and, with privsep, the same for the token. root@pam needs none. */
  acl: z.array(role).default([]),
});

const storage = z.discriminatedUnion("type", [
  z.strictObject({
    id: volumeName,
    type: z.literal("dir"),
    /** Folder on this machine. */
    path: z.string(),
    /** What the API calls it: the path that a client reaches over SSH. Default: `path`. */
    publicPath: z.string().optional(),
    content: z.array(z.enum(["images", "iso", "snippets", "import", "vztmpl", "backup"])).min(1),
    shared: z.boolean().default(false),
  }),
  z.strictObject({
    id: volumeName,
    type: z.literal("lvmthin"),
    path: z.string(),
    content: z.array(z.enum(["images", "rootdir"])).default(["images", "rootdir"]),
    shared: z.literal(false).default(false),
  }),
]);

const template = z.strictObject({
  vmid: vmId,
  name: z.string(),
  node: nodeName,
  tags: z.array(z.string()).default([]),
  /** What lab/template/build.sh leaves: disk.qcow2, vmlinuz, initrd.img, root/. */
  dir: z.string(),
  guest: z.enum(GUEST_KINDS),
  /** Storage of its disk and of its cloud-init drive. */
  storage: volumeName.default("local-lvm"),
  memory: z.int().min(16).default(1024),
  cores: z.int().min(1).default(1),
  agent: z.boolean().default(true),
});

const schema = z.strictObject({
  nodes: z
    .array(
      z.strictObject({
        name: nodeName,
        /** Address that the node's API listens on. */
        address: z.ipv4(),
        /** CPUs that the node claims to have: what a VM's cores are measured against. */
        cpus: z.int().positive().default(8),
        /** Memory that the node claims to have, in MiB. */
        memory: z.int().positive().default(65536),
      }),
    )
    .min(1),
  port: z.int().min(0).max(65535).default(8006),
  tls: z.strictObject({ cert: z.string(), key: z.string() }),
  version: z
    .string()
    .regex(/^\d+\.\d+\.\d+$/)
    .default("9.2.11"),
  roles: z.record(z.string(), z.array(z.enum(PRIVILEGES))).default({}),
  tokens: z.array(token).default([]),
  pools: z.array(z.string()).default([]),
  storages: z.array(storage).min(1),
  network: z.strictObject({
    bridge: z.string().default("vmbr0"),
    prefix: z.int().min(1).max(32).default(24),
    gateway: z.ipv4(),
    /** What the nodes' resolv.conf says: a guest without settings of its own gets these. */
    nameservers: z.array(z.ipv4()).default([]),
    searchDomain: z.string().optional(),
  }),
  templates: z.array(template).default([]),
  /** How QEMU guests run. `probe.ts` finds out what works here. */
  acceleration: z.enum(["kvm", "tcg"]).default("tcg"),
  limits: z
    .strictObject({
      /** MiB that a QEMU guest gets at most, whatever its `memory` says. */
      memory: z.int().positive().default(2048),
    })
    .default({ memory: 2048 }),
  /** Seconds that an answer to failed authentication waits, as Proxmox VE does. */
  authenticationDelay: z.number().min(0).default(3),
});

export type ProxmoxConfig = z.output<typeof schema>;
export type ProxmoxConfigInput = z.input<typeof schema>;
export type NodeConfig = ProxmoxConfig["nodes"][number];
export type StorageConfig = ProxmoxConfig["storages"][number];
export type TemplateConfig = ProxmoxConfig["templates"][number];

/** @throws Error with every problem, one a line */
export function parseConfig(input: unknown): ProxmoxConfig {
  const result = schema.safeParse(input);
  if (!result.success) {
    throw new Error(
      result.error.issues
        .map((issue) => `${issue.path.join(".") || "the file"}: ${issue.message}`)
        .join("\n"),
    );
  }
  checkReferences(result.data);
  return result.data;
}

export function readConfig(file: string): ProxmoxConfig {
  try {
    return parseConfig(JSON.parse(readFileSync(file, "utf8")));
  } catch (error) {
    throw new Error(`${file}:\n${(error as Error).message}`, { cause: error });
  }
}

function checkReferences(config: ProxmoxConfig): void {
  const errors: string[] = [];
  const unique = (what: string, values: readonly (string | number)[]) => {
    for (const value of new Set(values.filter((v, index) => values.indexOf(v) !== index))) {
      errors.push(`${what}: ${value} stands there twice`);
    }
  };
  unique(
    "nodes.name",
    config.nodes.map((node) => node.name),
  );
  unique(
    "storages.id",
    config.storages.map((one) => one.id),
  );
  unique(
    "templates.vmid",
    config.templates.map((one) => one.vmid),
  );
  for (const one of config.templates) {
    if (!config.nodes.some((node) => node.name === one.node)) {
      errors.push(`templates.node: no node ${one.node}`);
    }
    const where = config.storages.find((candidate) => candidate.id === one.storage);
    if (where === undefined || !(where.content as string[]).includes("images")) {
      errors.push(`templates.storage: no storage ${one.storage} for images`);
    }
  }
  for (const { acl } of config.tokens) {
    for (const { role: name } of acl) {
      if (config.roles[name] === undefined) errors.push(`tokens.acl: no role ${name}`);
    }
  }
  if (errors.length > 0) throw new Error(errors.join("\n"));
}
