/** Who may do what: tokens, roles and access lists, as Proxmox VE's access control works them out. */

import { createHash, timingSafeEqual } from "node:crypto";
import { readFileSync } from "node:fs";

import type { ProxmoxConfig } from "../config";
import { ApiError, denied } from "../errors";
import { type Privilege, PRIVILEGES } from "./privileges";

/** Whoever sent a request: a user, or one of its tokens (`user@realm!name`). */
export interface Caller {
  readonly id: string;
  /** The user behind it. */
  readonly user: string;
  /** A token with rights of its own, which are no more than its user's. */
  readonly separate: boolean;
}

/** Rights by name; true where they reach what is below the path. */
type Rights = ReadonlyMap<Privilege, boolean>;

interface Entry {
  readonly path: string;
  readonly ugid: string;
  readonly role: string;
  readonly propagate: boolean;
}

interface Token {
  readonly caller: Caller;
  readonly hash: Buffer;
}

/** VMs and storages of a pool, by the pool's name. */
export type PoolMembers = () => readonly { readonly pool: string; readonly path: string }[];

const ROOT = "root@pam";
const hash = (text: string) => createHash("sha256").update(text).digest();

export class Access {
  private readonly tokens: Token[] = [];
  private readonly entries: Entry[] = [];
  private readonly roles: ReadonlyMap<string, readonly Privilege[]>;

  constructor(
    config: Pick<ProxmoxConfig, "roles" | "tokens">,
    private readonly members: PoolMembers,
  ) {
    this.roles = new Map(Object.entries(config.roles));
    for (const { file, privsep, acl } of config.tokens) {
      const text = readFileSync(file, "utf8").trim();
      const [, id, user] = /^((\S+@[\w.-]+)![\w.-]+)=[a-zA-Z0-9-]+$/.exec(text) ?? [];
      if (id === undefined || user === undefined) {
        throw new Error(`${file}: no token such as user@realm!name=uuid`);
      }
      this.tokens.push({ caller: { id, user, separate: privsep }, hash: hash(text) });
      for (const entry of acl) {
        // A right of a token counts only where its user has it as well.
        for (const ugid of privsep ? [user, id] : [user]) this.entries.push({ ...entry, ugid });
      }
    }
  }

  /** @throws ApiError 401 */
  authenticate(authorization: string | undefined): Caller {
    const [, text] = /^PVEAPIToken=(\S+)$/.exec(authorization ?? "") ?? [];
    if (text === undefined) throw new ApiError(401, "No ticket");
    const id = text.split("=")[0] ?? "";
    const token = this.tokens.find(({ caller }) => caller.id === id);
    if (token === undefined) {
      const [user = "", name = ""] = id.split("!");
      const known = this.tokens.some(({ caller }) => caller.user === user);
      throw new ApiError(
        401,
        known ? `no such token '${name}' for user '${user}'` : `no such user ('${user}')`,
      );
    }
    if (!timingSafeEqual(token.hash, hash(text))) throw new ApiError(401, "invalid token value!");
    return token.caller;
  }

  /** The rights that a caller has on a path. */
  rights(caller: Caller, path: string): Rights {
    if (caller.user === ROOT) return new Map(PRIVILEGES.map((privilege) => [privilege, true]));
    const user = this.ownRights(caller.user, path);
    if (!caller.separate) return user;
    const token = this.ownRights(caller.id, path);
    return new Map([...token].filter(([name]) => user.has(name)));
  }

  private ownRights(ugid: string, path: string): Rights {
    const roles = this.rolesOn(ugid, path);
    if (!roles.has("NoAccess")) {
      for (const { pool, path: member } of this.members()) {
        if (member !== path) continue;
        for (const [role, propagate] of this.rolesOn(ugid, `/pool/${pool}`)) {
          if (!roles.has(role)) roles.set(role, propagate);
        }
      }
    }
    const rights = new Map<Privilege, boolean>();
    for (const [role, propagate] of roles) {
      for (const privilege of this.roles.get(role) ?? []) {
        rights.set(privilege, rights.get(privilege) === true || propagate);
      }
    }
    return rights;
  }

  /** Entries on a path take the place of those above it. */
  private rolesOn(ugid: string, path: string): Map<string, boolean> {
    const parts = path.split("/").filter(Boolean);
    let roles = new Map<string, boolean>();
    for (let depth = 0; depth <= parts.length; depth++) {
      const level = `/${parts.slice(0, depth).join("/")}`;
      const here = this.entries.filter(
        (entry) =>
          entry.ugid === ugid &&
          entry.path === level &&
          (entry.propagate || depth === parts.length),
      );
      if (here.length > 0) roles = new Map(here.map(({ role, propagate }) => [role, propagate]));
    }
    return roles;
  }

  has(caller: Caller, path: string, ...privileges: readonly Privilege[]): boolean {
    const rights = this.rights(caller, path);
    return privileges.every((privilege) => rights.has(privilege));
  }

  /** @throws ApiError 403 naming the first right that is missing */
  check(caller: Caller, path: string, privileges: readonly Privilege[]): void {
    const rights = this.rights(caller, path);
    for (const privilege of privileges) {
      if (!rights.has(privilege)) throw denied(path, [privilege]);
    }
  }

  /** @throws ApiError 403 when the caller has none of the rights */
  checkAny(caller: Caller, path: string, privileges: readonly Privilege[]): void {
    const rights = this.rights(caller, path);
    if (!privileges.some((privilege) => rights.has(privilege))) throw denied(path, privileges);
  }

  /** Every path on which a caller has rights, and the rights. */
  allRights(caller: Caller): Record<string, Record<string, 0 | 1>> {
    const standard = [
      "/",
      "/access",
      "/access/groups",
      "/nodes",
      "/pool",
      "/sdn",
      "/storage",
      "/vms",
    ];
    const paths = new Set([
      ...standard,
      ...this.entries.map(({ path }) => path),
      ...this.members().map(({ path }) => path),
    ]);
    const all: Record<string, Record<string, 0 | 1>> = {};
    for (const path of [...paths].sort()) {
      const rights = [...this.rights(caller, path)];
      if (rights.length > 0) {
        all[path] = Object.fromEntries(
          rights.map(([name, propagate]) => [name, propagate ? 1 : 0] as const),
        );
      }
    }
    return all;
  }

  isRoot(caller: Caller): boolean {
    return caller.id === ROOT;
  }

  /** The caller that a user or token would be. */
  callerOf(id: string): Caller {
    const token = this.tokens.find(({ caller }) => caller.id === id);
    return token?.caller ?? { id, user: id.split("!")[0] as string, separate: id.includes("!") };
  }
}
