import { parse, stringify, TomlTable } from "smol-toml";

import { ExecutorConfig, HostConfig, ProfileConfig, StackConfig } from "../config/model";
import { RUNNER_CA_FILE } from "./certificates";
import { GENERATED } from "./files";

/** Path of the runner's configuration on the machine. */
export const CONFIG_TOML = "/etc/gitlab-runner/config.toml";

/** Longest line that an array may make before it is put on lines of its own. */
const MAX_LINE = 100;

/** How long the runner leaves a GitLab that refused it three times alone; its own default is 1 h. */
const UNHEALTHY_INTERVAL = "5m";

/**
 * The name under which a profile's runner token is handed to the host, such as
 * `RUNNER_TOKEN_DEFAULT`.
 */
export function tokenVariable(profile: string): string {
  return `RUNNER_TOKEN_${profile.toUpperCase().replace(/[^A-Z0-9]/g, "_")}`;
}

/** What stands for a profile's token in the rendered file until the host fills it in. */
export function tokenPlaceholder(profile: string): string {
  return `@@${tokenVariable(profile)}@@`;
}

/** Name of a profile's `[[runners]]` entry. */
export function runnerName(host: HostConfig, profile: ProfileConfig): string {
  return `${host.name}-${profile.name}`;
}

/**
 * The runner's configuration as a table, with the keys of gitlab-runner 19.3, in the order in which
 * they are written.
 *
 * @throws Error when two profiles would share the name of a token.
 */
export function configToml(host: HostConfig, stack: StackConfig): TomlTable {
  const variables = new Map<string, string>();
  for (const { name } of host.profiles) {
    const other = variables.get(tokenVariable(name));
    if (other !== undefined) {
      throw new Error(
        `host ${host.name}: the profiles "${other}" and "${name}" would share one token ` +
          `(${tokenVariable(name)}): rename one of them`,
      );
    }
    variables.set(tokenVariable(name), name);
  }
  const { runner } = host;
  return defined({
    concurrent: runner.concurrent,
    check_interval: runner.checkInterval,
    log_level: runner.logLevel === "warn" ? "warning" : runner.logLevel,
    log_format: "text",
    listen_address: runner.metricsListen || undefined,
    shutdown_timeout: 30,
    runners: host.profiles.map((profile) => runnerEntry(host, profile, stack)),
  });
}

/** `/etc/gitlab-runner/config.toml` as text, with placeholders where the tokens belong. */
export function renderConfigToml(host: HostConfig, stack: StackConfig): string {
  const head = [`# ${GENERATED}`, `# Runners of ${stack.project}/${stack.stack}/${host.name}.`];
  return `${head.join("\n")}\n\n${formatToml(configToml(host, stack))}`;
}

function runnerEntry(host: HostConfig, profile: ProfileConfig, stack: StackConfig): TomlTable {
  return defined({
    name: runnerName(host, profile),
    url: stack.gitlab.url,
    token: tokenPlaceholder(profile.name),
    "tls-ca-file": stack.caCertificates === undefined ? undefined : RUNNER_CA_FILE,
    executor: "docker",
    limit: profile.limit,
    request_concurrency: profile.requestConcurrency,
    output_limit: profile.outputLimit,
    unhealthy_interval: UNHEALTHY_INTERVAL,
    environment: nonEmpty(profile.environment),
    feature_flags: sorted(profile.featureFlags),
    docker: executorTable(profile.docker),
  });
}

function executorTable(docker: ExecutorConfig): TomlTable {
  return defined({
    image: docker.image,
    helper_image: docker.helperImage,
    privileged: docker.privileged,
    cap_drop: nonEmpty(docker.capDrop),
    cap_add: nonEmpty(docker.capAdd),
    // Services do not inherit the security options of a job; here they do.
    security_opt: nonEmpty(docker.securityOpt),
    services_security_opt: nonEmpty(docker.securityOpt),
    pull_policy: [...docker.pullPolicy],
    allowed_pull_policies: [...docker.allowedPullPolicies],
    allowed_images: nonEmpty(docker.allowedImages),
    allowed_services: nonEmpty(docker.allowedServices),
    services_limit: docker.servicesLimit,
    memory: docker.memory,
    memory_swap: docker.memorySwap,
    cpus: docker.cpus,
    service_memory: docker.serviceMemory,
    // Otherwise Docker would give services as much swap again.
    service_memory_swap: docker.serviceMemory,
    service_cpus: docker.serviceCpus,
    shm_size: docker.shmSize,
    volumes: [...docker.volumes],
    network_mtu: docker.networkMtu,
    wait_for_services_timeout: docker.waitForServicesTimeout,
    ulimit: sorted(docker.ulimit),
  });
}

/** Leaves out what is undefined, which TOML cannot say. */
function defined(table: Record<string, TomlTable[string] | undefined>): TomlTable {
  return Object.fromEntries(
    Object.entries(table).filter((entry): entry is [string, TomlTable[string]] => {
      return entry[1] !== undefined;
    }),
  );
}

function nonEmpty(list: readonly string[]): string[] | undefined {
  return list.length === 0 ? undefined : [...list];
}

/** A table whose order does not depend on who wrote it; undefined when it is empty. */
function sorted<T extends string | boolean>(table: Readonly<Record<string, T>>) {
  const keys = Object.keys(table).sort();
  return keys.length === 0
    ? undefined
    : Object.fromEntries(keys.map((key) => [key, table[key] as T]));
}

/** TOML text in which a long array takes a line for each value, so that diffs stay readable. */
export function formatToml(table: TomlTable): string {
  const lines = stringify(table).trimEnd().split("\n");
  return `${lines.flatMap(breakArray).join("\n")}\n`;
}

function breakArray(line: string): string[] {
  const key = /^([A-Za-z0-9_-]+) = \[/.exec(line)?.[1];
  if (key === undefined || line.length <= MAX_LINE) {
    return [line];
  }
  const values = parse(line)[key] as (string | number | boolean)[];
  return [
    `${key} = [`,
    ...values.map((value) => `  ${stringify({ value }).trimEnd().slice("value = ".length)},`),
    "]",
  ];
}
