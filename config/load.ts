import * as pulumi from "@pulumi/pulumi";
import * as runtimeConfig from "@pulumi/pulumi/runtime/config";

import { formatIssues } from "./issues";
import type { StackConfig } from "./model";
import { SECRET_KEYS } from "./model";
import { parseStack } from "./parse";

/** Each of `SECRET_KEYS`, as a secret; undefined where the stack has none. */
export type LoadedSecrets = Readonly<
  Record<Exclude<keyof typeof SECRET_KEYS, "canaryTriggerToken">, pulumi.Output<string>>
> & { readonly canaryTriggerToken: pulumi.Output<string> | undefined };

/** The SDK knows which keys are secret, but does not declare the function that tells. */
const { isConfigSecret } = runtimeConfig as unknown as {
  isConfigSecret: (fullKey: string) => boolean;
};

/**
 * Reads the stack's configuration: the only place that asks Pulumi for it.
 *
 * @throws pulumi.RunError with everything that is wrong, a line each
 */
export function loadConfig(): { stack: StackConfig; secrets: LoadedSecrets } {
  const project = pulumi.getProject();
  const all = pulumi.runtime.allConfig();
  const config = new pulumi.Config();
  const values: Record<string, unknown> = {};
  const others: Record<string, unknown> = {};
  const secretKeys = new Set<string>();
  for (const [fullKey, text] of Object.entries(all)) {
    if (!fullKey.startsWith(`${project}:`)) {
      others[fullKey] = text;
      continue;
    }
    const key = fullKey.slice(project.length + 1);
    if (isConfigSecret(fullKey)) {
      secretKeys.add(key);
    }
    values[key] = key in SECRET_KEYS ? text : valueOf(text as string);
  }
  const stack = pulumi.getStack();
  const source = { project, stack, values, others, secretKeys };
  const { config: parsed, errors, warnings } = parseStack(source);
  // What config:check can only warn of, since it sees no cluster, a deployment cannot do without.
  const missing = warnings.filter(({ path }) => path in SECRET_KEYS);
  if (parsed === undefined || missing.length > 0) {
    const issues = [...errors, ...missing];
    throw new pulumi.RunError(
      `The configuration of stack ${stack} has ${issues.length} ${issues.length === 1 ? "error" : "errors"}; nothing was changed.\n${formatIssues(issues)}`,
    );
  }
  for (const { path, message } of warnings) {
    void pulumi.log.warn(`${path}: ${message}`);
  }
  return {
    stack: parsed,
    secrets: {
      proxmoxApiToken: config.requireSecret("proxmoxApiToken"),
      proxmoxSshPrivateKey: config.requireSecret("proxmoxSshPrivateKey"),
      gitlabToken: config.requireSecret("gitlabToken"),
      sshPrivateKey: config.requireSecret("sshPrivateKey"),
      canaryTriggerToken: config.getSecret("canaryTriggerToken"),
    },
  };
}

/** Maps and lists arrive as JSON, everything else as text. */
function valueOf(text: string): unknown {
  try {
    return /^\s*[{[]/.test(text) ? JSON.parse(text) : text;
  } catch {
    return text;
  }
}
