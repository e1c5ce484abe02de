/**
 * The lab's network: a namespace with a bridge, and one way out of it.
 *
 * On the machine it adds a veth pair, one nft table, /etc/netns/NAME, and turns IPv4 forwarding on.
 * What it changed stands in /run, where it outlives a crash but no reboot, as the network itself;
 * `down` undoes it.
 */

import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";

import { LabError } from "../progress";
import { output, run } from "../run";
import { BRIDGE, GATEWAY, NAMESPACE, NETWORK, NODES, PREFIX, SERVICES, UPLINK } from "./addresses";

const RECORD = `/run/${NAMESPACE}.json`;
const NETNS_FOLDER = `/etc/netns/${NAMESPACE}`;
const HANDLE = `/run/netns/${NAMESPACE}`;
/** Without an address of its own a bridge takes that of a port, and changes with its ports. */
const BRIDGE_MAC = "02:4c:61:62:00:01";
const LIMIT = 20;

/** What of the machine's own was changed, and for which checkout. */
interface NetworkRecord {
  readonly checkout: string;
  readonly forwarding: "0" | "1";
  /** A rule was put before those of a machine that forwards nothing by itself. */
  readonly forwardRule: boolean;
}

function readRecord(): NetworkRecord | undefined {
  return existsSync(RECORD)
    ? (JSON.parse(readFileSync(RECORD, "utf8")) as NetworkRecord)
    : undefined;
}

/** The network is there, for whichever checkout. */
export function networkExists(): boolean {
  return existsSync(HANDLE);
}

/** The checkout whose lab has the network. */
export function networkOwner(): string | undefined {
  return readRecord()?.checkout;
}

const ip = (args: string, commands: readonly string[]) =>
  run("ip", [...args.split(" ").filter(Boolean), "-batch", "-"], {
    input: `${commands.join("\n")}\n`,
    limit: LIMIT,
  });

/** A command line that runs a program in the lab's network and nowhere else different. */
export function inNetwork(program: string, args: readonly string[]): [string, string[]] {
  return ["nsenter", [`--net=${HANDLE}`, "--", program, ...args]];
}

/** As `inNetwork`, with the lab's name server in /etc/resolv.conf. */
export function inNamespace(program: string, args: readonly string[]): [string, string[]] {
  return ["ip", ["netns", "exec", NAMESPACE, program, ...args]];
}

const FORWARD_RULES = ["-i", "-o"].map((direction) => [
  direction,
  UPLINK.outer.device,
  "-m",
  "comment",
  "--comment",
  NAMESPACE,
  "-j",
  "ACCEPT",
]);

/** Docker and some firewalls drop whatever is forwarded and not theirs. */
async function forwardsNothing(): Promise<boolean> {
  if (!["/usr/sbin/iptables", "/sbin/iptables"].some((file) => existsSync(file))) return false;
  const policy = await run("iptables", ["-w", "-S", "FORWARD"], {
    limit: LIMIT,
    accept: [0, 1, 3, 4],
  });
  return policy.stdout.startsWith("-P FORWARD DROP");
}

const forwarding = "/proc/sys/net/ipv4/ip_forward";

/**
 * Makes the network, or leaves it as it is.
 *
 * @returns whether it was made
 * @throws LabError when another checkout's lab has it, and runs
 */
export async function ensureNetwork(checkout: string): Promise<boolean> {
  const record = readRecord();
  if (networkExists() && record !== undefined) {
    // Without a process in it the other lab was ended from outside, and will not come back.
    const abandoned = record.checkout !== checkout && (await networkProcesses()).length === 0;
    if (record.checkout !== checkout && !abandoned) {
      throw new LabError(
        `the lab of ${record.checkout} is running on this machine. Stop it there with "make lab-down"`,
      );
    }
    if (!abandoned) return false;
  }
  await removeNetwork();
  await refuseCollision();
  const made: NetworkRecord = {
    checkout,
    forwarding: readFileSync(forwarding, "utf8").trim() === "1" ? "1" : "0",
    forwardRule: await forwardsNothing(),
  };
  writeFileSync(RECORD, JSON.stringify(made));
  await addOutside(made);
  await addInside();
  mkdirSync(NETNS_FOLDER, { recursive: true });
  writeFileSync(path.join(NETNS_FOLDER, "resolv.conf"), `nameserver ${GATEWAY}\nsearch lab.test\n`);
  return true;
}

/** The one network that the machine's routes learn of must not be in use. */
async function refuseCollision(): Promise<void> {
  const route = await output("ip", ["-4", "route", "list", "root", UPLINK.network], {
    limit: LIMIT,
  });
  if (route !== "") {
    throw new LabError(`the machine uses ${UPLINK.network} already (${route}): the lab needs it`);
  }
}

async function addOutside(record: NetworkRecord): Promise<void> {
  const { outer, inner, network } = UPLINK;
  await ip("", [
    `netns add ${NAMESPACE}`,
    `link add ${outer.device} type veth peer name ${inner.device} netns ${NAMESPACE}`,
    `address add ${outer.address}/30 dev ${outer.device}`,
    `link set ${outer.device} up`,
  ]);
  await nft("", [
    `add table ip ${NAMESPACE}`,
    `add chain ip ${NAMESPACE} out { type nat hook postrouting priority srcnat ; }`,
    `add rule ip ${NAMESPACE} out ip saddr ${network} oifname != "${outer.device}" masquerade`,
  ]);
  for (const rule of record.forwardRule ? FORWARD_RULES : []) {
    await run("iptables", ["-w", "-I", "FORWARD", ...rule], { limit: LIMIT });
  }
  if (record.forwarding === "0") writeFileSync(forwarding, "1");
}

async function addInside(): Promise<void> {
  const { outer, inner } = UPLINK;
  const addresses = [GATEWAY, ...Object.values(NODES), ...Object.values(SERVICES)];
  await ip(`-n ${NAMESPACE}`, [
    "link set lo up",
    `address add ${inner.address}/30 dev ${inner.device}`,
    `link set ${inner.device} up`,
    `route add default via ${outer.address}`,
    `link add ${BRIDGE} address ${BRIDGE_MAC} type bridge stp_state 0 forward_delay 0`,
    ...addresses.map((address) => `address add ${address}/${PREFIX} dev ${BRIDGE}`),
    `link set ${BRIDGE} up`,
  ]);
  await nft(NAMESPACE, [
    `add table ip ${NAMESPACE}`,
    `add chain ip ${NAMESPACE} out { type nat hook postrouting priority srcnat ; }`,
    `add rule ip ${NAMESPACE} out ip saddr ${NETWORK} oifname "${inner.device}" masquerade`,
    `add chain ip ${NAMESPACE} path { type filter hook forward priority mangle ; }`,
    // The machine's own way out may be narrower than the bridge.
    `add rule ip ${NAMESPACE} path tcp flags syn tcp option maxseg size set rt mtu`,
  ]);
  const [program, args] = inNetwork("sysctl", ["-qw", "net.ipv4.ip_forward=1"]);
  await run(program, args, { limit: LIMIT });
}

async function nft(namespace: string, statements: readonly string[]): Promise<void> {
  const [program, args] = namespace === "" ? ["nft", ["-f", "-"]] : inNetwork("nft", ["-f", "-"]);
  await run(program as string, args as string[], {
    input: `${statements.join("\n")}\n`,
    limit: LIMIT,
  });
}

/**
 * Undoes what `ensureNetwork` did, or whatever is left of it.
 *
 * @returns what was removed, for the person to read
 */
export async function removeNetwork(): Promise<string[]> {
  const removed: string[] = [];
  const record = readRecord();
  if (networkExists()) {
    await run("ip", ["netns", "delete", NAMESPACE], { limit: LIMIT });
    removed.push(`network namespace ${NAMESPACE}`);
  }
  // The pair goes with the namespace, but only once nothing in there runs any more.
  if (existsSync(`/sys/class/net/${UPLINK.outer.device}`)) {
    await run("ip", ["link", "delete", UPLINK.outer.device], { limit: LIMIT, accept: [0, 1] });
    removed.push(`interface ${UPLINK.outer.device}`);
  }
  const table = await run("nft", ["delete", "table", "ip", NAMESPACE], {
    limit: LIMIT,
    accept: [0, 1],
  });
  if (table.status === 0) removed.push(`nft table ${NAMESPACE}`);
  if (existsSync(NETNS_FOLDER)) {
    rmSync(NETNS_FOLDER, { recursive: true });
    removed.push(NETNS_FOLDER);
  }
  if (record !== undefined) {
    for (const rule of record.forwardRule ? FORWARD_RULES : []) {
      await run("iptables", ["-w", "-D", "FORWARD", ...rule], { limit: LIMIT, accept: [0, 1] });
    }
    if (record.forwarding === "0") {
      writeFileSync(forwarding, "0");
      removed.push("IPv4 forwarding (off again)");
    }
    rmSync(RECORD);
  }
  return removed;
}

/** Ids of the processes in the lab's network. */
export async function networkProcesses(): Promise<number[]> {
  if (!networkExists()) return [];
  const text = await output("ip", ["netns", "pids", NAMESPACE], { limit: LIMIT });
  return text.split("\n").filter(Boolean).map(Number);
}
