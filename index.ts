// Stacks of promises cost half of a preview's CPU time, and an engineer's errors need none.
Error.stackTraceLimit = process.env.GITLAB_RUNNERS_DEBUG ? 50 : 0;

import * as pulumi from "@pulumi/pulumi";

import { createProviders } from "./components/providers";
import { RunnerFleet } from "./components/runner-fleet";
import { selfDeployment } from "./components/self-deploy";
import { chooseTemplates, listTemplates } from "./components/templates";
import { loadConfig } from "./config/load";
import { readStepScripts } from "./host/step-scripts";

export = async () => {
  const { stack, secrets } = loadConfig();
  const refusal = selfDeployment(stack, process.env);
  if (refusal !== undefined && !pulumi.runtime.isDryRun()) {
    throw new pulumi.RunError(refusal);
  }
  const providers = createProviders(stack, secrets);
  const templates = chooseTemplates(stack.hosts, await listTemplates(providers.proxmox));
  const scripts = readStepScripts(__dirname);
  const fleet = new RunnerFleet(stack.stack, { stack, templates, providers, secrets, scripts });
  return { hosts: fleet.hosts };
};
