import * as fs from "fs";
import * as path from "path";
import * as yaml from "yaml";

import type { StackSource } from "./parse";
import { PROJECT } from "./project";

/**
 * Reads a `Pulumi.<stack>.yaml` without Pulumi.
 *
 * @throws Error when the file cannot be read, is no YAML, or has no `config`
 */
export function readStackFile(file: string): StackSource {
  const document = yaml.parse(fs.readFileSync(file, "utf8")) as unknown;
  if (
    typeof document !== "object" ||
    document === null ||
    !("config" in document) ||
    typeof document.config !== "object" ||
    document.config === null
  ) {
    throw new Error("has no `config:` map: it is no stack file of Pulumi");
  }
  const values: Record<string, unknown> = {};
  const secretKeys = new Set<string>();
  for (const [fullKey, value] of Object.entries(document.config)) {
    if (!fullKey.startsWith(`${PROJECT}:`)) {
      continue;
    }
    const key = fullKey.slice(PROJECT.length + 1);
    if (typeof value === "object" && value !== null && "secure" in value) {
      secretKeys.add(key);
    }
    values[key] = value;
  }
  const stack = /^Pulumi\.(.+)\.ya?ml$/.exec(path.basename(file))?.[1] ?? path.basename(file);
  return { project: PROJECT, stack, values, secretKeys };
}
