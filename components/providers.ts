import * as proxmox from "@muhlba91/pulumi-proxmoxve";
import * as gitlab from "@pulumi/gitlab";

import type { LoadedSecrets } from "../config/load";
import type { StackConfig } from "../config/model";

/** The connections to the site's Proxmox and GitLab. */
export interface Providers {
  readonly proxmox: proxmox.Provider;
  readonly gitlab: gitlab.Provider;
}

/** Both providers trust what the machine that runs Pulumi trusts (`SSL_CERT_FILE` included). */
export function createProviders(stack: StackConfig, secrets: LoadedSecrets): Providers {
  return {
    proxmox: new proxmox.Provider("proxmox", {
      endpoint: stack.proxmox.endpoint,
      insecure: stack.proxmox.insecure,
      apiToken: secrets.proxmoxApiToken,
      randomVmIds: true,
      randomVmIdStart: stack.proxmox.vmIds.from,
      randomVmIdEnd: stack.proxmox.vmIds.to,
      ssh: {
        agent: false,
        username: stack.proxmox.ssh.username,
        privateKey: secrets.proxmoxSshPrivateKey,
        nodes: stack.proxmox.ssh.nodes.map((node) => ({ ...node })),
      },
    }),
    gitlab: new gitlab.Provider("gitlab", {
      baseUrl: `${stack.gitlab.url}/api/v4/`,
      token: secrets.gitlabToken,
      // A look at /user needs a scope that creating runners does not.
      earlyAuthCheck: false,
    }),
  };
}
