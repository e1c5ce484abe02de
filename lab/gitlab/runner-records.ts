/** Rules of runner records, their tokens and their managers. */

import type { Runner, RunnerManager } from "./model";
import { hashToken, newToken } from "./tokens";
import { now, type World } from "./world";

const SHORTEST_TIMEOUT = 600;
const LONGEST_NOTE = 1024;
const MOST_TAGS = 50;
/** System id of runners that send none. */
const LEGACY_SYSTEM_ID = "<legacy>";

/** What GitLab's model says against a runner, by attribute. */
export function problemsOf(runner: Runner): Record<string, string[]> {
  const problems: Record<string, string[]> = {};
  if (runner.maximumTimeout !== null && runner.maximumTimeout < SHORTEST_TIMEOUT) {
    problems.maximum_timeout = ["needs to be at least 10 minutes"];
  }
  if (runner.maintenanceNote !== null && [...runner.maintenanceNote].length > LONGEST_NOTE) {
    problems.maintenance_note = [`is too long (maximum is ${LONGEST_NOTE} characters)`];
  }
  if (!runner.runUntagged && runner.tagList.length === 0) {
    problems.tags_list = ["can not be empty when runner is not allowed to pick untagged jobs"];
  } else if (runner.tagList.length > MOST_TAGS) {
    problems.tags_list = [
      `Too many tags specified. Please limit the number of tags to ${MOST_TAGS}`,
    ];
  }
  return problems;
}

/** Problems as one sentence: `Tags list can not be empty … and Maximum timeout needs …`. */
export function sentence(problems: Readonly<Record<string, readonly string[]>>): string {
  const parts = Object.entries(problems).flatMap(([name, texts]) => {
    const words = name.replace(/_/g, " ");
    return texts.map((text) => `${words[0]?.toUpperCase() ?? ""}${words.slice(1)} ${text}`);
  });
  const last = parts.pop() ?? "";
  return parts.length === 0 ? last : `${parts.join(", ")} and ${last}`;
}

/** Gives a runner a new token, which ends the one before. Only its hash is kept. */
export function issueToken(world: World, runner: Runner): string {
  const token = newToken("glrt-");
  const lifetime = world.config.runnerTokenSeconds;
  runner.tokenHash = hashToken(token);
  runner.tokenExpiresAt =
    lifetime === undefined ? null : new Date(Date.now() + lifetime * 1000).toISOString();
  return token;
}

/** Notes that a runner was heard, and from which machine. */
export function noteContact(
  world: World,
  runner: Runner,
  params: { readonly system_id?: string | null; readonly info?: Record<string, unknown> | null },
  ipAddress: string,
): RunnerManager {
  const systemId = params.system_id ?? LEGACY_SYSTEM_ID;
  const contactedAt = now();
  runner.contactedAt = contactedAt;
  let manager = runner.managers.find((known) => known.systemId === systemId);
  if (manager === undefined) {
    manager = {
      id: world.store.nextId("manager"),
      systemId,
      name: null,
      version: null,
      revision: null,
      platform: null,
      architecture: null,
      executor: null,
      ipAddress: null,
      createdAt: contactedAt,
      contactedAt,
    };
    runner.managers.push(manager);
    world.store.touch();
  }
  manager.contactedAt = contactedAt;
  manager.ipAddress = ipAddress;
  const info = params.info ?? {};
  for (const key of [
    "name",
    "version",
    "revision",
    "platform",
    "architecture",
    "executor",
  ] as const) {
    const value = info[key];
    if (typeof value === "string" && value !== "") manager[key] = value;
  }
  world.store.touchLazily();
  return manager;
}
