/** The configuration file of a VM, `ID.conf`, as Proxmox VE writes it. */

import { createHash } from "node:crypto";

export interface VmConfig {
  /** Option by name; what a running machine was started with or changed to. */
  readonly values: Map<string, string>;
  /** Changes that wait for the next start. */
  readonly pending: Map<string, string>;
  /** Options whose removal waits for the next start. */
  readonly pendingDelete: Set<string>;
}

export function emptyConfig(): VmConfig {
  return { values: new Map(), pending: new Map(), pendingDelete: new Set() };
}

export function copyConfig(config: VmConfig): VmConfig {
  return {
    values: new Map(config.values),
    pending: new Map(config.pending),
    pendingDelete: new Set(config.pendingDelete),
  };
}

/** What would end a line, or be taken for something encoded. */
const encode = (text: string) =>
  [...text]
    .map((c) => (c === "%" || (c < " " && c !== "\n") || c === "\x7f" ? hexOf(c) : c))
    .join("");
const hexOf = (c: string) => `%${c.charCodeAt(0).toString(16).padStart(2, "0").toUpperCase()}`;
const decode = (text: string) =>
  text.replace(/%([0-9A-Fa-f]{2})/g, (_, hex: string) => String.fromCharCode(parseInt(hex, 16)));

export function parseConfigFile(raw: string): VmConfig {
  const config = emptyConfig();
  const description: string[] = [];
  let section = "";
  for (const line of raw.split("\n")) {
    const [, header] = /^\[(.+)\]\s*$/.exec(line) ?? [];
    if (header !== undefined) {
      section = header.toUpperCase();
    } else if (line.startsWith("#") && section === "") {
      description.push(decode(line.slice(1)));
    } else {
      const [, key, value] = /^([a-z][a-z_\d-]*):\s*(.*?)\s*$/.exec(line) ?? [];
      if (key === undefined || value === undefined) continue;
      if (section === "") config.values.set(key, value);
      else if (section === "PENDING" && key === "delete") {
        for (const name of value.split(/[,\s]+/)) config.pendingDelete.add(name);
      } else if (section === "PENDING") {
        config.pending.set(key, key === "description" ? decode(value) : value);
      }
    }
  }
  if (description.length > 0) config.values.set("description", description.join("\n"));
  return config;
}

export function printConfigFile(config: VmConfig): string {
  const lines: string[] = [];
  const description = config.values.get("description");
  if (description !== undefined) {
    for (const line of description.split("\n")) lines.push(`#${encode(line)}`);
  }
  const sorted = (map: Map<string, string>) => [...map].sort(([a], [b]) => (a < b ? -1 : 1));
  for (const [key, value] of sorted(config.values)) {
    if (key !== "description") lines.push(`${key}: ${value}`);
  }
  if (config.pending.size > 0 || config.pendingDelete.size > 0) {
    lines.push("", "[PENDING]");
    if (config.pendingDelete.size > 0) {
      lines.push(`delete: ${[...config.pendingDelete].sort().join(",")}`);
    }
    for (const [key, value] of sorted(config.pending)) {
      lines.push(
        `${key}: ${key === "description" ? encode(value).replaceAll("\n", "%0A") : value}`,
      );
    }
  }
  return `${lines.join("\n")}\n`;
}

/** What says that a file has changed. */
export function digestOf(raw: string): string {
  return createHash("sha1").update(raw).digest("hex");
}

/** The configuration as it will be once what waits has taken effect. */
export function withPending(config: VmConfig): Map<string, string> {
  const values = new Map(config.values);
  for (const name of config.pendingDelete) values.delete(name);
  for (const [name, value] of config.pending) values.set(name, value);
  return values;
}
