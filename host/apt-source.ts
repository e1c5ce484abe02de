import { AptSource, PackagesConfig } from "../config/model";
import { GENERATED, HostFile, textFile } from "./files";

/** Stands for the guest's own codename in a rendered source; the step puts it in. */
export const CODENAME_PLACEHOLDER = "@@CODENAME@@";

/** Where the key of a repository is kept; apt trusts it for that repository only. */
export function keyringPath(name: string): string {
  return `/etc/apt/keyrings/gitlab-runners-${name}.gpg`;
}

/** `sources.list.d` entry of a repository, signed by its own keyring. */
export function renderAptSource(name: string, source: AptSource): HostFile {
  return textFile(`/etc/apt/sources.list.d/gitlab-runners-${name}.sources`, [
    `# ${GENERATED}`,
    "Types: deb",
    `URIs: ${source.url}`,
    `Suites: ${source.suite ?? CODENAME_PLACEHOLDER}`,
    `Components: ${source.component}`,
    `Signed-By: ${keyringPath(name)}`,
  ]);
}

/** Keeps the packages at one version, whatever the repositories offer later. */
export function renderAptPin(name: string, packages: readonly string[], version: string): HostFile {
  return textFile(`/etc/apt/preferences.d/gitlab-runners-${name}`, [
    `# ${GENERATED}`,
    `Package: ${packages.join(" ")}`,
    `Pin: version ${version}`,
    "Pin-Priority: 1001",
  ]);
}

/**
 * Keeps unattended upgrades away from packages whose restart costs jobs.
 *
 * @param patterns Regular expressions, matched from the start of a package's name.
 */
export function renderUpgradeBlacklist(name: string, patterns: readonly string[]): HostFile {
  return textFile(`/etc/apt/apt.conf.d/52gitlab-runners-${name}`, [
    `// ${GENERATED}`,
    "// An unattended upgrade of these would restart them under running jobs.",
    ...patterns.map((pattern) => `Unattended-Upgrade::Package-Blacklist:: "${pattern}";`),
  ]);
}

/** Keeps needrestart from restarting services under running jobs. */
export function renderRestartGuard(name: string, units: readonly string[]): HostFile {
  return textFile(`/etc/needrestart/conf.d/gitlab-runners-${name}.conf`, [
    `# ${GENERATED}`,
    ...units.map((unit) => `$nrconf{override_rc}->{qr(^${unit.replaceAll(".", "\\.")}$)} = 0;`),
  ]);
}

/** apt's HTTP proxy, when the stack has one. */
export function renderAptProxy(packages: PackagesConfig): HostFile[] {
  if (packages.proxy === undefined) {
    return [];
  }
  return [
    textFile("/etc/apt/apt.conf.d/90gitlab-runners-proxy", [
      `// ${GENERATED}`,
      `Acquire::http::Proxy "${packages.proxy}";`,
      `Acquire::https::Proxy "${packages.proxy}";`,
    ]),
  ];
}
