/** access: who one is, and what one may. */

import { ApiError } from "../errors";
import { everyUser, method } from "../method";
import { flag, optional, text } from "../schema/types";

const USER_ID =
  "(?^:^(?^:[^\\s:/]+)\\@(?^:[A-Za-z][A-Za-z0-9\\.\\-_]+)(?:!(?^:[A-Za-z][A-Za-z0-9\\.\\-_]+))?$)";

export const accessMethods = [
  method("POST", "/access/ticket", {
    params: {
      "new-format": optional(flag()),
      otp: optional(text()),
      password: text(),
      path: optional(text({ maxLength: 64, requires: "privs" })),
      privs: optional(text({ format: "pve-priv-list", maxLength: 64, requires: "path" })),
      realm: optional(text({ format: "pve-realm", maxLength: 32 })),
      "tfa-challenge": optional(text()),
      username: text({ maxLength: 64 }),
    },
    permission: { user: "world" },
    // The lab has tokens and no passwords: every password is a wrong one.
    run: () => {
      throw new ApiError(401, "authentication failure");
    },
  }),

  method("GET", "/access/permissions", {
    params: { path: optional(text()), userid: optional(text({ pattern: USER_ID })) },
    permission: everyUser,
    run: ({ path, userid }, { world, caller }) => {
      const { access } = world;
      const own = userid === undefined || userid === caller.id;
      if (!own && userid.split("!")[0] !== caller.id) {
        access.check(caller, "/access", ["Sys.Audit"]);
      }
      const whom = own ? caller : access.callerOf(userid);
      if (path === undefined) return access.allRights(whom);
      const rights = [...access.rights(whom, path)];
      return {
        [path]: Object.fromEntries(rights.map(([name, reaches]) => [name, reaches ? 1 : 0])),
      };
    },
  }),
];
