/** Names and addresses of the lab: all of them are here. */

/** The network namespace that everything of the lab runs in. */
export const NAMESPACE = "gitlab-runners-lab";

export const DOMAIN = "lab.test";
export const BRIDGE = "vmbr0";
export const NETWORK = "10.77.0.0/24";
export const PREFIX = 24;
/** Gateway and DNS server of the guests. */
export const GATEWAY = "10.77.0.1";
export const DHCP_RANGE = { first: "10.77.0.150", last: "10.77.0.199" };

/** The way out: one end on the machine, one in the namespace. */
export const UPLINK = {
  network: "10.77.255.0/30",
  outer: { device: "glrlab0", address: "10.77.255.1" },
  inner: { device: "uplink", address: "10.77.255.2" },
};

/** Proxmox nodes by name. */
export const NODES = {
  pve1: "10.77.0.11",
  pve2: "10.77.0.12",
} as const;
export type NodeName = keyof typeof NODES;

export const SERVICES = {
  gitlab: "10.77.0.20",
  registry: "10.77.0.30",
  packages: "10.77.0.40",
} as const;

export const PVE_PORT = 8006;

/** The first host of the lab's stack. */
export const HOST = { name: "ci-01", address: "10.77.0.101", node: "pve1" } as const;

export const fullName = (name: keyof typeof NODES | keyof typeof SERVICES) => `${name}.${DOMAIN}`;

/** Every name that the lab's DNS server answers for. */
export const RECORDS: Readonly<Record<string, string>> = Object.fromEntries(
  Object.entries({ ...NODES, ...SERVICES, gateway: GATEWAY }).map(([name, address]) => [
    `${name}.${DOMAIN}`,
    address,
  ]),
);

export const URLS = {
  proxmox: `https://${fullName("pve1")}:${PVE_PORT}`,
  gitlab: `https://${fullName("gitlab")}`,
  registry: `https://${fullName("registry")}`,
  packages: `https://${fullName("packages")}`,
  aptProxy: `http://${fullName("packages")}:3142`,
};
