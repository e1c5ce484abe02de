import { createHash } from "node:crypto";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";

import { parse, stringify } from "yaml";

import { HOST } from "../../../config/defaults";
import { readStackFile } from "../../../config/file";
import { SECRET_KEYS } from "../../../config/model";
import { parseStack } from "../../../config/parse";
import { PROJECT } from "../../../config/project";

const ROOT = path.resolve(__dirname, "../../..");
const OURS = [
  "CHANGELOG.md",
  "CONTRIBUTING.md",
  ...["architecture", "gitlab-runner-operations", "quickstart", "security"].map(
    (name) => `docs/${name}.md`,
  ),
];
const read = (file: string) => fs.readFileSync(path.join(ROOT, file), "utf8");

/** Fenced blocks of a language, without the indentation of a list item. */
function blocks(file: string, language: string): string[] {
  const found = [
    ...read(file).matchAll(new RegExp(`^( *)\`\`\`${language}\\n([^]*?)^\\1\`\`\``, "gm")),
  ];
  return found.map(([, indent, text]) =>
    String(text).replaceAll(new RegExp(`^${indent}`, "gm"), ""),
  );
}

/** The block after a marker such as `<!-- stack -->`. */
function marked(file: string, marker: string): string {
  const block = new RegExp(`<!-- ${marker} -->\\s*\`\`\`\\w*\\n([^]*?)\`\`\``).exec(
    read(file),
  )?.[1];
  if (block === undefined) {
    throw new Error(`${file} has no block marked ${marker}`);
  }
  return block;
}

const lines = (text: string) => text.split("\n").filter((line) => line.trim() !== "");

describe("the Proxmox role", () => {
  /** Privileges by path, of the list that is the source of truth. */
  const truth = new Map(
    lines(marked("docs/security.md", "privileges")).map((line) => {
      const [at, privileges] = line.split(" ") as [string, string];
      return [at, privileges.split(",")];
    }),
  );

  test("is what the quickstart's commands make", () => {
    const commands = marked("docs/quickstart.md", "roles");
    const roles = new Map(
      [...commands.matchAll(/^pveum role add (\w+) --privs "(.*)"$/gm)].map(([, role, list]) => [
        role,
        String(list).split(","),
      ]),
    );
    const names: Record<string, string> = {
      "9000": "{template}",
      ci: "{pool}",
      "local-lvm": "{datastore}",
      "ci-snippets": "{snippets}",
      vmbr0: "{bridge}",
    };
    const granted = [...commands.matchAll(/^grant (\S+)\/([^/\s]+) (\w+)$/gm)].map(
      ([, at, name, role]) => [`${at}/${names[String(name)]}`, roles.get(role)],
    );

    expect(granted).toEqual([...truth]);
    expect(roles.size).toBe(truth.size);
  });

  test("is listed without repetition, in order", () => {
    for (const privileges of truth.values()) {
      expect(privileges).toEqual([...new Set(privileges)].sort());
    }
  });
});

describe("stack files in the documents", () => {
  // A key that is one: the documents have a placeholder that nobody can use by mistake.
  const blob = Buffer.concat([
    Buffer.from([0, 0, 0, 11]),
    Buffer.from("ssh-ed25519"),
    Buffer.from([0, 0, 0, 32]),
    createHash("sha256").update("documents").digest(),
  ]);
  const secrets = Object.fromEntries(
    Object.keys(SECRET_KEYS).map((key) => [`${PROJECT}:${key}`, { secure: "v1:x" }]),
  );
  const configOf = (text: string) =>
    (parse(text.replaceAll("AAAA…", blob.toString("base64"))) as { config: object }).config;

  let folder: string;
  beforeEach(() => {
    folder = fs.mkdtempSync(path.join(os.tmpdir(), "documents-"));
  });
  afterEach(() => fs.rmSync(folder, { recursive: true }));

  function check(...parts: string[]) {
    const file = path.join(folder, "Pulumi.ci.yaml");
    const config = Object.assign({}, secrets, ...parts.map(configOf)) as object;
    fs.writeFileSync(file, stringify({ config }));
    const { source, errors } = readStackFile(file);
    expect(errors).toEqual([]);
    return parseStack(source!);
  }

  const first = () => marked("docs/quickstart.md", "stack");

  test("the first one is complete and right", () => {
    const { errors, warnings } = check(first());

    expect([...errors, ...warnings]).toEqual([]);
  });

  const more = ["docs/quickstart.md", "docs/gitlab-runner-operations.md"].flatMap((file) =>
    blocks(file, "yaml").map((text) => ({
      file,
      text,
      about: text.split("\n").slice(1, 3).join(" "),
    })),
  );

  test.each(more)("$file: $about fits into it", ({ text }) => {
    expect(check(first(), text).errors).toEqual([]);
  });

  test("what the quickstart says of the defaults is so", () => {
    const text = read("docs/quickstart.md").replaceAll(/\s+/g, " ");

    expect(text).toContain(
      `a machine with ${HOST.cores} cores, ${HOST.memory / 1024} GiB, disks of ${HOST.disks.root} GB for the ` +
        `system, ${HOST.disks.docker} GB for Docker and ${HOST.disks.cache} GB for caches on \`${HOST.datastore}\``,
    );
    expect(text).toContain(`the tag \`${HOST.template}\``);
  });
});

/** Anchors of a document, as GitLab and GitHub make them of its headings. */
function anchors(file: string): Set<string> {
  return new Set(
    [...read(file).matchAll(/^#+ (.*)$/gm)].map(([, heading]) =>
      String(heading)
        .toLowerCase()
        .replaceAll(/[^\p{L}\p{N}\s_-]/gu, "")
        .replaceAll(" ", "-"),
    ),
  );
}

const links = OURS.flatMap((file) =>
  [...read(file).matchAll(/\]\(([^)\s]+)\)/g)]
    .map(([, target]) => ({ file, target: String(target) }))
    .filter(({ target }) => !/^https?:/.test(target)),
);

test.each(links)("$file: the link $target leads somewhere", ({ file, target }) => {
  const [name, anchor] = target.split("#") as [string, string | undefined];
  const to = name === "" ? file : path.join(path.dirname(file), name);

  expect(fs.existsSync(path.join(ROOT, to))).toBe(true);
  if (anchor !== undefined) {
    expect([...anchors(to)]).toContain(anchor);
  }
});
