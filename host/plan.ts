import type { HostConfig, StackConfig } from "../config/model";
import type { Step } from "./bundle";
import {
  renderConfigBundle,
  renderDockerBundle,
  renderGateBundle,
  renderRunnerBundle,
} from "./bundles";
import { tokenVariable } from "./config-toml";
import { hashOfBundle, stepCommand } from "./step-command";

/** Seconds that installing packages may take, on top of a drain. */
const INSTALL_LIMIT = 1800;
/** Seconds for the configuration to be written and loaded, on top of a drain. */
const CONFIG_LIMIT = 300;
/** Seconds for the gate, on top of the canary's own. */
const GATE_LIMIT = 900;

/** One step of a host's setup, as it is run there. */
export interface PlannedStep {
  readonly step: Step;
  /** The rendered files, as one text. */
  readonly bundle: string;
  /** Where the bundle is put; its name changes with its content. */
  readonly bundlePath: string;
  /** Seconds after which the step is ended. */
  readonly limit: number;
  /** Names of the secrets that the step reads from its standard input. */
  readonly secrets: readonly string[];
  readonly command: string;
}

/** Folder of the admin user that holds what is copied to the host. */
function folderOf(host: HostConfig): string {
  return `/home/${host.ssh.user}/.gitlab-runners`;
}

/** Where the step scripts are put; the name changes with their content. */
export function scriptsPath(host: HostConfig, scriptsHash: string): string {
  return `${folderOf(host)}/steps-${scriptsHash.slice(0, 12)}`;
}

/** The steps of a host in their order. */
export function planSteps(
  host: HostConfig,
  stack: StackConfig,
  scriptsHash: string,
): Readonly<Record<Step, PlannedStep>> {
  const plan = (
    step: Step,
    bundle: string,
    limit: number,
    secrets: readonly string[] = [],
  ): PlannedStep => {
    const bundleHash = hashOfBundle(bundle);
    const bundlePath = `${folderOf(host)}/${step}-${bundleHash.slice(0, 12)}`;
    const stepsPath = scriptsPath(host, scriptsHash);
    const command = stepCommand({
      step,
      stepsPath,
      stepsHash: scriptsHash,
      bundlePath,
      bundleHash,
      timeoutSeconds: limit,
    });
    return { step, bundle, bundlePath, limit, secrets, command };
  };
  const drainLimit = host.runner.drainTimeout;
  const tokens = host.profiles.map(({ name }) => tokenVariable(name));
  const docker = plan("docker", renderDockerBundle(host, stack), INSTALL_LIMIT + drainLimit);
  const runner = plan("runner", renderRunnerBundle(host, stack), INSTALL_LIMIT + drainLimit);
  const config = plan("config", renderConfigBundle(host, stack), CONFIG_LIMIT + drainLimit, tokens);
  const gate = plan(
    "gate",
    renderGateBundle(host, stack),
    GATE_LIMIT + (stack.canary?.timeout ?? 0),
    stack.canary === undefined ? tokens : [...tokens, CANARY_TOKEN],
  );
  // What the gate proves holds for these steps on a machine of this size, and for no others.
  const { cores, memory } = host.vm;
  const proves = [docker, runner, config]
    .map(({ bundle }) => hashOfBundle(bundle).slice(0, 12))
    .concat(`${cores}x${memory}`);
  return {
    docker,
    runner,
    config,
    gate: { ...gate, command: `${gate.command} # ${proves.join(" ")}` },
  };
}

/** Name under which the gate gets the canary's trigger token. */
export const CANARY_TOKEN = "CANARY_TOKEN";
