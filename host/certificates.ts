import { createHash } from "node:crypto";

import { HostFile } from "./files";

/** Where the runner and the helper image look for the site's CA. */
export const RUNNER_CA_FILE = "/etc/gitlab-runner/certs/ca.crt";

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

/** Splits PEM text into its certificates, without the comments between them. */
export function splitCertificates(pem: string): string[] {
  return (pem.match(CERTIFICATE) ?? []).map((block) => `${block.replaceAll("\r", "")}\n`);
}

/** All certificates of the text as one PEM file, in the order given. */
export function joinCertificates(pem: string): string {
  return splitCertificates(pem).join("");
}

/**
 * The files that put the site's certificates into the machine's trust store: one certificate each,
 * as update-ca-certificates wants it, named by content so that an order never matters.
 */
export function trustStoreFiles(pem: string | undefined): HostFile[] {
  return splitCertificates(pem ?? "").map((content) => {
    const name = createHash("sha256").update(content).digest("hex").slice(0, 12);
    return {
      path: `/usr/local/share/ca-certificates/gitlab-runners/${name}.crt`,
      mode: "0644",
      content,
    };
  });
}
