/** The GitLab of the lab: who and what is in it. */

import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";

import { fullName, SERVICES, URLS } from "./net/addresses";
import { certificateFile, keyFile, PATHS, ROOT, secretFile } from "./paths";
import { SECRETS } from "./secrets";

/** The project whose pipeline proves the hosts. */
export const HEALTH_PROJECT = { id: 7, path: "platform/runner-health" } as const;

/** The project of the tests' own jobs. */
export const WORKLOAD_PROJECT = { id: 8, path: "platform/workload" } as const;

/** The user whose token the program gets: maintainer of the two projects, and nothing else. */
const DEPLOYER = "runner-deployer";

/** Writes the configuration file of `lab/gitlab/main.ts`. */
export function writeGitLabConfig(): void {
  const name = fullName("gitlab");
  const config = {
    listen: SERVICES.gitlab,
    port: 443,
    tls: { cert: certificateFile(name), key: keyFile(name) },
    url: URLS.gitlab,
    users: [
      { id: 1, username: "root", name: "Administrator", admin: true },
      { id: 2, username: DEPLOYER, name: "Runner deployer" },
    ],
    groups: [{ id: 3, path: "platform" }],
    projects: [
      {
        ...HEALTH_PROJECT,
        dir: path.join(ROOT, "lab", "projects", "runner-health"),
        description: "Says what a job finds on a runner",
      },
      {
        ...WORKLOAD_PROJECT,
        dir: path.join(ROOT, "lab", "projects", "workload"),
        description: "Jobs for the lab's tests",
      },
    ],
    members: [HEALTH_PROJECT, WORKLOAD_PROJECT].map(({ path: project }) => ({
      user: DEPLOYER,
      path: project,
      role: "maintainer",
    })),
    tokens: [
      {
        file: secretFile(SECRETS.gitlabToken),
        name: "runners",
        user: DEPLOYER,
        scopes: ["create_runner", "manage_runner"],
      },
      { file: secretFile(SECRETS.gitlabOperatorToken), name: "operator", scopes: ["api"] },
    ],
    triggers: [
      {
        project: HEALTH_PROJECT.path,
        file: secretFile(SECRETS.gitlabTriggerToken),
        description: "canary",
      },
    ],
  };
  mkdirSync(PATHS.gitlab, { recursive: true, mode: 0o700 });
  writeFileSync(PATHS.gitlabConfig, `${JSON.stringify(config, null, 2)}\n`, { mode: 0o600 });
}
