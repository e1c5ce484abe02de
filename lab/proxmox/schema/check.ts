/** Checks parameters and property strings, with Proxmox VE's words for what is wrong. */

import { badParameters } from "../errors";
import { checkFormat } from "./formats";
import type { Args, Param, Params, Properties, Value } from "./types";

export type Raw = Readonly<Record<string, unknown>>;
type Errors = Record<string, string>;

const TRUE = /^(1|on|yes|true)$/i;
const FALSE = /^(0|off|no|false)$/i;

/**
 * Checks what a client sent and gives it its types.
 *
 * @throws ApiError 400 with every problem by name
 */
export function checkParams<P extends Params>(params: P, raw: Raw): Args<P> {
  const errors: Errors = {};
  const values: Record<string, Value> = {};
  for (const name of Object.keys(raw)) {
    if (!Object.hasOwn(params, name)) {
      errors[name] =
        "property is not defined in schema and the schema does not allow additional properties";
    }
  }
  for (const [name, param] of Object.entries(params)) {
    const value = raw[name];
    if (value === undefined) {
      if (param.optional !== 1) errors[name] = "property is missing and it is not optional";
      continue;
    }
    if (param.requires !== undefined && raw[param.requires] === undefined) {
      errors[param.requires] = `missing property - '${name}' requires this property`;
    }
    const checked = checkValue(param, value, name);
    if (typeof checked === "object" && "error" in checked) errors[name] = checked.error;
    else values[name] = checked;
  }
  if (Object.keys(errors).length > 0) throw badParameters(errors);
  return values as Args<P>;
}

function checkValue(param: Param, value: unknown, name: string): Value | { error: string } {
  if (param.type === "array") {
    const items = Array.isArray(value) ? value : [value];
    return items.map(String);
  }
  if (typeof value === "object") {
    return { error: `type check ('${param.type}') failed` };
  }
  const text = String(value);
  const mistyped = { error: `type check ('${param.type}') failed - got '${text}'` };
  if (param.type === "boolean") {
    if (TRUE.test(text)) return true;
    return FALSE.test(text) ? false : mistyped;
  }
  if (param.type === "integer" || param.type === "number") {
    const shape = param.type === "integer" ? /^[+-]?\d+$/ : /^[+-]?(\d+\.?\d*|\.\d+)$/;
    if (!shape.test(text)) return mistyped;
    const error = checkRange(param, Number(text));
    return error === undefined ? Number(text) : { error };
  }
  const error = checkText(param, text, name);
  return error === undefined ? text : { error };
}

function checkRange(param: Param, value: number): string | undefined {
  if (param.minimum !== undefined && value < param.minimum) {
    return `value must have a minimum value of ${param.minimum}`;
  }
  if (param.maximum !== undefined && value > param.maximum) {
    return `value must have a maximum value of ${param.maximum}`;
  }
  return undefined;
}

function checkText(param: Param, text: string, name: string): string | undefined {
  if (param.maxLength !== undefined && text.length > param.maxLength) {
    return `value may only be ${param.maxLength} characters long`;
  }
  if (param.minLength !== undefined && text.length < param.minLength) {
    return `value must be at least ${param.minLength} characters long`;
  }
  if (param.pattern !== undefined && !expression(param.pattern).test(text)) {
    return "value does not match the regex pattern";
  }
  if (param.enum !== undefined && !param.enum.includes(text)) {
    return `value '${text}' does not have a value in the enumeration '${param.enum.join(", ")}'`;
  }
  if (typeof param.format === "string") {
    const error = checkFormat(param.format, text);
    return error === undefined ? undefined : `invalid format - ${error}`;
  }
  if (param.format !== undefined) {
    const { errors } = readProperties(param.format, text, name);
    const problems = Object.entries(errors).map(([key, problem]) => `${key}: ${problem}`);
    if (problems.length > 0) return `invalid format - format error\n${problems.join("\n")}`;
  }
  return undefined;
}

export type PropertyValues = Record<string, string | number | boolean>;

function readProperties(
  properties: Properties,
  text: string,
  path: string,
): { values: PropertyValues; errors: Errors } {
  const errors: Errors = {};
  const raw: Record<string, string> = {};
  const defaultKey = Object.keys(properties).find((key) => properties[key]?.default_key === 1);
  for (const part of text.split(",")) {
    if (part.trim() === "") continue;
    const [, key, value] = /^([^=]+)=(.*)$/s.exec(part) ?? [];
    let name = key ?? defaultKey;
    let given = value ?? part;
    if (name === undefined || (key === undefined && raw[name] !== undefined)) {
      errors[path] = "value without key, but schema does not define a default key";
      continue;
    }
    const { alias, keyAlias } = properties[name] ?? {};
    if (alias !== undefined) {
      if (keyAlias !== undefined) raw[keyAlias] = name;
      name = alias;
    }
    if (given.startsWith('"') && given.endsWith('"') && given.length > 1) {
      given = given.slice(1, -1);
    }
    if (raw[name] !== undefined)
      errors[`${path}.${name}`] = `duplicate key in comma-separated list property: ${name}`;
    raw[name] = given;
  }
  const values: PropertyValues = {};
  for (const [name, given] of Object.entries(raw)) {
    const property = properties[name];
    if (property === undefined) {
      errors[`${path}.${name}`] =
        "property is not defined in schema and the schema does not allow additional properties";
      continue;
    }
    const checked = checkValue(property, given, `${path}.${name}`);
    if (typeof checked === "object") {
      if ("error" in checked) errors[`${path}.${name}`] = checked.error;
    } else {
      values[name] = checked;
    }
  }
  for (const [name, property] of Object.entries(properties)) {
    if (property.type !== undefined && property.optional !== 1 && raw[name] === undefined) {
      errors[`${path}.${name}`] = "property is missing and it is not optional";
    }
  }
  return { values, errors };
}

/** Reads a property string. @throws ApiError 400 with what is wrong in it, by `path.property` */
export function parseProperties(
  properties: Properties,
  text: string,
  path: string,
): PropertyValues {
  const { values, errors } = readProperties(properties, text, path);
  if (Object.keys(errors).length > 0) throw badParameters(errors);
  return values;
}

/** Writes a property string as Proxmox does: the default property first, the others by name. */
export function printProperties(properties: Properties, values: PropertyValues): string {
  const defaultKey = Object.keys(properties).find((key) => properties[key]?.default_key === 1);
  const print = (value: string | number | boolean) =>
    typeof value === "boolean" ? (value ? "1" : "0") : String(value);
  const first = defaultKey === undefined ? undefined : values[defaultKey];
  const rest = Object.keys(values)
    .filter((key) => key !== defaultKey)
    .sort()
    .map((key) => `${key}=${print(values[key] as string)}`);
  return [...(first === undefined ? [] : [print(first)]), ...rest].join(",");
}

/** A pattern of the schema, which is Perl's: `(?^:…)` is a group, `{,16}` has no lower end. */
function expression(pattern: string): RegExp {
  const own = pattern.replaceAll("(?^:", "(?:").replaceAll("{,", "{0,");
  return new RegExp(`^(?:${own})$`);
}
