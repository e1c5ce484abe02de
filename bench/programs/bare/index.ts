/* Registers the resources of the file BENCH_RESOURCES, whose inputs stand there ready. */
// As index.ts of the project, whose times are compared with this.
Error.stackTraceLimit = 0;

import { readFileSync } from "node:fs";

import * as pulumi from "@pulumi/pulumi";

import type { BareResource } from "../../preview/bare";
import { SECRET, SIGNATURE } from "../../preview/state";

function decode(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(decode);
  if (typeof value !== "object" || value === null) return value;
  const map = value as Record<string, unknown>;
  if (map[SIGNATURE] === SECRET) return pulumi.secret(decode(JSON.parse(String(map.plaintext))));
  if (typeof map[SIGNATURE] === "string") {
    return typeof map.text === "string"
      ? new pulumi.asset.StringAsset(map.text)
      : new pulumi.asset.FileArchive(String(map.path));
  }
  return Object.fromEntries(Object.entries(map).map(([key, inner]) => [key, decode(inner)]));
}

class Provider extends pulumi.ProviderResource {}
class Resource extends pulumi.CustomResource {}

const file = readFileSync(process.env.BENCH_RESOURCES ?? "", "utf8");
const providers = new Map<string, pulumi.ProviderResource>();

for (const resource of JSON.parse(file) as BareResource[]) {
  const { type, name, version, pluginDownloadURL } = resource;
  const inputs = decode(resource.inputs) as pulumi.Inputs;
  const { additionalSecretOutputs, ...others } = resource.options;
  const options = {
    version,
    pluginDownloadURL,
    ...others,
    additionalSecretOutputs: additionalSecretOutputs && [...additionalSecretOutputs],
  } as pulumi.CustomResourceOptions;
  const [, providerOf] = /^pulumi:providers:(.*)$/.exec(type) ?? [];
  if (providerOf !== undefined) {
    providers.set(name, new Provider(providerOf, name, inputs, options));
  } else {
    const provider = providers.get(resource.provider ?? "");
    new Resource(type, name, inputs, { ...options, provider });
  }
}
