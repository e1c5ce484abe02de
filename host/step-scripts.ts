import * as fs from "node:fs";
import * as path from "node:path";

import { hashOfSteps } from "./step-command";

/** The scripts that run on the hosts, as they are copied there. */
export interface StepScripts {
  /** Folder in the project, with the trailing slash that makes its content be copied. */
  readonly folder: string;
  /** Contents by file name. */
  readonly files: ReadonlyMap<string, string>;
  /** Hash that each host computes again, as root, before it runs one of them. */
  readonly hash: string;
}

/** Reads `host/steps` of the project. */
export function readStepScripts(projectFolder: string): StepScripts {
  const folder = path.join(projectFolder, "host", "steps");
  const files = new Map(
    fs
      .readdirSync(folder)
      .sort()
      .map((name) => [name, fs.readFileSync(path.join(folder, name), "utf8")]),
  );
  return { folder: "./host/steps/", files, hash: hashOfSteps(files) };
}
