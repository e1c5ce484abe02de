/** What is there in the lab's Proxmox and GitLab, as their side doors tell it. */

import { request } from "node:http";
import { text } from "node:stream/consumers";

import { PATHS } from "./paths";
import { LabError } from "./progress";
import type { ProxmoxInventory } from "./proxmox/admin";

const LIMIT_MS = 20_000;

/** Asks an admin socket. @throws LabError when it does not answer with 200 */
export function askSocket<T>(socketPath: string, method: string, path: string): Promise<T> {
  return new Promise((resolve, reject) => {
    const sent = request({ socketPath, method, path, timeout: LIMIT_MS }, (response) => {
      text(response).then((body) => {
        if (response.statusCode === 200) resolve((body === "" ? undefined : JSON.parse(body)) as T);
        else reject(new LabError(`${socketPath} ${path}: ${response.statusCode} ${body}`));
      }, reject);
    });
    sent.on("timeout", () => sent.destroy(new LabError(`${socketPath} does not answer`)));
    sent.on("error", reject);
    sent.end();
  });
}

export interface GitLabInventory {
  readonly runners: readonly {
    readonly id: number;
    readonly description: string;
    readonly maintenance_note: string | null;
    readonly tag_list: readonly string[];
    readonly paused: boolean;
    readonly status: string;
    readonly running_jobs: readonly number[];
  }[];
  readonly managers: readonly {
    readonly runner_id: number;
    readonly system_id: string;
    readonly version: string | null;
  }[];
}

export const gitlabInventory = (): Promise<GitLabInventory> =>
  askSocket(PATHS.gitlabSocket, "GET", "/inventory");

export const proxmoxInventory = (): Promise<ProxmoxInventory> =>
  askSocket(PATHS.pveSocket, "GET", "/inventory");
