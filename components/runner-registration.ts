import * as gitlab from "@pulumi/gitlab";
import * as pulumi from "@pulumi/pulumi";

import type { HostConfig, ProfileConfig, RunnerScope, StackConfig } from "../config/model";
import { markOf } from "./mark";
import type { MachineIdentity } from "./proxmox-vm";

export interface RunnerRegistrationArgs {
  readonly stack: StackConfig;
  readonly host: HostConfig;
  readonly profile: ProfileConfig;
  readonly identity: MachineIdentity;
  readonly provider: gitlab.Provider;
}

/**
 * The record in GitLab of one profile on one host.
 *
 * One for each machine: it goes when the machine goes and takes its runner manager along, a leaked
 * token serves one machine, one host can be paused alone, and a job can be aimed at it by the tag
 * that is the host's name.
 */
export class RunnerRegistration {
  readonly record: gitlab.UserRunner;
  readonly profile: string;

  constructor(args: RunnerRegistrationArgs, opts: pulumi.CustomResourceOptions) {
    const { stack, host, profile, identity } = args;
    const mark = markOf(stack, host);
    this.profile = profile.name;
    this.record = new gitlab.UserRunner(
      `${host.name}-${profile.name}`,
      {
        ...scopeArgs(profile.scope),
        description: `${mark} ${profile.name}`,
        maintenanceNote: mark,
        tagLists: [...profile.tags, host.name].sort(),
        untagged: profile.runUntagged,
        locked: profile.locked,
        paused: profile.paused,
        accessLevel: profile.protected ? "ref_protected" : "not_protected",
        maximumTimeout: profile.maximumTimeout,
      },
      {
        ...opts,
        provider: args.provider,
        // A new machine gets a new token; the old record goes after the old machine.
        replacementTrigger: identity.generation,
        deleteBeforeReplace: false,
      },
    );
  }
}

function scopeArgs(scope: RunnerScope) {
  switch (scope.type) {
    case "project":
      return { runnerType: "project_type", projectId: scope.id };
    case "group":
      return { runnerType: "group_type", groupId: scope.id };
    case "instance":
      return { runnerType: "instance_type" };
  }
}
