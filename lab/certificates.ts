/** The lab's certificate authority and the certificates of its servers, made with openssl. */

import { X509Certificate } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";

import { fullName, NODES, SERVICES } from "./net/addresses";
import { certificateFile, keyFile, PATHS } from "./paths";
import { run } from "./run";

const LIMIT = 30;
const CA_DAYS = 3650;
const SERVER_DAYS = 825;
/** A certificate that ends within this time is made anew. */
const RENEW_MS = 14 * 24 * 3600 * 1000;

const SYSTEM_BUNDLE = "/etc/ssl/certs/ca-certificates.crt";

interface Server {
  readonly name: string;
  readonly alternatives: readonly string[];
}

/** The nodes share one certificate: one process answers for both. */
const SERVERS: readonly Server[] = [
  {
    name: fullName("pve1"),
    alternatives: Object.entries(NODES).flatMap(([node, address]) => [
      `DNS:${fullName(node as keyof typeof NODES)}`,
      `DNS:${node}`,
      `IP:${address}`,
    ]),
  },
  ...(Object.keys(SERVICES) as (keyof typeof SERVICES)[]).map((name) => ({
    name: fullName(name),
    alternatives: [`DNS:${fullName(name)}`, `IP:${SERVICES[name]}`],
  })),
];

/** Makes what is missing or about to end, and the bundle for clients. */
export async function ensureCertificates(): Promise<void> {
  mkdirSync(PATHS.ca, { recursive: true, mode: 0o700 });
  const caKey = keyFile("ca");
  if (!serves(PATHS.caCertificate, caKey)) {
    await openssl([
      ...["req", "-x509", "-new", "-nodes", "-sha256", "-days", String(CA_DAYS)],
      ...["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"],
      ...["-keyout", caKey, "-out", PATHS.caCertificate],
      ...["-subj", "/O=gitlab-runners lab/CN=gitlab-runners lab CA"],
      ...["-addext", "basicConstraints=critical,CA:TRUE,pathlen:0"],
      ...["-addext", "keyUsage=critical,keyCertSign,cRLSign"],
    ]);
  }
  const ca = new X509Certificate(readFileSync(PATHS.caCertificate));
  for (const server of SERVERS) {
    if (!serves(certificateFile(server.name), keyFile(server.name), ca)) await issue(server, caKey);
  }
  writeFileSync(PATHS.caBundle, `${systemBundle().trimEnd()}\n${ca.toString()}`);
}

async function issue(server: Server, caKey: string): Promise<void> {
  await openssl([
    ...["req", "-x509", "-new", "-nodes", "-sha256", "-days", String(SERVER_DAYS)],
    ...["-CA", PATHS.caCertificate, "-CAkey", caKey],
    ...["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"],
    ...["-keyout", keyFile(server.name), "-out", certificateFile(server.name)],
    ...["-subj", `/CN=${server.name}`],
    ...["-addext", "basicConstraints=critical,CA:FALSE"],
    ...["-addext", "keyUsage=critical,digitalSignature"],
    ...["-addext", "extendedKeyUsage=serverAuth"],
    ...["-addext", `subjectAltName=${server.alternatives.join(",")}`],
  ]);
}

async function openssl(args: readonly string[]): Promise<void> {
  // openssl writes keys with mode 0600 by itself.
  await run("openssl", args, { limit: LIMIT });
}

/** Certificate and key are there, last for a while, and come from this authority. */
function serves(certificate: string, key: string, issuer?: X509Certificate): boolean {
  if (!existsSync(certificate) || !existsSync(key)) return false;
  const parsed = new X509Certificate(readFileSync(certificate));
  if (new Date(parsed.validTo).getTime() - Date.now() < RENEW_MS) return false;
  return issuer === undefined || parsed.verify(issuer.publicKey);
}

/** The machine's authorities, those of a site included: the lab's clients reach out as well. */
function systemBundle(): string {
  const file = process.env.SSL_CERT_FILE ?? SYSTEM_BUNDLE;
  return readFileSync(existsSync(file) ? file : SYSTEM_BUNDLE, "utf8");
}
