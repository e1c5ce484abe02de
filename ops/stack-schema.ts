import { z } from "zod";

import { SECRET_KEYS } from "../config/model";
import { PROJECT } from "../config/project";
import { stackSchema } from "../config/schema";

/** The part of JSON Schema that describes a stack file. */
export interface JsonSchema {
  readonly type?: string | readonly string[];
  readonly description?: string;
  readonly default?: unknown;
  readonly const?: unknown;
  readonly enum?: readonly unknown[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly items?: JsonSchema;
  readonly anyOf?: readonly JsonSchema[];
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly additionalProperties?: boolean | JsonSchema;
  readonly required?: readonly string[];
}

/** What may stand in a stack file, by key without the project's prefix; without the secrets. */
export function keysSchema(): JsonSchema {
  return z.toJSONSchema(stackSchema, { io: "input" }) as JsonSchema;
}

/** JSON Schema of a whole `Pulumi.<stack>.yaml`, for editors. */
export function stackFileSchema(): object {
  const keys = Object.entries(keysSchema().properties ?? {});
  const secrets = Object.entries(SECRET_KEYS).map(([key, what]): [string, object] => [
    key,
    {
      description: `Secret: ${what}. Set it with: pulumi config set --secret ${key}`,
      type: "object",
      properties: { secure: { type: "string" } },
      required: ["secure"],
      additionalProperties: false,
    },
  ]);
  return {
    $schema: "https://json-schema.org/draft/2020-12/schema",
    title: `Stack file of ${PROJECT}`,
    type: "object",
    properties: {
      config: {
        type: "object",
        properties: Object.fromEntries(
          [...keys, ...secrets].map(([key, schema]) => [`${PROJECT}:${key}`, schema]),
        ),
        // Pulumi's own settings are nobody's business here.
        patternProperties: { "^pulumi:": {} },
        additionalProperties: false,
        required: ["proxmox", "gitlab", "profiles", "hosts"].map((key) => `${PROJECT}:${key}`),
      },
    },
    required: ["config"],
  };
}
