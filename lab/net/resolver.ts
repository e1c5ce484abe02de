/** Which name servers the machine uses, and whether the lab's namespace can reach them. */

import { existsSync, readFileSync } from "node:fs";

/** systemd-resolved lists the real servers here; /etc/resolv.conf then names its own stub. */
const FILES = ["/etc/resolv.conf", "/run/systemd/resolve/resolv.conf"];

export interface Upstream {
  readonly servers: readonly string[];
  /**
   * The servers answer on the machine itself only: a forwarder on the machine's end of the uplink
   * has to stand between.
   */
  readonly local: boolean;
}

/** Name servers of a resolv.conf, in order. */
export function nameServers(text: string): string[] {
  return [...text.matchAll(/^\s*nameserver\s+(\S+)/gm)].map((match) => match[1] as string);
}

/** IPv4 servers elsewhere can be asked through the uplink; loopback and IPv6 ones cannot. */
const reachable = (server: string) => /^\d+\./.test(server) && !server.startsWith("127.");

/**
 * Chooses among the contents of resolv.conf files, the most direct first.
 *
 * @returns undefined when none names a server
 */
export function chooseUpstream(files: readonly string[]): Upstream | undefined {
  const lists = files.map(nameServers);
  for (const servers of lists) {
    if (servers.some(reachable)) return { servers: servers.filter(reachable), local: false };
  }
  const first = lists.find((servers) => servers.length > 0);
  return first && { servers: first, local: true };
}

/** The machine's own name servers. */
export function machineUpstream(): Upstream | undefined {
  return chooseUpstream(
    FILES.filter((file) => existsSync(file)).map((file) => readFileSync(file, "utf8")),
  );
}
