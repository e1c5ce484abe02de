import { SECRET_KEYS } from "../config/model";
import { PROJECT } from "../config/project";
import { JsonSchema, keysSchema } from "./stack-schema";

/** Longest default that stands in a table; others stand below it. */
const MAX_DEFAULT = 60;

const INTRODUCTION = `# Configuration

<!-- Written by npm run schema out of config/schema.ts and config/defaults.ts: edit those. -->

Everything that a stack file (\`Pulumi.<stack>.yaml\`) may say. Each key has the prefix \`${PROJECT}:\`. Two complete
examples are [Pulumi.dev.yaml](../Pulumi.dev.yaml) and [Pulumi.prod.yaml](../Pulumi.prod.yaml).

\`npm run config:check -- FILE…\` names everything that is wrong with stack files, without any cluster; a preview says the
same. \`npm run render -- FILE --out DIR\` writes what would land on each host. Editors that know JSON Schema use
[stack.schema.json](stack.schema.json):

\`\`\`yaml
# yaml-language-server: $schema=docs/stack.schema.json
config:
\`\`\`

## Secrets

Set by \`pulumi config set --secret KEY\`, and never in plain text:

`;

/** docs/configuration.md: every key with its type, its default and its meaning. */
export function configurationPage(): string {
  const rows = Object.entries(SECRET_KEYS).map(([key, what]) => [`\`${key}\``, sentence(what)]);
  const { properties = {} } = keysSchema();
  const sections = Object.entries(properties).flatMap(([key, schema]) => section(key, schema));
  return [
    INTRODUCTION + table(["Key", "What it is"], rows),
    ...sections.map(({ title, body }) => `## ${title}\n\n${body}`),
  ].join("\n\n");
}

interface Section {
  readonly title: string;
  readonly body: string;
}

/** A map's section, and those of the maps in it. */
function section(path: string, schema: JsonSchema): Section[] {
  // A host's keys are told once.
  if (path === "defaults") {
    return [{ title: code(path), body: `${schema.description} Takes the keys of a host, below.` }];
  }
  const map = mapOf(schema);
  if (map === undefined) {
    return [{ title: code(path), body: `${schema.description} (${typeOf(schema)})` }];
  }
  const name = map === schema ? path : path + (schema.items === map ? "[]" : ".NAME");
  const keys = Object.entries(map.properties ?? {});
  const long = keys.filter(([, inner]) => defaultOf(inner).length > MAX_DEFAULT);
  const rows = keys.map(([key, inner]) => [
    code(key),
    typeOf(inner),
    long.some(([other]) => other === key) ? "see below" : defaultOf(inner),
    inner.description ?? "",
  ]);
  const body = [
    schema.description ?? "",
    table(["Key", "Type", "Default", "Meaning"], rows),
    ...long.map(([key, inner]) => `Default of \`${key}\`: ${defaultOf(inner)}`),
  ].join("\n\n");
  return [
    { title: code(name), body },
    ...keys
      .filter(([, inner]) => mapOf(inner) !== undefined)
      .flatMap(([key, inner]) => section(`${name}.${key}`, inner)),
  ];
}

/** The map with known keys that a value is, or that its named or listed parts are. */
function mapOf(schema: JsonSchema): JsonSchema | undefined {
  if (schema.properties !== undefined) {
    return schema;
  }
  const { additionalProperties, items } = schema;
  const inner = typeof additionalProperties === "object" ? additionalProperties : items;
  return inner?.properties === undefined ? undefined : inner;
}

function typeOf(schema: JsonSchema): string {
  const { type, minimum, maximum, items, additionalProperties } = schema;
  if (schema.anyOf !== undefined) {
    return schema.anyOf.map((one) => typeOf(one)).join(", or ");
  }
  if (schema.const !== undefined) {
    return code(String(schema.const));
  }
  if (schema.enum !== undefined) {
    return schema.enum.map((value) => code(String(value))).join(", ");
  }
  if (Array.isArray(type)) {
    return type.map((one: string) => typeOf({ ...schema, type: one })).join(", or ");
  }
  switch (type) {
    case "integer":
      return maximum === Number.MAX_SAFE_INTEGER ? "number" : `${minimum} to ${maximum}`;
    case "boolean":
      return "true or false";
    case "string":
      return "text";
    case "null":
      return "`null`";
    case "array":
      return `list: ${typeOf(items ?? {})}`;
    case "object":
      return typeof additionalProperties === "object"
        ? `map by name: ${typeOf(additionalProperties)}`
        : "map";
    default:
      throw new Error(`a key of type ${type} has no words yet`);
  }
}

function defaultOf({ default: value }: JsonSchema): string {
  if (value === undefined) {
    return "";
  }
  if (Array.isArray(value) && value.length > 0 && value.every((one) => typeof one !== "object")) {
    return value.map((one) => code(String(one))).join(", ");
  }
  return code(typeof value === "string" ? value : JSON.stringify(value));
}

const code = (text: string) => `\`${text}\``;

const sentence = (text: string) => `${text[0]?.toUpperCase()}${text.slice(1)}.`;

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
  return [line(head), line(head.map(() => "---")), ...rows.map(line)].join("\n");
}
