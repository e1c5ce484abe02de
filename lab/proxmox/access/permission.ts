/** The permission that a method asks for before it looks at anything else. */

import { ApiError } from "../errors";
import type { Access, Caller } from "./access";
import type { Privilege } from "./privileges";

/** As Proxmox VE's schema has it: `{vmid}` in a path is the parameter of that name. */
export type Check =
  | readonly ["perm", string, readonly Privilege[]]
  | readonly ["perm", string, readonly Privilege[], "any", 1]
  | readonly ["perm", string, readonly Privilege[], "require_param", string]
  | readonly ["and" | "or", ...Check[]];

/** `all`: every user; the method itself looks closer. `world`: nobody has to log in. */
export type Permission = { readonly user: "all" | "world" } | { readonly check: Check };

/** @throws ApiError 403 */
export function requirePermission(
  access: Access,
  caller: Caller,
  permission: Permission,
  params: Readonly<Record<string, unknown>>,
): void {
  if ("check" in permission) apply(access, caller, permission.check, params);
}

function apply(
  access: Access,
  caller: Caller,
  check: Check,
  params: Readonly<Record<string, unknown>>,
): void {
  if (check[0] === "and") {
    for (const part of check.slice(1) as Check[]) apply(access, caller, part, params);
    return;
  }
  if (check[0] === "or") {
    const parts = check.slice(1) as Check[];
    if (!parts.some((part) => passes(access, caller, part, params))) {
      throw new ApiError(403, "Permission check failed");
    }
    return;
  }
  const [, template, privileges, option, argument] = check as readonly [
    "perm",
    string,
    readonly Privilege[],
    string?,
    (string | number)?,
  ];
  if (option === "require_param" && params[String(argument)] === undefined) {
    throw new ApiError(403, "Permission check failed");
  }
  const path = template.replace(/\{(\w+)\}/g, (_, name: string) => String(params[name] ?? ""));
  if (option === "any") access.checkAny(caller, path, privileges);
  else access.check(caller, path, privileges);
}

function passes(...args: Parameters<typeof apply>): boolean {
  try {
    apply(...args);
    return true;
  } catch (error) {
    if (error instanceof ApiError && error.status === 403) return false;
    throw error;
  }
}
