import * as path from "node:path";

import { stringify } from "yaml";

import { renderVendorData, snippetName } from "../cloud-init/vendor-data";
import type { HostConfig, StackConfig } from "../config/model";
import { parseBundle, planSteps, scriptsPath, STEPS, tokenPlaceholder } from "../host";
import { readStepScripts } from "../host/step-scripts";
import type { OutputFile } from "./output-folder";

/** What stands in config.toml in a token's place. */
const MASKED_TOKEN = "glrt-masked";

/**
 * Everything that would land on the hosts of a stack, by path.
 *
 * @param projectFolder the folder that holds `host/steps`
 */
export function renderStack(
  stack: StackConfig,
  projectFolder: string,
): ReadonlyMap<string, OutputFile> {
  const scripts = readStepScripts(projectFolder);
  const files = new Map<string, OutputFile>();
  for (const [name, content] of scripts.files) {
    files.set(path.posix.join("steps", name), { content, mode: 0o644 });
  }
  for (const host of stack.hosts) {
    for (const [name, file] of renderHost(host, stack, scripts.hash)) {
      files.set(path.posix.join(host.name, name), file);
    }
  }
  return files;
}

function renderHost(
  host: HostConfig,
  stack: StackConfig,
  scriptsHash: string,
): ReadonlyMap<string, OutputFile> {
  const text = (content: string): OutputFile => ({ content, mode: 0o644 });
  const files = new Map<string, OutputFile>();
  files.set("plan.yaml", text(renderPlan(host, stack, scriptsHash)));
  files.set("vendor-data.yaml", text(renderVendorData(host, stack)));
  const plan = planSteps(host, stack, scriptsHash);
  for (const step of STEPS) {
    const { bundle } = plan[step];
    files.set(path.posix.join("bundles", step), text(bundle));
    for (const file of parseBundle(bundle).files) {
      files.set(path.posix.join("rootfs", file.path), {
        content: maskTokens(file.content, host),
        mode: Number.parseInt(file.mode, 8),
      });
    }
  }
  return files;
}

function maskTokens(content: string, host: HostConfig): string {
  return host.profiles.reduce(
    (text, { name }) => text.replaceAll(tokenPlaceholder(name), MASKED_TOKEN),
    content,
  );
}

/** What `pulumi up` does for a host, in its order. */
function renderPlan(host: HostConfig, stack: StackConfig, scriptsHash: string): string {
  const plan = planSteps(host, stack, scriptsHash);
  return stringify(
    {
      host: host.name,
      runners: host.profiles.map(({ name, scope, tags, protected: isProtected, ...profile }) => ({
        record: `${host.name}-${name}`,
        scope: { ...scope },
        tags: [...tags, host.name].sort(),
        runUntagged: profile.runUntagged,
        locked: profile.locked,
        protected: isProtected,
        maximumTimeout: profile.maximumTimeout,
      })),
      snippet: `${stack.proxmox.snippets}:snippets/${snippetName(host, stack)}`,
      machine: {
        node: host.node,
        template: host.template,
        ...host.vm,
        network: host.network,
        disks: host.disks,
        ssh: { user: host.ssh.user, trust: host.ssh.trust, bastion: host.ssh.bastion },
      },
      scripts: scriptsPath(host, scriptsHash),
      steps: STEPS.map((step) => ({
        step,
        seconds: plan[step].limit,
        bundle: plan[step].bundlePath,
        secrets: plan[step].secrets,
        files: parseBundle(plan[step].bundle).files.map((file) => `${file.mode} ${file.path}`),
        command: plan[step].command,
      })),
      drain: { seconds: host.runner.drainTimeout },
    },
    { lineWidth: 0, aliasDuplicateObjects: false },
  );
}
