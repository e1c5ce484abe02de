/** What the lab needs of the machine: root on Linux, and programs out of Debian's packages. */

import { existsSync, mkdirSync } from "node:fs";

import { PATHS } from "./paths";
import { LabError, say } from "./progress";
import { runLogged } from "./run";

/** Programs by the package that brings them; none of these packages starts a service. */
const PROGRAMS: Readonly<Record<string, readonly string[]>> = {
  "apt-utils": ["apt-ftparchive"],
  "ca-certificates": ["update-ca-certificates"],
  curl: ["curl"],
  "dnsmasq-base": ["dnsmasq"],
  e2fsprogs: ["mke2fs"],
  git: ["git"],
  gnupg: ["gpg"],
  iproute2: ["ip"],
  mmdebstrap: ["mmdebstrap"],
  mount: ["losetup"],
  nftables: ["nft"],
  openssl: ["openssl"],
  "openssh-client": ["ssh", "ssh-keygen"],
  procps: ["sysctl"],
  "qemu-system-x86": ["qemu-system-x86_64"],
  "qemu-utils": ["qemu-img"],
  skopeo: ["skopeo"],
  "systemd-container": ["systemd-nspawn"],
  "util-linux": ["nsenter", "unshare"],
  xorriso: ["xorriso"],
  zstd: ["zstd"],
};

const FOLDERS = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];

/** Minutes of downloads at most. */
const INSTALL_LIMIT = 1200;

function isInstalled(program: string): boolean {
  return FOLDERS.some((folder) => existsSync(`${folder}/${program}`));
}

/** Packages of which a program is missing. */
export function missingPackages(has: (program: string) => boolean = isInstalled): string[] {
  return Object.entries(PROGRAMS)
    .filter(([, programs]) => programs.some((program) => !has(program)))
    .map(([name]) => name);
}

/** @throws LabError on anything but Linux, or without root */
export function requireRoot(): void {
  if (process.platform !== "linux") {
    throw new LabError(`the lab needs Linux: this is ${process.platform}. Run it in a Linux VM`);
  }
  if (process.getuid?.() !== 0) {
    const missing = missingPackages();
    throw new LabError(
      "the lab makes network namespaces, mounts and machines, and needs root: run it with sudo -E" +
        (missing.length > 0 ? `.\nIt also needs packages: ${installLine(missing)}` : ""),
    );
  }
}

function installLine(packages: readonly string[]): string {
  return `apt-get update && apt-get install -y --no-install-recommends ${packages.join(" ")}`;
}

/**
 * Installs what is missing.
 *
 * @throws LabError where there is no apt, or it fails
 */
export async function ensureRequirements(): Promise<void> {
  const missing = missingPackages();
  if (missing.length === 0) return;
  if (!existsSync("/usr/bin/apt-get")) {
    throw new LabError(`install what these Debian packages bring: ${missing.join(" ")}`);
  }
  say(`   installs ${missing.join(" ")}`);
  mkdirSync(PATHS.log, { recursive: true, mode: 0o700 });
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
  const log = `${PATHS.log}/apt.log`;
  await runLogged("reading the package lists", "apt-get", ["-q", "update"], {
    limit: INSTALL_LIMIT,
    env,
    log,
  });
  await runLogged(
    "installing packages",
    "apt-get",
    ["-q", "-y", "-o", "DPkg::Lock::Timeout=300", "install", "--no-install-recommends", ...missing],
    { limit: INSTALL_LIMIT, env, log },
  );
  const still = missingPackages();
  if (still.length > 0) {
    throw new LabError(`${still.join(" ")} are installed, yet a program of them is not found`);
  }
}
