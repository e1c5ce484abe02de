import { AptSource, HostConfig, StackConfig } from "../config/model";
import {
  keyringPath,
  renderAptPin,
  renderAptProxy,
  renderAptSource,
  renderRestartGuard,
  renderUpgradeBlacklist,
} from "./apt-source";
import { renderBundle } from "./bundle";
import { joinCertificates, RUNNER_CA_FILE, trustStoreFiles } from "./certificates";
import { CONFIG_TOML, renderConfigToml, runnerName, tokenVariable } from "./config-toml";
import { mirrorCertificates, renderDaemonJson } from "./daemon-json";
import { envFile, HostFile } from "./files";
import { dockerRunFlags } from "./run-flags";
import { dockerDropIn, journalLimits, runnerDropIn, shutdownDropIns, volumesMount } from "./units";

/** Seconds in which an image must be pulled and a container of it end. */
const IMAGE_LIMIT = 300;
/** Seconds in which GitLab must have answered a poll of every runner; a long poll takes 50. */
const POLL_LIMIT = 180;

/** Docker Engine: its repository, daemon.json, disks, and the certificates it trusts. */
export function renderDockerBundle(host: HostConfig, stack: StackConfig): string {
  const { docker } = host;
  const repository = docker.source.kind === "repository" ? docker.source.repository : undefined;
  const files: HostFile[] = [
    envFile("docker", {
      HOST: host.name,
      DOCKER_SOURCE: docker.source.kind,
      DOCKER_VERSION: docker.version ?? "",
      ...keyParameters("docker", repository),
      APT_PROXY: host.packages.proxy ?? "",
      // A disk that grew is seen by the step, which grows its file system.
      DOCKER_DISK_SIZE: host.disks.docker.size,
      CACHE_DISK_SIZE: host.disks.cache.size,
    }),
    ...trustStoreFiles(stack.caCertificates),
    ...renderAptProxy(host.packages),
    ...(repository ? [renderAptSource("docker", repository)] : []),
    ...(docker.version === undefined
      ? []
      : [renderAptPin("docker", dockerPackages(docker.source.kind), docker.version)]),
    renderUpgradeBlacklist("docker", ["^docker", "^containerd", "^runc$"]),
    renderRestartGuard("docker", ["docker.service", "containerd.service"]),
    journalLimits(),
    volumesMount(),
    dockerDropIn(),
    ...mirrorCertificates(docker, stack.caCertificates),
    { path: "/etc/docker/daemon.json", mode: "0644", content: renderDaemonJson(docker) },
  ];
  return renderBundle("docker", files);
}

/** The runner's packages, and how systemd runs and stops it. */
export function renderRunnerBundle(host: HostConfig, _stack: StackConfig): string {
  const { runner } = host;
  const packages = ["gitlab-runner", "gitlab-runner-helper-images"];
  return renderBundle("runner", [
    envFile("runner", {
      HOST: host.name,
      RUNNER_VERSION: runner.version,
      DRAIN_TIMEOUT: runner.drainTimeout,
      ...keyParameters("runner", runner.repository),
      APT_PROXY: host.packages.proxy ?? "",
    }),
    renderAptSource("runner", runner.repository),
    renderAptPin("runner", packages, `${runner.version}-1`),
    renderUpgradeBlacklist("runner", ["^gitlab-runner"]),
    renderRestartGuard("runner", ["gitlab-runner.service"]),
    runnerDropIn(runner),
    ...shutdownDropIns(runner),
  ]);
}

/** config.toml, with placeholders where the host puts the tokens. */
export function renderConfigBundle(host: HostConfig, stack: StackConfig): string {
  return renderBundle("config", [
    envFile("config", {
      HOST: host.name,
      METRICS_URL: metricsUrl(host),
      TOKENS: host.profiles.map(({ name }) => tokenVariable(name)).join(" "),
    }),
    ...(stack.caCertificates === undefined
      ? []
      : [{ path: RUNNER_CA_FILE, mode: "0644", content: joinCertificates(stack.caCertificates) }]),
    { path: CONFIG_TOML, mode: "0600", content: renderConfigToml(host, stack) },
  ]);
}

/** What the gate checks. */
export function renderGateBundle(host: HostConfig, stack: StackConfig): string {
  const { canary } = stack;
  const profiles = host.profiles.map((profile, index) => {
    const { image, helperImage, pullPolicy } = profile.docker;
    const prefix = `PROFILE_${index + 1}`;
    return {
      [`${prefix}_RUNNER`]: runnerName(host, profile),
      [`${prefix}_IMAGE`]: image,
      [`${prefix}_PULL`]: pullPolicy[0] ?? "always",
      [`${prefix}_FLAGS`]: dockerRunFlags(profile.docker).join(" "),
      [`${prefix}_HELPER_IMAGE`]: helperImage ?? "",
    };
  });
  return renderBundle("gate", [
    envFile("gate", {
      HOST: host.name,
      GITLAB_URL: stack.gitlab.url,
      CA_FILE: stack.caCertificates === undefined ? "" : RUNNER_CA_FILE,
      METRICS_URL: metricsUrl(host),
      RUNNER_VERSION: host.runner.version,
      IMAGE_LIMIT,
      POLL_LIMIT,
      PROFILES: host.profiles.length,
      ...Object.assign({}, ...profiles),
      ...(canary === undefined
        ? {}
        : {
            CANARY_PROJECT: canary.project,
            CANARY_REF: canary.ref,
            CANARY_TIMEOUT: canary.timeout,
            RUNNER_TAG: host.name,
          }),
    }),
  ]);
}

function dockerPackages(source: "distribution" | "repository"): string[] {
  return source === "repository" ? ["docker-ce", "docker-ce-cli"] : ["docker.io", "docker-cli"];
}

function keyParameters(name: string, source: AptSource | undefined): Record<string, string> {
  return source === undefined
    ? {}
    : {
        KEY_URL: source.keyUrl,
        KEY_FINGERPRINT: source.keyFingerprint,
        KEYRING: keyringPath(name),
      };
}

/** Where the machine itself reaches the runner's metrics; empty when there are none. */
export function metricsUrl(host: HostConfig): string {
  const match = /^(.*):(\d+)$/.exec(host.runner.metricsListen);
  if (match === null) {
    return "";
  }
  const address = match[1]!;
  const anywhere = address === "" || address === "0.0.0.0" || address === "[::]";
  return `http://${anywhere ? "127.0.0.1" : address}:${match[2]}/metrics`;
}
