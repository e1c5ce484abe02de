/**
 * The parameters of every method, compared with Proxmox VE's own schema.
 *
 * The schema is not ours to copy: the test reads it from PVE_API_SCHEMA, or from
 * ../shared/pve-api/pve9-api-methods.json beside the checkout, and is skipped without it.
 */

import { existsSync, readFileSync } from "node:fs";
import path from "node:path";

import type { Method } from "../../../../lab/proxmox/method";
import { METHODS } from "../../../../lab/proxmox/routes/all";
import { checkFormat } from "../../../../lab/proxmox/schema/formats";
import type { Param, Properties } from "../../../../lab/proxmox/schema/types";
import { INDEXED } from "../../../../lab/proxmox/schema/vm-options";

const ROOT = path.resolve(__dirname, "../../../..");
const FILE =
  process.env.PVE_API_SCHEMA ?? path.join(ROOT, "..", "shared", "pve-api", "pve9-api-methods.json");

interface SchemaMethod {
  readonly parameters: { readonly properties?: Readonly<Record<string, Record<string, unknown>>> };
  readonly permissions: Readonly<Record<string, unknown>>;
}

/** Methods that the schema's extract leaves out; nothing of the program calls them. */
const BEYOND = new Set([
  "POST /nodes/{node}/qemu/{vmid}/status/reset",
  "GET /nodes/{node}/tasks",
  "GET /pools/{poolid}",
]);

/** What a parameter is compared by, besides its format. */
const COMPARED = [
  "type",
  "optional",
  "enum",
  "pattern",
  "minimum",
  "maximum",
  "minLength",
  "maxLength",
  "requires",
  "default_key",
  "alias",
  "keyAlias",
] as const;
const FIGURES = new Set([
  "minimum",
  "maximum",
  "minLength",
  "maxLength",
  "optional",
  "default_key",
]);

/** What can be compared of a parameter, in one shape for both sides. */
function essence(param: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const shown: Record<string, unknown> = {};
  for (const key of COMPARED) {
    const value = param[key];
    if (value === undefined || value === null) continue;
    if (key === "optional" && Number(value) === 0) continue;
    if (key === "enum") shown[key] = [...(value as string[])].sort();
    else shown[key] = FIGURES.has(key) ? Number(value) : value;
  }
  const { format } = param;
  if (typeof format === "string") shown.format = format;
  else if (format !== undefined && format !== null) {
    shown.format = Object.fromEntries(
      Object.entries(format as Properties).map(([name, property]) => [
        name,
        essence(property as Readonly<Record<string, unknown>>),
      ]),
    );
  }
  return shown;
}

/** Parameters by the schema's names: `net0` to `net31` are one, `net[n]`. */
function byName(method: Method): Map<string, Param> {
  const params = new Map<string, Param>();
  for (const [name, param] of Object.entries(method.params)) {
    const [, stem] = /^([a-z]+)\d+$/.exec(name) ?? [];
    const indexed = stem !== undefined && INDEXED[stem] !== undefined && method.verb === "PUT";
    params.set(indexed && method.path.endsWith("/config") ? `${stem}[n]` : name, param);
  }
  return params;
}

const key = (method: Method) => `${method.verb} ${method.path}`;

/** The firewall of the cluster has sets and aliases as a VM's has; the extract shows the VM's. */
const isCounterpart = (method: Method) => /^\/cluster\/firewall\/(ipset|aliases)/.test(method.path);

const present = existsSync(FILE);
const describeSchema = present ? describe : describe.skip;
const schema = (present ? JSON.parse(readFileSync(FILE, "utf8")) : {}) as Readonly<
  Record<string, SchemaMethod>
>;

describeSchema(`Proxmox VE's schema (${present ? "found" : `no ${FILE}`})`, () => {
  const compared = METHODS.filter((method) => !BEYOND.has(key(method)) && !isCounterpart(method));

  test("has every method of the lab, and the lab every method of the extract", () => {
    const ours = new Set(METHODS.map(key));
    expect(compared.map(key).filter((name) => schema[name] === undefined)).toEqual([]);
    expect(Object.keys(schema).filter((name) => !ours.has(name))).toEqual([]);
  });

  test.each(compared.map((method) => [key(method), method] as const))("%s", (name, method) => {
    const entry = schema[name];
    const theirs = entry?.parameters.properties ?? {};
    const ours = byName(method);
    const names = [...ours.keys()];
    expect(names.sort()).toEqual(Object.keys(theirs).sort());
    for (const param of names) {
      expect({ param, ...essence(ours.get(param) as Readonly<Record<string, unknown>>) }).toEqual({
        param,
        ...essence(theirs[param] ?? {}),
      });
    }
    const { description, ...permission } = entry?.permissions ?? {};
    void description;
    expect(method.permission).toEqual(permission);
  });
});

test("every named format has a check", () => {
  const formats = new Set<string>();
  const collect = ({ format }: Param): void => {
    if (typeof format === "string") formats.add(format);
    else if (format !== undefined) Object.values(format).forEach(collect);
  };
  for (const method of METHODS) Object.values(method.params).forEach(collect);
  expect(formats.size).toBeGreaterThan(30);
  for (const format of formats) expect(() => checkFormat(format, "x")).not.toThrow();
});
