import * as proxmox from "@muhlba91/pulumi-proxmoxve";
import * as pulumi from "@pulumi/pulumi";

import type { HostConfig, TemplateConfig } from "../config/model";

/** A template as Proxmox lists it. */
export interface Template {
  readonly vmId: number;
  readonly name: string;
  readonly node: string;
  readonly tags: readonly string[];
}

/** All templates that the token can see: the one look-up of a preview. */
export async function listTemplates(provider: proxmox.Provider): Promise<readonly Template[]> {
  const { vms } = await proxmox.getVmsLegacy(
    { filters: [{ name: "template", values: ["true"] }] },
    { provider },
  );
  return vms.map(({ vmId, name, nodeName, tags }) => ({ vmId, name, node: nodeName, tags }));
}

/**
 * Finds the template of each host.
 *
 * @throws pulumi.RunError naming every host whose template is missing or not unique
 */
export function chooseTemplates(
  hosts: readonly HostConfig[],
  templates: readonly Template[],
): ReadonlyMap<string, Template> {
  const chosen = new Map<string, Template>();
  const problems: string[] = [];
  for (const host of hosts) {
    const matches = templates.filter((template) => fits(template, host.template));
    const [template] = matches;
    if (template !== undefined && matches.length === 1) {
      chosen.set(host.name, template);
    } else {
      problems.push(`${host.name}: ${describe(host.template, matches, templates)}`);
    }
  }
  if (problems.length > 0) {
    throw new pulumi.RunError(problems.join("\n"));
  }
  return chosen;
}

function fits(template: Template, wanted: TemplateConfig): boolean {
  return "id" in wanted ? template.vmId === wanted.id : template.tags.includes(wanted.tag);
}

function describe(
  wanted: TemplateConfig,
  matches: readonly Template[],
  all: readonly Template[],
): string {
  const list = (templates: readonly Template[]) =>
    templates.map((t) => `${t.vmId} ${t.name} on ${t.node} [${t.tags.join(", ")}]`).join("; ");
  const what = "id" in wanted ? `id ${wanted.id}` : `tag "${wanted.tag}"`;
  if (matches.length > 1) {
    return `${matches.length} templates have the ${what}: ${list(matches)}. Name one by its id.`;
  }
  return (
    `no template has the ${what}. ` +
    (all.length > 0
      ? `The token sees: ${list(all)}.`
      : "The token sees no template at all: it needs VM.Audit on the template.")
  );
}
