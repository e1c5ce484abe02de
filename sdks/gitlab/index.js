"use strict";
// The part of @pulumi/gitlab that this program uses, with the published names, tokens and version.
const pulumi = require("@pulumi/pulumi");

const { version } = require("./package.json");

const withVersion = (opts, more) => pulumi.mergeOptions({ version, ...more }, opts ?? {});

const asJson = (value) =>
  value === undefined ? undefined : pulumi.output(value).apply(JSON.stringify);

class Provider extends pulumi.ProviderResource {
  static __pulumiType = "gitlab";

  static isInstance(obj) {
    return obj?.["__pulumiType"] === `pulumi:providers:${Provider.__pulumiType}`;
  }

  constructor(name, args, opts) {
    const inputs = {
      baseUrl: args?.baseUrl,
      cacertFile: args?.cacertFile,
      earlyAuthCheck: asJson(args?.earlyAuthCheck),
      headers: asJson(args?.headers),
      insecure: asJson(args?.insecure),
      retries: asJson(args?.retries),
      token: args?.token === undefined ? undefined : pulumi.secret(args.token),
    };
    super(
      Provider.__pulumiType,
      name,
      inputs,
      withVersion(opts, { additionalSecretOutputs: ["token"] }),
    );
  }
}

const userRunnerInputs = [
  "accessLevel",
  "description",
  "groupId",
  "locked",
  "maintenanceNote",
  "maximumTimeout",
  "paused",
  "projectId",
  "runnerType",
  "tagLists",
  "untagged",
];

class UserRunner extends pulumi.CustomResource {
  static __pulumiType = "gitlab:index/userRunner:UserRunner";

  static get(name, id, state, opts) {
    return new UserRunner(name, state, { ...opts, id });
  }

  static isInstance(obj) {
    return obj?.["__pulumiType"] === UserRunner.__pulumiType;
  }

  constructor(name, args, opts) {
    const existing = opts?.id !== undefined;
    if (!existing && args?.runnerType === undefined && !opts?.urn) {
      throw new Error("Missing required property 'runnerType'");
    }
    const inputs = Object.fromEntries(userRunnerInputs.map((key) => [key, args?.[key]]));
    // An output has to be named, or the resource never gets it.
    inputs.token = existing ? args?.token : undefined;
    super(
      UserRunner.__pulumiType,
      name,
      inputs,
      withVersion(opts, { additionalSecretOutputs: ["token"] }),
    );
  }
}

pulumi.runtime.registerResourceModule("gitlab", "index/userRunner", {
  version,
  construct: (name, type, urn) => {
    if (type !== UserRunner.__pulumiType) {
      throw new Error(`unknown resource type ${type}`);
    }
    return new UserRunner(name, undefined, { urn });
  },
});
pulumi.runtime.registerResourcePackage("gitlab", {
  version,
  constructProvider: (name, type, urn) => {
    if (type !== "pulumi:providers:gitlab") {
      throw new Error(`unknown provider type ${type}`);
    }
    return new Provider(name, undefined, { urn });
  },
});

exports.Provider = Provider;
exports.UserRunner = UserRunner;
