/** The key that signs the package repository. */

import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";

import { PATHS, secretFile } from "../paths";
import { LabError } from "../progress";
import { output, run } from "../run";
import { SECRETS } from "../secrets";

/** Little randomness on a fresh machine is the slowest case. */
const LIMIT = 60;

/** A key that never expires and cannot but sign; without a passphrase: the file is the secret. */
const KEY_PARAMETERS = `%no-protection
Key-Type: eddsa
Key-Curve: ed25519
Key-Usage: sign
Name-Real: gitlab-runners lab packages
Name-Email: packages@lab.test
Expire-Date: 0
%commit
`;

/** gpg with a home of its own, which is gone when `work` has ended. */
class Gpg {
  private constructor(private readonly home: string) {}

  static async use<T>(work: (gpg: Gpg) => Promise<T>): Promise<T> {
    // Its agent's socket does not fit into long paths.
    const home = mkdtempSync(path.join(os.tmpdir(), "glr-gpg-"));
    const gpg = new Gpg(home);
    try {
      return await work(gpg);
    } finally {
      await run("gpgconf", ["--homedir", home, "--kill", "all"], {
        limit: LIMIT,
        accept: [0, 1, 2],
      });
      rmSync(home, { recursive: true, force: true });
    }
  }

  run(args: readonly string[], input?: string): Promise<string> {
    return output("gpg", ["--homedir", this.home, "--batch", "--quiet", ...args], {
      limit: LIMIT,
      input,
    });
  }
}

const keyFile = () => secretFile(SECRETS.packagesKey);

/** Makes the key unless it is there. */
export async function ensureSigningKey(): Promise<void> {
  if (existsSync(keyFile())) return;
  mkdirSync(PATHS.secrets, { recursive: true, mode: 0o700 });
  await Gpg.use(async (gpg) => {
    await gpg.run(["--gen-key"], KEY_PARAMETERS);
    const key = await gpg.run(["--armor", "--export-secret-keys"]);
    writeFileSync(keyFile(), `${key}\n`, { mode: 0o600, flag: "wx" });
  });
}

const withKey = <T>(work: (gpg: Gpg) => Promise<T>): Promise<T> =>
  Gpg.use(async (gpg) => {
    await gpg.run(["--import"], readFileSync(keyFile(), "utf8"));
    return work(gpg);
  });

/** The public key, as text. */
export function exportPublicKey(): Promise<string> {
  return withKey(async (gpg) => `${await gpg.run(["--armor", "--export"])}\n`);
}

/** Fingerprint of the key: 40 hexadecimal digits. */
export function repositoryFingerprint(): Promise<string> {
  return withKey(async (gpg) => {
    const keys = await gpg.run(["--with-colons", "--list-keys"]);
    const fingerprint = /^fpr:{9}([0-9A-F]{40}):/m.exec(keys)?.[1];
    if (fingerprint === undefined) throw new LabError(`${keyFile()} holds no key`);
    return fingerprint;
  });
}

export interface Signatures {
  /** The text with its signature around it: `InRelease`. */
  readonly inline: string;
  /** The signature alone: `Release.gpg`. */
  readonly detached: string;
}

/** Signs a text both ways that apt knows. */
export function sign(text: string): Promise<Signatures> {
  return withKey(async (gpg) => ({
    inline: `${await gpg.run(["--armor", "--digest-algo", "SHA512", "--clearsign"], text)}\n`,
    detached: `${await gpg.run(["--armor", "--digest-algo", "SHA512", "--detach-sign"], text)}\n`,
  }));
}
