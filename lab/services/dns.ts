/** The lab's name and DHCP server, and the forwarder that it may need on the machine. */

import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";

import { GATEWAY, UPLINK } from "../net/addresses";
import { forwarder, labServer } from "../net/dnsmasq";
import { inNetwork } from "../net/namespace";
import { machineUpstream } from "../net/resolver";
import { PATHS } from "../paths";
import { LabError } from "../progress";
import type { Service } from "./process";

/** @throws LabError when the machine has no name server that could be asked */
export function dnsServices(): Service[] {
  const upstream = machineUpstream();
  if (upstream === undefined) {
    throw new LabError("the machine has no name server: /etc/resolv.conf names none");
  }
  mkdirSync(PATHS.run, { recursive: true, mode: 0o700 });
  const file = path.join(PATHS.run, "dns.conf");
  writeFileSync(file, labServer(upstream, path.join(PATHS.run, "dhcp.leases")));
  const [program, args] = inNetwork("dnsmasq", ["--keep-in-foreground", `--conf-file=${file}`]);
  const services: Service[] = [
    {
      name: "dns",
      program,
      args,
      inputs: [file],
      listens: [`${GATEWAY}:53`],
      startLimit: 20,
      stopLimit: 5,
    },
  ];
  if (upstream.local) {
    const outside = path.join(PATHS.run, "forwarder.conf");
    writeFileSync(outside, forwarder(upstream));
    services.unshift({
      name: "dns-forwarder",
      program: "dnsmasq",
      args: ["--keep-in-foreground", `--conf-file=${outside}`],
      inputs: [outside],
      listens: [`${UPLINK.outer.address}:53`],
      startLimit: 20,
      stopLimit: 5,
    });
  }
  return services;
}
