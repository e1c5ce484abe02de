/** Methods of the API: what they take, whom they let, what they do. */

import type { Caller } from "./access/access";
import type { Permission } from "./access/permission";
import type { Args, Params } from "./schema/types";
import type { World } from "./world";

export type Verb = "GET" | "POST" | "PUT" | "DELETE";

/** What a method works with besides its parameters. */
export interface Call {
  readonly world: World;
  readonly caller: Caller;
  /** The file of a multipart form, saved under a name of its own. */
  readonly upload: { readonly file: string; readonly name: string } | undefined;
}

export interface Method {
  readonly verb: Verb;
  /** As in the schema: `/nodes/{node}/qemu`. */
  readonly path: string;
  readonly params: Params;
  readonly permission: Permission;
  readonly run: (args: never, call: Call) => unknown;
}

export interface MethodInput<P extends Params> {
  readonly params?: P;
  readonly permission: Permission;
  /** @returns what the answer's `data` is; undefined stands for null */
  readonly run: (args: Args<P>, call: Call) => unknown;
}

/** Declares a method. */
export function method<const P extends Params>(
  verb: Verb,
  path: string,
  input: MethodInput<P>,
): Method {
  return {
    verb,
    path,
    params: input.params ?? {},
    permission: input.permission,
    run: input.run,
  };
}

export const everyUser: Permission = { user: "all" };
