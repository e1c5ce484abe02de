import * as pulumi from "@pulumi/pulumi";

/** Connection to a GitLab server. */
export declare class Provider extends pulumi.ProviderResource {
  static isInstance(obj: unknown): obj is Provider;
  constructor(name: string, args?: ProviderArgs, opts?: pulumi.ResourceOptions);
}

export interface ProviderArgs {
  /** API address; must end with a slash, such as `https://host/api/v4/`. */
  baseUrl?: pulumi.Input<string>;
  /** Path of the only CA certificate to trust. */
  cacertFile?: pulumi.Input<string>;
  /** Ask for the current user first. Default true. */
  earlyAuthCheck?: pulumi.Input<boolean>;
  headers?: pulumi.Input<Record<string, pulumi.Input<string>>>;
  insecure?: pulumi.Input<boolean>;
  /** Retries after 429 and 5xx. Default 10. */
  retries?: pulumi.Input<number>;
  token?: pulumi.Input<string>;
}

/** A runner record created by a user: `POST /user/runners`. */
export declare class UserRunner extends pulumi.CustomResource {
  static get(
    name: string,
    id: pulumi.Input<pulumi.ID>,
    state?: Partial<UserRunnerArgs> & { token?: pulumi.Input<string> },
    opts?: pulumi.CustomResourceOptions,
  ): UserRunner;
  static isInstance(obj: unknown): obj is UserRunner;

  readonly accessLevel: pulumi.Output<string>;
  readonly description: pulumi.Output<string>;
  readonly groupId: pulumi.Output<number | undefined>;
  readonly locked: pulumi.Output<boolean>;
  readonly maintenanceNote: pulumi.Output<string | undefined>;
  readonly maximumTimeout: pulumi.Output<number>;
  readonly paused: pulumi.Output<boolean>;
  readonly projectId: pulumi.Output<number | undefined>;
  readonly runnerType: pulumi.Output<string>;
  readonly tagLists: pulumi.Output<string[]>;
  /** The authentication token (`glrt-…`), a secret; not known after an import. */
  readonly token: pulumi.Output<string>;
  readonly untagged: pulumi.Output<boolean>;

  constructor(name: string, args: UserRunnerArgs, opts?: pulumi.CustomResourceOptions);
}

export interface UserRunnerArgs {
  /** `not_protected` or `ref_protected`. */
  accessLevel?: pulumi.Input<string>;
  description?: pulumi.Input<string>;
  groupId?: pulumi.Input<number>;
  locked?: pulumi.Input<boolean>;
  /** At most 1024 characters. */
  maintenanceNote?: pulumi.Input<string>;
  /** Seconds, at least 600. */
  maximumTimeout?: pulumi.Input<number>;
  paused?: pulumi.Input<boolean>;
  projectId?: pulumi.Input<number>;
  /** `instance_type`, `group_type` or `project_type`. */
  runnerType: pulumi.Input<string>;
  tagLists?: pulumi.Input<pulumi.Input<string>[]>;
  /** Take jobs without tags. Default true in GitLab. */
  untagged?: pulumi.Input<boolean>;
}
