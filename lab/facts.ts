/** What only the running lab knows, kept for its commands and tests. */

import { existsSync, readFileSync, writeFileSync } from "node:fs";

import { PATHS } from "./paths";
import { LabError } from "./progress";
import type { LabFacts } from "./stack";

export function writeFacts(facts: LabFacts): void {
  writeFileSync(PATHS.facts, `${JSON.stringify(facts, null, 2)}\n`, { mode: 0o600 });
}

/** @throws LabError when no lab was started here */
export function readFacts(): LabFacts {
  if (!existsSync(PATHS.facts)) {
    throw new LabError('the lab is not running: start it with "make lab"');
  }
  return JSON.parse(readFileSync(PATHS.facts, "utf8")) as LabFacts;
}
