/**
 * The lab's Proxmox VE: its configuration file, and its processes as services.
 *
 * Besides HTTPS on each node's address it has an admin socket, PATHS.pveSocket (0600):
 *
 *   GET    /inventory   what exists: VMs, disks, cloud-init images, snippets, tasks, host networks
 *   DELETE /guests      ends all guests hard and gives back what they hold; their VMs stay
 */

import path from "node:path";

import { BRIDGE, fullName, GATEWAY, NODES, PREFIX, PVE_PORT } from "../net/addresses";
import { inNetwork } from "../net/namespace";
import { certificateFile, keyFile, PATHS, ROOT, secretFile } from "../paths";
import { nodeHostKey, SECRETS } from "../secrets";
import type { Service } from "../services/process";
import { labProgram } from "../services/program";
import type { ProxmoxConfigInput } from "./config";

/** The pool that the program's VMs go into. */
export const POOL = "ci";
export const TEMPLATE_NODE = "pve1";
/** The templates by kind of guest: one root file system, two machines. */
export const TEMPLATES = {
  vm: { vmid: 9000, name: "ci-template", tag: "ci-template" },
  light: { vmid: 9001, name: "ci-template-light", tag: "ci-template-light" },
} as const;

/** What a client sees of the storage `local`, over SSH as well as in the API. */
const PUBLIC_PATH = "/var/lib/vz";

/** The rights of the program's token: by path what it needs there, and nothing else. */
const ROLES = {
  RunnerTemplate: ["VM.Clone", "VM.Audit"],
  RunnerHosts: [
    "VM.Allocate",
    "VM.Audit",
    "VM.PowerMgmt",
    "VM.Config.CPU",
    "VM.Config.Memory",
    "VM.Config.Disk",
    "VM.Config.Network",
    "VM.Config.Options",
    "VM.Config.HWType",
    "VM.Config.Cloudinit",
    "VM.Config.CDROM",
    "VM.GuestAgent.Audit",
    "VM.GuestAgent.FileRead",
    "Pool.Audit",
  ],
  // Only because the template's storage is local to its node, and hosts are on others too.
  RunnerMove: ["VM.Migrate"],
  RunnerDisks: ["Datastore.AllocateSpace", "Datastore.Audit"],
  RunnerSnippets: ["Datastore.Allocate", "Datastore.Audit"],
  RunnerNetwork: ["SDN.Use"],
} as const;

/** The content of `--config`. `acceleration` is what `probe.ts` says works here. */
export function proxmoxConfig(acceleration: "kvm" | "tcg"): ProxmoxConfigInput {
  const certificate = fullName("pve1");
  return {
    nodes: Object.entries(NODES).map(([name, address]) => ({ name, address })),
    port: PVE_PORT,
    tls: { cert: certificateFile(certificate), key: keyFile(certificate) },
    roles: Object.fromEntries(
      Object.entries(ROLES).map(([name, privileges]) => [name, [...privileges]]),
    ),
    tokens: [
      {
        file: secretFile(SECRETS.proxmoxToken),
        acl: [
          ...Object.values(TEMPLATES).map(({ vmid }) => ({
            path: `/vms/${vmid}`,
            role: "RunnerTemplate",
          })),
          { path: `/pool/${POOL}`, role: "RunnerHosts" },
          { path: `/pool/${POOL}`, role: "RunnerMove" },
          { path: "/storage/local-lvm", role: "RunnerDisks" },
          { path: "/storage/local", role: "RunnerSnippets" },
          { path: `/sdn/zones/localnetwork/${BRIDGE}`, role: "RunnerNetwork" },
        ],
      },
      { file: secretFile(SECRETS.proxmoxAdminToken), privsep: false },
    ],
    pools: [POOL],
    storages: [
      {
        id: "local",
        type: "dir",
        path: PATHS.snippets,
        publicPath: PUBLIC_PATH,
        content: ["snippets", "iso", "import"],
        shared: true,
      },
      { id: "local-lvm", type: "lvmthin", path: PATHS.disks },
    ],
    network: {
      bridge: BRIDGE,
      prefix: PREFIX,
      gateway: GATEWAY,
      nameservers: [GATEWAY],
      searchDomain: "lab.test",
    },
    templates: Object.entries(TEMPLATES).map(([guest, { vmid, name, tag }]) => ({
      vmid,
      name,
      node: TEMPLATE_NODE,
      tags: [tag],
      dir: PATHS.template,
      guest: guest as keyof typeof TEMPLATES,
    })),
    acceleration,
  };
}

/** The API of both nodes. Its configuration file, PATHS.pveConfig, is there already. */
export function proxmoxService(): Service {
  return labProgram(
    "proxmox",
    "lab/proxmox/main.ts",
    ["--state", PATHS.pve, "--config", PATHS.pveConfig],
    {
      inputs: [PATHS.pveConfig, certificateFile(fullName("pve1"))],
      listens: [
        ...Object.values(NODES).map((address) => `${address}:${PVE_PORT}`),
        PATHS.pveSocket,
      ],
      startLimit: 60,
      stopLimit: 20,
    },
  );
}

/** The sshd of one node. The folder PATHS.snippets is there already, with `snippets/` in it. */
export function nodeService(node: keyof typeof NODES): Service {
  const script = path.join(ROOT, "lab", "ssh", "node.sh");
  const [program, args] = inNetwork("unshare", [
    "--mount",
    "--pid",
    "--uts",
    "--fork",
    "--kill-child",
    script,
    node,
    NODES[node],
    path.join(PATHS.template, "root"),
    path.dirname(nodeHostKey(node)),
    PATHS.snippets,
    `${secretFile(SECRETS.snippetKey)}.pub`,
  ]);
  return {
    name: `ssh-${node}`,
    program,
    args,
    inputs: [script, `${secretFile(SECRETS.snippetKey)}.pub`, `${nodeHostKey(node)}.pub`],
    listens: [`${NODES[node]}:22`],
    startLimit: 20,
    stopLimit: 10,
  };
}
