import { remote, types } from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";

import type { LoadedSecrets as StackSecrets } from "../config/load";
import type { HostConfig, StackConfig } from "../config/model";
import {
  renderConfigBundle,
  renderDockerBundle,
  renderGateBundle,
  renderRunnerBundle,
} from "../host/bundles";
import { tokenVariable } from "../host/config-toml";
import { hashOfBundle, stepCommand, StepName } from "../host/step-command";
import type { RunnerRegistration } from "./runner-registration";
import type { StepScripts } from "./step-scripts";

/** Seconds that installing packages may take, on top of a drain. */
const INSTALL_LIMIT = 1800;
/** Seconds for the configuration to be written and loaded, on top of a drain. */
const CONFIG_LIMIT = 300;
/** Seconds for the gate, on top of the canary's own. */
const GATE_LIMIT = 900;

export interface HostSetupArgs {
  readonly stack: StackConfig;
  readonly host: HostConfig;
  readonly scripts: StepScripts;
  readonly connection: types.input.remote.ConnectionArgs;
  /** The identity of the machine: a new one runs every step anew. */
  readonly triggers: pulumi.Input<unknown>[];
  readonly registrations: readonly RunnerRegistration[];
  readonly secrets: StackSecrets;
  /** What has to be done on other hosts before this one is interrupted. */
  readonly after: readonly pulumi.Resource[];
}

/**
 * The steps that make a machine a runner host, each run again when what it uses has changed.
 *
 * docker → runner → (drain is armed) → config → gate. A step's input is its command, which names
 * the hashes of the scripts and of the step's bundle of files; secrets are its standard input.
 */
export class HostSetup {
  readonly gate: remote.Command;

  constructor(
    private readonly args: HostSetupArgs,
    private readonly opts: pulumi.CustomResourceOptions,
  ) {
    const { stack, host } = args;
    const scripts = this.copy("files", new pulumi.asset.FileArchive(args.scripts.folder), {
      remotePath: this.scriptsPath,
    });

    const drainLimit = host.runner.drainTimeout;
    const docker = this.step("docker", renderDockerBundle(host, stack), {
      limit: INSTALL_LIMIT + drainLimit,
      after: [scripts, ...args.after],
    });
    const runner = this.step("runner", renderRunnerBundle(host, stack), {
      limit: INSTALL_LIMIT + drainLimit,
      after: [scripts, docker.command],
    });
    const drain = this.drain(runner.command);
    const config = this.step("config", renderConfigBundle(host, stack), {
      limit: CONFIG_LIMIT + drainLimit,
      after: [scripts, drain],
      stdin: pulumi.interpolate`${pulumi
        .all(args.registrations.map((r) => tokenLine(r)))
        .apply((lines) => lines.join(""))}`,
    });
    const gate = this.step("gate", renderGateBundle(host, stack), {
      limit: GATE_LIMIT + (stack.canary?.timeout ?? 0),
      after: [scripts, config.command],
      // What the gate proves holds for these and no others.
      proves: [docker.hash, runner.hash, config.hash],
      stdin: pulumi
        .all([
          pulumi.all(args.registrations.map((r) => tokenLine(r))),
          args.secrets.canaryTriggerToken ?? pulumi.output(undefined),
        ])
        .apply(
          ([lines, canary]) =>
            lines.join("") + (canary === undefined ? "" : `CANARY_TOKEN=${canary}\n`),
        ),
    });
    this.gate = gate.command;
  }

  private get folder(): string {
    return `/home/${this.args.host.ssh.user}/.gitlab-runners`;
  }

  private get scriptsPath(): string {
    return `${this.folder}/steps-${this.args.scripts.hash.slice(0, 12)}`;
  }

  /** Copies files into a folder or file that is named by its content. */
  private copy(
    part: string,
    source: pulumi.asset.Asset | pulumi.asset.Archive,
    { remotePath }: { remotePath: string },
  ): remote.CopyToRemote {
    return new remote.CopyToRemote(
      `${this.args.host.name}-${part}`,
      { connection: this.args.connection, source, remotePath, triggers: this.args.triggers },
      { ...this.opts, deleteBeforeReplace: false },
    );
  }

  private step(
    step: StepName,
    bundle: string,
    options: {
      limit: number;
      after: pulumi.Resource[];
      stdin?: pulumi.Output<string>;
      proves?: string[];
    },
  ): { command: remote.Command; hash: string } {
    const { host, scripts, connection, triggers } = this.args;
    const hash = hashOfBundle(bundle);
    const bundlePath = `${this.folder}/${step}-${hash.slice(0, 12)}`;
    const files = this.copy(`${step}-files`, new pulumi.asset.StringAsset(bundle), {
      remotePath: bundlePath,
    });
    const command = stepCommand({
      step,
      stepsPath: this.scriptsPath,
      stepsHash: scripts.hash,
      bundlePath,
      bundleHash: hash,
      timeoutSeconds: options.limit,
    });
    const proves = (options.proves ?? []).map((other) => other.slice(0, 12)).join(" ");
    const run = new remote.Command(
      `${host.name}-${step}`,
      {
        connection,
        create: proves === "" ? command : `${command} # ${proves}`,
        stdin: options.stdin && pulumi.secret(options.stdin),
        triggers,
        addPreviousOutputInEnv: false,
      },
      { ...this.opts, dependsOn: [files, ...options.after], deleteBeforeReplace: false },
    );
    return { command: run, hash };
  }

  /** Does nothing until it is deleted; then the host takes no new job and lets running ones end. */
  private drain(runner: remote.Command): remote.Command {
    const { host, connection, triggers } = this.args;
    const limit = host.runner.drainTimeout;
    return new remote.Command(
      `${host.name}-drain`,
      {
        connection,
        create: "true",
        update: "true",
        delete: `sudo -n timeout ${limit + 300} /usr/local/sbin/gitlab-runner-drain --limit ${limit} --unregister`,
        triggers,
        addPreviousOutputInEnv: false,
      },
      { ...this.opts, dependsOn: [runner], deleteBeforeReplace: false },
    );
  }
}

function tokenLine(registration: RunnerRegistration): pulumi.Output<string> {
  return pulumi.interpolate`${tokenVariable(registration.profile)}=${registration.record.token}\n`;
}
