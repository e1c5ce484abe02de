/** What Proxmox VE puts into a cloud-init image: the same text from the same options. */

import { createHash } from "node:crypto";
import { isIPv4 } from "node:net";

import { parseNic } from "../schema/vm-options";

/** What the node's own resolv.conf says. */
export interface HostResolver {
  readonly nameservers: readonly string[];
  readonly searchDomain: string | undefined;
}

export type Options = ReadonlyMap<string, string>;

export interface SeedFiles {
  readonly "user-data": string;
  readonly "meta-data": string;
  readonly "network-config": string;
  readonly "vendor-data": string;
}

/** Files of the user that take the place of generated ones. */
export type Snippets = Partial<Record<"user" | "meta" | "network" | "vendor", string>>;

const words = (text: string) => text.split(/[\s,;]+/).filter(Boolean);

function dns(options: Options, host: HostResolver) {
  const nameserver = options.get("nameserver");
  const search = options.get("searchdomain") ?? host.searchDomain;
  return {
    nameservers: nameserver === undefined ? host.nameservers : words(nameserver),
    domains: search === undefined ? [] : words(search),
  };
}

/** Name of the guest, and the same with its domain. */
function names(options: Options, vmid: number, host: HostResolver): { name: string; fqdn: string } {
  const full = options.get("name") ?? `VM${vmid}`;
  if (full.includes(".")) return { name: full.split(".")[0] as string, fqdn: full };
  const [domain] = dns(options, host).domains;
  return { name: full, fqdn: domain === undefined ? full : `${full}.${domain}` };
}

export function renderUserData(options: Options, vmid: number, host: HostResolver): string {
  const { name, fqdn } = names(options, vmid, host);
  const user = options.get("ciuser");
  const password = options.get("cipassword");
  const keys = decodeURIComponent(options.get("sshkeys") ?? "")
    .split("\n")
    .filter((line) => line.trim() !== "");
  return [
    "#cloud-config",
    `hostname: ${name}`,
    "manage_etc_hosts: true",
    `fqdn: ${fqdn}`,
    ...(user === undefined ? [] : [`user: ${user}`]),
    ...(user === "root" ? ["disable_root: False"] : []),
    ...(password === undefined ? [] : [`password: ${password}`]),
    ...(keys.length === 0 ? [] : ["ssh_authorized_keys:", ...keys.map((key) => `  - ${key}`)]),
    "chpasswd:",
    "  expire: False",
    ...(user === "root" ? [] : ["users:", "  - default"]),
    ...(options.get("ciupgrade") === "0" ? [] : ["package_upgrade: true"]),
    "",
  ].join("\n");
}

/** The properties of `ipconfigN`. */
function ipConfig(text: string): Readonly<Record<string, string>> {
  return Object.fromEntries(
    text.split(",").map((part) => part.split(/=(.*)/s).slice(0, 2) as [string, string]),
  );
}

export function netmask(bits: number): string {
  const mask = bits === 0 ? 0 : (0xffffffff << (32 - bits)) >>> 0;
  return [24, 16, 8, 0].map((shift) => (mask >>> shift) & 255).join(".");
}

export function renderNetworkConfig(options: Options, host: HostResolver): string {
  const lines = ["version: 1", "config:"];
  for (const key of [...options.keys()].filter((name) => /^net\d+$/.test(name)).sort()) {
    const id = key.slice("net".length);
    const config = options.get(`ipconfig${id}`);
    if (config === undefined) continue;
    const mac = String(parseNic(key, options.get(key) as string).macaddr ?? "").toLowerCase();
    lines.push(
      "    - type: physical",
      `      name: eth${id}`,
      `      mac_address: '${mac}'`,
      "      subnets:",
      ...subnets(ipConfig(config)).map((line) => `      ${line}`),
    );
  }
  const { nameservers, domains } = dns(options, host);
  if (nameservers.length + domains.length > 0) {
    lines.push("    - type: nameserver");
    if (nameservers.length > 0) lines.push("      address:");
    for (const address of nameservers) lines.push(`      - '${address}'`);
    if (domains.length > 0) lines.push("      search:");
    for (const domain of domains) lines.push(`      - '${domain}'`);
  }
  return `${lines.join("\n")}\n`;
}

function subnets({ ip, gw, ip6, gw6 }: Readonly<Record<string, string>>): string[] {
  const lines: string[] = [];
  if (ip === "dhcp") {
    lines.push("- type: dhcp4");
  } else if (ip !== undefined) {
    const [address = "", bits] = ip.split("/");
    lines.push("- type: static", `  address: '${address}'`);
    if (isIPv4(address)) lines.push(`  netmask: '${netmask(Number(bits))}'`);
    if (gw !== undefined) lines.push(`  gateway: '${gw}'`);
  }
  if (ip6 === "dhcp") {
    lines.push("- type: dhcp6");
  } else if (ip6 === "auto") {
    lines.push("- type: ipv6_slaac");
  } else if (ip6 !== undefined) {
    lines.push("- type: static6", `  address: '${ip6}'`);
    if (gw6 !== undefined) lines.push(`  gateway: '${gw6}'`);
  }
  return lines;
}

/** All files of the image. The instance follows from user data and network, and nothing else. */
export function renderSeed(
  options: Options,
  vmid: number,
  host: HostResolver,
  snippets: Snippets,
): SeedFiles {
  const user = snippets.user ?? renderUserData(options, vmid, host);
  const network = snippets.network ?? renderNetworkConfig(options, host);
  const instance = createHash("sha1")
    .update(user + network)
    .digest("hex");
  return {
    "user-data": user,
    "meta-data": snippets.meta ?? `instance-id: ${instance}\n`,
    "network-config": network,
    "vendor-data": snippets.vendor ?? "",
  };
}
