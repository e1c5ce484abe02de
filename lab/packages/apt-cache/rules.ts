/** What the apt cache answers, and for how long an answer holds. */

/**
 * `fixed`: the name says what the content is (a package of one version, an index by its hash), so
 * an answer holds for ever. `changing`: the same name gets new content, and has to be asked for
 * again.
 */
export type Kind = "fixed" | "changing";

export interface Target {
  /** As it is asked for, normalised; also the key of the cache. */
  readonly url: string;
  readonly host: string;
  readonly kind: Kind;
  /** What the content must hash to, where the name says so. */
  readonly sha256?: string;
}

const PACKAGE = /\/pool\/.+\.(u?deb|ddeb)$/;
const BY_HASH = /\/dists\/.+\/by-hash\/(MD5Sum|SHA1|SHA256|SHA512)\/([0-9a-f]{32,128})$/;
const INDEX = /\/dists\/.+/;

/**
 * Reads the target of a proxy request.
 *
 * @returns undefined for whatever is no plain file of an apt repository
 */
export function readTarget(text: string): Target | undefined {
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    return undefined;
  }
  const plain = url.username === "" && url.password === "" && url.search === "" && url.hash === "";
  if (url.protocol !== "http:" || !plain || text.includes("?")) return undefined;
  const target = { url: url.href, host: url.host };
  const hash = BY_HASH.exec(url.pathname);
  if (hash !== null) {
    const [, algorithm, value] = hash;
    const named = algorithm === "SHA256" && value?.length === 64;
    return { ...target, kind: "fixed", ...(named && { sha256: value }) };
  }
  if (PACKAGE.test(url.pathname)) return { ...target, kind: "fixed" };
  return INDEX.test(url.pathname) ? { ...target, kind: "changing" } : undefined;
}

/** Name and port of a CONNECT request; only TLS is let through. */
export function readTunnel(text: string): { host: string; port: number } | undefined {
  const match = /^([a-z0-9.-]+):443$/i.exec(text);
  return match?.[1] === undefined ? undefined : { host: match[1], port: 443 };
}
