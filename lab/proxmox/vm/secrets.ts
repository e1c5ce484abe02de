/** Checks and hashes that need the programs Proxmox VE uses for them too. */

import { mkdtemp, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";

import { output, run } from "../../run";
import { fault } from "../errors";

const LIMIT = 20;

/** @throws ApiError unless every line is an SSH public key */
export async function requirePublicKeys(text: string): Promise<void> {
  const folder = await mkdtemp(path.join(os.tmpdir(), "pve-keys-"));
  try {
    const file = path.join(folder, "keys");
    await writeFile(file, text.endsWith("\n") ? text : `${text}\n`, { mode: 0o600 });
    const { stdout, status } = await run("ssh-keygen", ["-l", "-f", file], {
      limit: LIMIT,
      accept: [0, 1, 255],
    });
    const keys = text.split("\n").filter((line) => line.trim() !== "" && !line.startsWith("#"));
    const good = stdout.split("\n").filter(Boolean).length;
    if (status !== 0 || good !== keys.length) throw fault("SSH public key validation error");
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** A password as /etc/shadow has it. One that is hashed already stays as it is. */
export async function hashPassword(password: string): Promise<string> {
  if (/^\$(?:[156]|2[ay])(\$.+){2}/.test(password)) return password;
  return output("openssl", ["passwd", "-5", "-stdin"], { limit: LIMIT, input: `${password}\n` });
}
