/** Configuration of the lab's name and DHCP server. */

import { BRIDGE, DHCP_RANGE, DOMAIN, GATEWAY, RECORDS, UPLINK } from "./addresses";
import type { Upstream } from "./resolver";

/**
 * Inside the namespace: answers for the lab's names, hands out addresses, asks the machine's name
 * servers for the rest.
 *
 * @param leases file of the leases
 */
export function labServer(upstream: Upstream, leases: string): string {
  const servers = upstream.local ? [UPLINK.outer.address] : upstream.servers;
  return lines([
    "user=root",
    "no-resolv",
    "no-hosts",
    "pid-file=",
    `interface=${BRIDGE}`,
    "bind-interfaces",
    ...servers.map((server) => `server=${server}`),
    `local=/${DOMAIN}/`,
    ...Object.entries(RECORDS).map(([name, address]) => `host-record=${name},${address}`),
    "cache-size=1000",
    `dhcp-range=${DHCP_RANGE.first},${DHCP_RANGE.last},12h`,
    `dhcp-option=option:router,${GATEWAY}`,
    `dhcp-option=option:dns-server,${GATEWAY}`,
    `dhcp-option=option:domain-name,${DOMAIN}`,
    `domain=${DOMAIN}`,
    "dhcp-authoritative",
    `dhcp-leasefile=${leases}`,
    "log-facility=-",
  ]);
}

/** On the machine, on its end of the uplink only: for name servers that are on loopback. */
export function forwarder(upstream: Upstream): string {
  return lines([
    "user=root",
    "no-resolv",
    "no-hosts",
    "pid-file=",
    `listen-address=${UPLINK.outer.address}`,
    "bind-interfaces",
    ...upstream.servers.map((server) => `server=${server}`),
    "log-facility=-",
  ]);
}

const lines = (of: readonly string[]) => `${of.join("\n")}\n`;
