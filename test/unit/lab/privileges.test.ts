/** What people are told to grant is what the lab's tokens carry, and what the lab enforces. */

import { readFileSync } from "node:fs";
import path from "node:path";

import { proxmoxConfig, TEMPLATES } from "../../../lab/proxmox/instance";

const DOCUMENT = path.join(__dirname, "..", "..", "..", "docs", "security.md");

/** Path to sorted privileges, out of the block that is marked in the document. */
function documented(): Map<string, string[]> {
  const [, block = ""] =
    /<!-- privileges -->\s*```\w*\n([^`]*)```/.exec(readFileSync(DOCUMENT, "utf8")) ?? [];
  return new Map(
    block
      .trim()
      .split("\n")
      .map((line) => line.split(" ") as [string, string])
      .map(([where, privileges]) => [where, privileges.split(",").sort()]),
  );
}

/** The program's token in the lab: path to sorted privileges. */
function granted(): Map<string, string[]> {
  const { tokens = [], roles = {} } = proxmoxConfig("tcg");
  const rights = new Map<string, Set<string>>();
  for (const { path: where, role } of tokens[0]?.acl ?? []) {
    const privileges = rights.get(where) ?? new Set<string>();
    for (const privilege of roles[role] ?? []) privileges.add(privilege);
    rights.set(where, privileges);
  }
  return new Map([...rights].map(([where, privileges]) => [where, [...privileges].sort()]));
}

test("the lab's Proxmox token carries the documented privileges and nothing else", () => {
  const wanted = documented();
  const pool = wanted.get("/pool/{pool}") ?? [];
  const expected = new Map<string, readonly string[]>([
    ...Object.values(TEMPLATES).map(
      ({ vmid }) => [`/vms/${vmid}`, wanted.get("/vms/{template}") ?? []] as const,
    ),
    // The lab's templates are on one node's local storage, its hosts on two nodes.
    ["/pool/ci", [...pool, "VM.Migrate"].sort()],
    ["/storage/local-lvm", wanted.get("/storage/{datastore}") ?? []],
    ["/storage/local", wanted.get("/storage/{snippets}") ?? []],
    ["/sdn/zones/localnetwork/vmbr0", wanted.get("/sdn/zones/localnetwork/{bridge}") ?? []],
  ]);
  expect(wanted.size).toBe(5);
  expect(granted()).toEqual(expected);
});
