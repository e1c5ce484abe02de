/** Parameters as Proxmox VE's schema has them: the same words, so that a test can compare them. */

export type ParamType = "string" | "integer" | "number" | "boolean" | "array";

/** A property of a property string such as `virtio,bridge=vmbr0`. */
export interface Property extends Param {
  readonly default_key?: 1;
  /** This name stands for another one. */
  readonly alias?: string;
  /** With `alias`: the name itself is the value of this property. */
  readonly keyAlias?: string;
}
export type Properties = Readonly<Record<string, Property>>;

export interface Param {
  /** Absent in an alias only. */
  readonly type?: ParamType;
  readonly optional?: 1;
  readonly enum?: readonly string[];
  /** Regular expression that the whole value has to match. */
  readonly pattern?: string;
  /** Name of a check in `formats.ts`, or the properties of a property string. */
  readonly format?: string | Properties;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minLength?: number;
  readonly maxLength?: number;
  /** Another parameter that has to be there too. */
  readonly requires?: string;
}
export type Params = Readonly<Record<string, Param>>;

type ValueOf<P extends Param> = P["type"] extends "integer" | "number"
  ? number
  : P["type"] extends "boolean"
    ? boolean
    : P["type"] extends "array"
      ? readonly string[]
      : string;

export type Value = string | number | boolean | readonly string[];

/** Checked parameters by name. */
export type Args<P extends Params> = {
  readonly [K in keyof P as P[K] extends { optional: 1 } ? never : K]: ValueOf<P[K]>;
} & {
  readonly [K in keyof P as P[K] extends { optional: 1 } ? K : never]?: ValueOf<P[K]>;
};

type Rest = Omit<Param, "type" | "optional">;

export const text = <const R extends Rest>(rest?: R) => ({ type: "string", ...rest }) as const;
export const integer = <const R extends Rest>(rest?: R) => ({ type: "integer", ...rest }) as const;
export const number = <const R extends Rest>(rest?: R) => ({ type: "number", ...rest }) as const;
export const flag = <const R extends Rest>(rest?: R) => ({ type: "boolean", ...rest }) as const;
export const list = <const R extends Rest>(rest?: R) => ({ type: "array", ...rest }) as const;
export const choice = <const E extends readonly string[]>(...values: E) =>
  ({ type: "string", enum: values }) as const;

/** The same parameter, which may be left out. */
export const optional = <const P extends Param>(param: P) => ({ ...param, optional: 1 }) as const;

/** Parameters of which each may be left out. */
export function allOptional<P extends Params>(params: P) {
  const entries = Object.entries(params).map(([name, param]) => [name, optional(param)]);
  return Object.fromEntries(entries) as { [K in keyof P]: P[K] & { optional: 1 } };
}
