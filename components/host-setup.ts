import { remote, types } from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";

import type { LoadedSecrets } from "../config/load";
import type { HostConfig, StackConfig } from "../config/model";
import { tokenVariable } from "../host/config-toml";
import { CANARY_TOKEN, PlannedStep, planSteps, scriptsPath } from "../host/plan";
import type { StepScripts } from "../host/step-scripts";
import type { RunnerRegistration } from "./runner-registration";

export interface HostSetupArgs {
  readonly stack: StackConfig;
  readonly host: HostConfig;
  readonly scripts: StepScripts;
  readonly connection: types.input.remote.ConnectionArgs;
  /** The identity of the machine: a new one runs every step anew. */
  readonly triggers: pulumi.Input<unknown>[];
  readonly registrations: readonly RunnerRegistration[];
  readonly secrets: LoadedSecrets;
  /** What has to be done on other hosts before this one is interrupted. */
  readonly after: readonly pulumi.Resource[];
  /** Arms the drain: called once there is a runner that could be drained. */
  readonly armDrain: (runner: pulumi.Resource) => pulumi.Resource;
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
    const plan = planSteps(host, stack, args.scripts.hash);
    const scripts = this.copy("files", new pulumi.asset.FileArchive(args.scripts.folder), {
      remotePath: scriptsPath(host, args.scripts.hash),
    });
    const docker = this.step(plan.docker, [scripts, ...args.after]);
    const runner = this.step(plan.runner, [scripts, docker]);
    const drain = args.armDrain(runner);
    const config = this.step(plan.config, [scripts, drain]);
    this.gate = this.step(plan.gate, [scripts, config]);
  }

  /** Copies files into a folder or file that is named by its content. */
  private copy(
    part: string,
    source: pulumi.asset.Asset | pulumi.asset.Archive,
    { remotePath }: { remotePath: string },
  ): remote.CopyToRemote {
    const { host, connection, triggers } = this.args;
    return new remote.CopyToRemote(
      `${host.name}-${part}`,
      { connection, source, remotePath, triggers },
      { ...this.opts, deleteBeforeReplace: false },
    );
  }

  private step(plan: PlannedStep, after: readonly pulumi.Resource[]): remote.Command {
    const { host, connection, triggers } = this.args;
    const files = this.copy(`files-${plan.step}`, new pulumi.asset.StringAsset(plan.bundle), {
      remotePath: plan.bundlePath,
    });
    return new remote.Command(
      `${host.name}-${plan.step}`,
      {
        connection,
        create: plan.command,
        stdin: plan.secrets.length > 0 ? this.secretLines(plan.secrets) : undefined,
        triggers,
        addPreviousOutputInEnv: false,
      },
      { ...this.opts, dependsOn: [files, ...after], deleteBeforeReplace: false },
    );
  }

  /** `NAME=value` lines, as the steps read them. */
  private secretLines(names: readonly string[]): pulumi.Output<string> {
    const { registrations, secrets } = this.args;
    const values = new Map(
      registrations.map(({ profile, record }) => [tokenVariable(profile), record.token]),
    );
    if (secrets.canaryTriggerToken !== undefined) {
      values.set(CANARY_TOKEN, secrets.canaryTriggerToken);
    }
    const lines = names.map((name) => pulumi.interpolate`${name}=${values.get(name)}\n`);
    return pulumi.secret(pulumi.all(lines).apply((all) => all.join("")));
  }
}
