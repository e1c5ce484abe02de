/** Options of a VM as the API takes and shows them. */

import { randomUUID } from "node:crypto";

import type { Value } from "../schema/types";
import { VM_OPTIONS } from "../schema/vm-options";

/** How a checked value stands in the configuration file. */
export function printValue(value: Value): string {
  if (typeof value === "boolean") return value ? "1" : "0";
  return String(value);
}

/** How a value of the file is shown: figures as figures, everything else as text. */
export function showValue(name: string, value: string): string | number {
  const type = VM_OPTIONS[name]?.type;
  return type === "integer" || type === "number" || type === "boolean" ? Number(value) : value;
}

/** Options by name as `GET …/config` shows them. */
export function showOptions(options: ReadonlyMap<string, string>): Record<string, string | number> {
  const shown: Record<string, string | number> = {};
  for (const [name, value] of options) shown[name] = showValue(name, value);
  if (shown.cipassword !== undefined) shown.cipassword = "**********";
  return shown;
}

/** Lower case, sorted, none twice. */
export function normaliseTags(text: string): string {
  const tags = text.split(/[;,\s]+/).filter(Boolean);
  return [...new Set(tags.map((tag) => tag.toLowerCase()))].sort().join(";");
}

export const figure = (options: ReadonlyMap<string, string>, name: string, otherwise: number) =>
  Number(options.get(name) ?? otherwise);

/** Virtual processors. */
export const vcpus = (options: ReadonlyMap<string, string>) =>
  figure(options, "vcpus", figure(options, "sockets", 1) * figure(options, "cores", 1));

/** MiB. */
export function memoryOf(options: ReadonlyMap<string, string>): number {
  const [, amount] = /(?:^|current=)(\d+)/.exec(options.get("memory") ?? "512") ?? [];
  return Number(amount);
}

export const isTemplate = (options: ReadonlyMap<string, string>) => options.get("template") === "1";

export const newSmbios = () => `uuid=${randomUUID()}`;

export const uuidOf = (options: ReadonlyMap<string, string>) =>
  /uuid=([0-9a-f-]{36})/.exec(options.get("smbios1") ?? "")?.[1];
