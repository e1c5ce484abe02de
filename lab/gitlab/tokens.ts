/** Making and recognising tokens. Only hashes are ever stored. */

import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import { readFileSync, statSync, writeFileSync } from "node:fs";
import { crc32 } from "node:zlib";

/** Prefixes that a runner masks in a job's log. */
export const TOKEN_PREFIXES = ["glpat-", "glrt-", "glcbt-", "glptt-"] as const;

/**
 * A token in GitLab's routable form: prefix, payload, `.01.`, length and checksum in base 36.
 * It holds dots on purpose: what parses tokens has to cope with them.
 */
export function newToken(prefix: string): string {
  const payload = randomBytes(20).toString("base64url");
  const length = payload.length.toString(36).padStart(2, "0");
  const head = `${prefix}${payload}.01.${length}`;
  return head + crc32(head).toString(36).padStart(7, "0");
}

/** The stored form of a token. */
export function hashToken(token: string): string {
  return createHash("sha256").update(token).digest("base64");
}

export function tokenMatches(token: string, hash: string | null): boolean {
  if (hash === null || token === "") return false;
  const left = Buffer.from(hashToken(token));
  const right = Buffer.from(hash);
  return left.length === right.length && timingSafeEqual(left, right);
}

/**
 * Reads a secret from a file that only its owner may read; makes the file with a new token when
 * there is none yet.
 *
 * @throws when the file is readable by others, or empty.
 */
export function tokenFromFile(file: string, prefix: string): string {
  const stat = statSync(file, { throwIfNoEntry: false });
  if (stat === undefined) {
    const token = newToken(prefix);
    writeFileSync(file, `${token}\n`, { mode: 0o600, flag: "wx" });
    return token;
  }
  if ((stat.mode & 0o077) !== 0) {
    const mode = (stat.mode & 0o777).toString(8).padStart(4, "0");
    throw new Error(`${file}: holds a token and has mode ${mode}; chmod 0600 it`);
  }
  const token = readFileSync(file, "utf8").trim();
  if (token === "") throw new Error(`${file}: holds no token; remove the file to have one made`);
  return token;
}
