/*
 * What single values look like. Each check returns what is wrong and what to do, or undefined.
 */
import { X509Certificate } from "crypto";
import ipaddr from "ipaddr.js";

type Check<T> = (value: T) => string | undefined;

export const dnsLabel: Check<string> = (value) =>
  /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/.test(value)
    ? undefined
    : "is no DNS label: use lower-case letters, digits and dashes, at most 63, no dash at an end";

/** A generation suffix is added to the names of some machines. */
export const hostName: Check<string> = (value) =>
  dnsLabel(value) ??
  (value.length <= 50 ? undefined : "is too long for a machine's name: use at most 50 characters");

export const httpsOrigin: Check<string> = (value) => {
  let url: URL;
  try {
    url = new URL(value);
  } catch {
    return "is no URL: write it as https://host:port";
  }
  if (url.protocol !== "https:") {
    return "must start with https://: a token would travel in plain text";
  }
  if (url.username !== "" || url.password !== "") {
    return "must not hold a user or password: secrets have keys of their own";
  }
  return url.search === "" && url.hash === "" ? undefined : "must end after host, port and path";
};

export const withoutPath: Check<string> = (value) =>
  httpsOrigin(value) ??
  (["", "/"].includes(new URL(value).pathname)
    ? undefined
    : "must have no path: write only https://host:port");

/** GitLab may live below a path, but the API's own path is added by whoever calls it. */
export const gitlabUrl: Check<string> = (value) =>
  httpsOrigin(value) ??
  (/\/api(\/v\d+)?\/*$/.test(new URL(value).pathname)
    ? "must end before /api: write only https://host"
    : undefined);

export const httpUrl: Check<string> = (value) =>
  /^https?:\/\/[^\s/]+/.test(value) && URL.canParse(value)
    ? undefined
    : "is no URL: write it as http://host:port or https://host";

export const ipAddress: Check<string> = (value) =>
  ipaddr.isValid(value) && (value.includes(":") || ipaddr.IPv4.isValidFourPartDecimal(value))
    ? undefined
    : "is no IP address";

export const ipv4Address: Check<string> = (value) =>
  ipaddr.IPv4.isValidFourPartDecimal(value)
    ? undefined
    : "is no IPv4 address: write it as 10.0.0.1";

export const hostAddress: Check<string> = (value) => {
  if (value === "dhcp") {
    return undefined;
  }
  const [address, prefix, more] = value.split("/");
  if (
    more !== undefined ||
    !ipaddr.IPv4.isValidFourPartDecimal(address as string) ||
    !/^\d+$/.test(prefix ?? "") ||
    Number(prefix) < 8 ||
    Number(prefix) > 30
  ) {
    return 'is neither "dhcp" nor an address with its prefix length: write it as 10.0.0.11/24';
  }
  const { first, last } = networkOf(value);
  return address === first || address === last
    ? "is the network's own or its broadcast address: choose one between them"
    : undefined;
};

/** First and last address of a network written as address/prefix. */
export function networkOf(cidr: string): { first: string; last: string } {
  return {
    first: ipaddr.IPv4.networkAddressFromCIDR(cidr).toString(),
    last: ipaddr.IPv4.broadcastAddressFromCIDR(cidr).toString(),
  };
}

/** Whether an address lies in a network. Both must have passed their checks. */
export function contains(cidr: string, address: string): boolean {
  return ipaddr.IPv4.parse(address).match(ipaddr.IPv4.parseCIDR(cidr));
}

export const cidr: Check<string> = (value) => {
  if (!ipaddr.IPv4.isValidCIDRFourPartDecimal(value)) {
    return "is no IPv4 network: write it as 172.20.0.0/14";
  }
  const { first } = networkOf(value);
  const [address, prefix] = value.split("/");
  return address === first ? undefined : `is inside of a network: write it as ${first}/${prefix}`;
};

/** Whether two networks share an address. */
export function overlap(a: string, b: string): boolean {
  const [netA, bitsA] = ipaddr.IPv4.parseCIDR(a);
  const [netB, bitsB] = ipaddr.IPv4.parseCIDR(b);
  const bits = Math.min(bitsA, bitsB);
  return netA.match(netB, bits);
}

/** GitLab takes more; these are the ones that never have to be quoted or explained. */
export const jobTag: Check<string> = (value) =>
  /^[a-z0-9][a-z0-9_.:/-]{0,62}$/.test(value)
    ? undefined
    : "is no tag for jobs: use lower-case letters, digits and - _ . : /, without spaces";

/** What Proxmox keeps: it turns capitals into small letters and sorts. */
export const proxmoxTag: Check<string> = (value) =>
  /^[a-z0-9_][a-z0-9_+.-]*$/.test(value)
    ? undefined
    : "is no Proxmox tag: use lower-case letters, digits and _ + . -, without spaces";

const KEY_TYPES = [
  "ssh-ed25519",
  "ecdsa-sha2-nistp256",
  "ecdsa-sha2-nistp384",
  "ecdsa-sha2-nistp521",
  "sk-ssh-ed25519@openssh.com",
  "ssh-rsa",
];

export const sshPublicKey: Check<string> = (value) => {
  if (value.includes("PRIVATE KEY")) {
    return "is a private key: give the public one, the line in the file that ends with .pub";
  }
  const [type, blob] = value.trim().split(/\s+/);
  if (blob === undefined || value.trim().includes("\n")) {
    return "is no SSH public key: give one line such as `ssh-ed25519 AAAA… name`";
  }
  if (!KEY_TYPES.includes(type as string)) {
    return `has type ${JSON.stringify(type)}: use ssh-ed25519 (or ${KEY_TYPES.slice(1).join(", ")})`;
  }
  const bytes = Buffer.from(blob, "base64");
  const length = bytes.length >= 4 ? bytes.readUInt32BE(0) : 0;
  const inner = bytes.subarray(4, 4 + length).toString("latin1");
  if (inner !== type || bytes.toString("base64").replace(/=+$/, "") !== blob.replace(/=+$/, "")) {
    return "is damaged: its base64 part does not hold the key type that stands before it";
  }
  if (type === "ssh-ed25519" && bytes.length !== 51) {
    return "is damaged: an ed25519 key has 68 characters of base64";
  }
  if (type === "ssh-rsa" && bytes.length < 4 + 7 + 4 + 3 + 4 + 256) {
    return "is an RSA key of less than 2048 bits: make a new one with ssh-keygen -t ed25519";
  }
  return undefined;
};

export const pemCertificates: Check<string> = (value) => {
  if (value.includes("PRIVATE KEY")) {
    return "holds a private key: give certificates only";
  }
  const blocks = value.match(/-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/g);
  if (blocks === null) {
    return "holds no certificate: give PEM text that starts with -----BEGIN CERTIFICATE-----";
  }
  for (const [index, block] of blocks.entries()) {
    try {
      new X509Certificate(block);
    } catch {
      return `certificate ${index + 1} cannot be read: give it as PEM, unchanged`;
    }
  }
  return undefined;
};

export const fingerprint: Check<string> = (value) =>
  /^[0-9A-F]{40}([0-9A-F]{24})?$/.test(value.replaceAll(" ", ""))
    ? undefined
    : "is no full fingerprint: give all 40 hexadecimal digits that `gpg --show-keys` prints";

export const runnerVersion: Check<string> = (value) =>
  /^\d+\.\d+\.\d+$/.test(value)
    ? undefined
    : "is no version of gitlab-runner: write it as 19.3.0, without v and without -1";

export const packageVersion: Check<string> = (value) =>
  /^[0-9][0-9A-Za-z.+~:-]*$/.test(value)
    ? undefined
    : "is no Debian package version: write it as `apt-cache madison` prints it";

export const dockerSize: Check<string> = (value) =>
  /^[1-9]\d*[kmg]$/.test(value) ? undefined : "is no size: write it as 512m or 2g";

/** Bytes of a size that passed `dockerSize`. */
export function bytesOf(size: string): number {
  const units: Record<string, number> = { k: 1024, m: 1024 ** 2, g: 1024 ** 3 };
  return Number(size.slice(0, -1)) * (units[size.slice(-1)] as number);
}

export const cpuCount: Check<string> = (value) =>
  /^\d+(\.\d+)?$/.test(value) && Number(value) > 0
    ? undefined
    : 'is no number of CPUs: write it as "2" or "1.5"';

export const listenAddress: Check<string> = (value) => {
  const match = /^(.*):(\d+)$/.exec(value);
  return match !== null &&
    Number(match[2]) > 0 &&
    Number(match[2]) < 65536 &&
    ipAddress((match[1] as string).replace(/^\[|\]$/g, "")) === undefined
    ? undefined
    : "is no address with a port: write it as 127.0.0.1:9252";
};

export const environmentEntry: Check<string> = (value) =>
  /^[A-Za-z_]\w*=/.test(value) ? undefined : "is no variable: write it as NAME=value";

export const endpoint: Check<string> = (value) =>
  ipAddress(value) === undefined ||
  /^(?=.{1,253}$)([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)*[a-z0-9]([a-z0-9-]*[a-z0-9])?$/i.test(value)
    ? undefined
    : "is neither a host name nor an IP address";

export const linuxUser: Check<string> = (value) => {
  if (value === "root") {
    return "must not be root: steps log in as an ordinary user and use sudo";
  }
  return /^[a-z_][a-z0-9_-]{0,31}$/.test(value)
    ? undefined
    : "is no user name: use lower-case letters, digits, - and _, at most 32";
};

export const storageName: Check<string> = (value) =>
  /^[A-Za-z][A-Za-z0-9_.-]*[A-Za-z0-9]$/.test(value)
    ? undefined
    : "is no name of a Proxmox storage";

export const poolName: Check<string> = (value) =>
  /^[A-Za-z0-9_.-]+(\/[A-Za-z0-9_.-]+){0,2}$/.test(value)
    ? undefined
    : "is no name of a Proxmox pool: use letters, digits and - _ .";

export const bridgeName: Check<string> = (value) =>
  /^[A-Za-z][A-Za-z0-9_.-]{0,14}$/.test(value)
    ? undefined
    : "is no name of a bridge: use at most 15 letters, digits and - _ .";

/** Names and patterns that are handed on as they are. */
export const word: Check<string> = (value) =>
  /^[\x21-\x7e]+$/.test(value) ? undefined : "holds a space or an odd character: remove it";

export const capability: Check<string> = (value) =>
  /^[A-Z][A-Z_]*$/.test(value) && !value.startsWith("CAP_")
    ? undefined
    : "is no capability: write it in capitals without CAP_, such as NET_RAW";

export const volume: Check<string> = (value) =>
  word(value) ??
  (/^(\/|[a-zA-Z0-9][a-zA-Z0-9_.-]*:\/)/.test(value)
    ? undefined
    : "is no volume: write it as /path or name:/path");

export const ulimit: Check<string> = (value) =>
  /^(-1|\d+)(:(-1|\d+))?$/.test(value)
    ? undefined
    : 'is no limit: write it as "65536", or "1024:65536" for soft and hard';
