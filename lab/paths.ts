/** Where the lab keeps things: its state in the checkout, what can be built again in the cache. */

import os from "node:os";
import path from "node:path";

/** The checkout. */
export const ROOT = path.resolve(__dirname, "..");

/** Everything of one lab: state, secrets, logs. Git ignores it. */
export const STATE = path.join(ROOT, ".lab");

/** What takes time to build and is the same for every checkout. */
export const CACHE =
  process.env.GITLAB_RUNNERS_CACHE ??
  path.join(
    process.env.XDG_CACHE_HOME ?? path.join(os.homedir(), ".cache"),
    "gitlab-runner-proxmox",
  );

const state = (...parts: string[]) => path.join(STATE, ...parts);
const cache = (...parts: string[]) => path.join(CACHE, ...parts);

/** Folders and files by name; all absolute. */
export const PATHS = {
  facts: state("lab.json"),
  lock: state("lock"),
  ca: state("ca"),
  caCertificate: state("ca", "ca.pem"),
  /** The machine's own authorities and the lab's, for clients that take one file. */
  caBundle: state("ca", "bundle.pem"),
  secrets: state("secrets"),
  ssh: state("ssh"),
  log: state("log"),
  run: state("run"),
  home: state("home"),
  /** Programs that the lab puts before the machine's own in its shell. */
  bin: state("bin"),
  pulumiHome: state("pulumi"),
  pulumiState: state("state"),
  pve: state("pve"),
  pveConfig: state("pve.json"),
  pveSocket: state("pve", "admin.sock"),
  /** The storage `local`, shared by the nodes. */
  snippets: state("pve", "storage", "local"),
  disks: state("pve", "storage", "local-lvm"),
  gitlab: state("gitlab"),
  gitlabConfig: state("gitlab.json"),
  gitlabSocket: state("gitlab", "admin.sock"),
  registry: state("registry"),
  packages: state("packages"),
  /** What is known of the stacks' files. */
  stacks: state("stacks"),
  build: cache("build"),
  template: cache("template", "trixie"),
  images: cache("images"),
  debs: cache("packages"),
} as const;

/** A certificate or its key, as `certificates.ts` writes them. */
export function certificateFile(name: string): string {
  return path.join(PATHS.ca, `${name}.pem`);
}

export function keyFile(name: string): string {
  return path.join(PATHS.ca, `${name}.key`);
}

/** The file of a secret, readable by its owner only. */
export function secretFile(name: string): string {
  return path.join(PATHS.secrets, name);
}
