import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";

import { stringify } from "yaml";

import { PROJECT } from "../../../config/project";

/** A public key as ssh-keygen makes it; nobody has its private half. */
export const PUBLIC_KEY =
  "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f ops@example.org";

/** What Pulumi writes for a secret; these bytes are none of anybody's. */
export const SECURE = { secure: "v1:AAAAAAAAAAAAAAAA:AAAA" };

export type Values = Record<string, unknown>;

/** A stack without faults, by key without the project's prefix. */
export function goodStack(): Values {
  return {
    proxmox: { endpoint: "https://pve1.example.org:8006", ssh: { username: "snippets" } },
    gitlab: { url: "https://gitlab.example.org" },
    defaults: { gateway: "10.0.0.1", ssh: { authorizedKeys: [PUBLIC_KEY] } },
    profiles: { default: { project: 7 } },
    hosts: {
      "ci-01": { node: "pve1", address: "10.0.0.11/24" },
      "ci-02": { node: "pve2", address: "10.0.0.12/24" },
    },
    proxmoxApiToken: SECURE,
    proxmoxSshPrivateKey: SECURE,
    gitlabToken: SECURE,
    sshPrivateKey: SECURE,
  };
}

/** Sets what a path such as `hosts.ci-01.address` leads to; `undefined` takes it away. */
export function set(values: Values, where: string, value: unknown): void {
  const parts = where.split(".");
  const last = parts.pop() as string;
  let map = values;
  for (const part of parts) {
    map[part] = map[part] ?? {};
    map = map[part] as Values;
  }
  if (value === undefined) {
    delete map[last];
  } else {
    map[last] = value;
  }
}

/** A good stack with some of its values changed. */
export function stackWith(changes: Readonly<Values>): Values {
  const values = goodStack();
  Object.entries(changes).forEach(([where, value]) => set(values, where, value));
  return values;
}

/** The values as the text of a stack file; a key that has a prefix already keeps it. */
export function stackText(values: Values): string {
  const config = Object.fromEntries(
    Object.entries(values).map(([key, value]) => [
      key.includes(":") ? key : `${PROJECT}:${key}`,
      value,
    ]),
  );
  return stringify({ encryptionsalt: "v1:AAAA", config });
}

const folder = fs.mkdtempSync(path.join(os.tmpdir(), "stack-"));
afterAll(() => fs.rmSync(folder, { recursive: true }));

/** Writes a stack file and returns its path. */
export function writeStack(text: string, name = "Pulumi.test.yaml"): string {
  const file = path.join(folder, name);
  fs.writeFileSync(file, text);
  return file;
}
