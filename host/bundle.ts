import { HostFile } from "./files";

/** The steps that set a machine up, in the order in which they run. */
export const STEPS = ["docker", "runner", "config", "gate"] as const;

export type Step = (typeof STEPS)[number];

/** What a bundle's text says. */
export interface Bundle {
  readonly step: Step;
  readonly files: readonly HostFile[];
}

const FILE_HEADER = /^==> (\/\S+) (0[0-7]{3})$/;
const FIRST_LINE = /^# bundle (\S+) v1$/;

/**
 * Puts the files of a step into one text that a preview can show line by line:
 * `# bundle STEP v1`, then for each file `==> /path 0644` and its lines.
 *
 * @throws Error when a path or a mode is malformed, a path comes twice, a file does not end with a
 * line feed, or a line of it could be taken for a header.
 */
export function renderBundle(step: Step, files: readonly HostFile[]): string {
  const seen = new Set<string>();
  const parts = [`# bundle ${step} v1\n`];
  for (const file of files) {
    const header = `==> ${file.path} ${file.mode}`;
    if (!FILE_HEADER.test(header) || /(^|\/)\.\.?(\/|$)/.test(file.path)) {
      throw new Error(`bundle ${step}: "${header}" is not a path and a mode`);
    }
    if (seen.has(file.path)) {
      throw new Error(`bundle ${step}: ${file.path} comes twice`);
    }
    seen.add(file.path);
    if (!file.content.endsWith("\n")) {
      throw new Error(`bundle ${step}: ${file.path} does not end with a line feed`);
    }
    const odd = file.content.split("\n").find((line) => line.startsWith("==> "));
    if (odd !== undefined) {
      throw new Error(`bundle ${step}: ${file.path} holds a line that starts a file: "${odd}"`);
    }
    if (/[\0\r]/.test(file.content)) {
      throw new Error(`bundle ${step}: ${file.path} holds a carriage return or a NUL`);
    }
    parts.push(`${header}\n${file.content}`);
  }
  return parts.join("");
}

/**
 * Reads a bundle back.
 *
 * @throws Error when the text is not a bundle.
 */
export function parseBundle(text: string): Bundle {
  const [first = "", ...lines] = text.split("\n");
  const step = STEPS.find((name) => name === FIRST_LINE.exec(first)?.[1]);
  if (step === undefined || lines.pop() !== "") {
    throw new Error(`not a bundle: it starts with "${first}"`);
  }
  const files: { path: string; mode: string; lines: string[] }[] = [];
  for (const line of lines) {
    const header = FILE_HEADER.exec(line);
    if (header) {
      files.push({ path: header[1]!, mode: header[2]!, lines: [] });
    } else if (files.length === 0) {
      throw new Error(`bundle ${step}: "${line}" stands before the first file`);
    } else {
      files.at(-1)!.lines.push(line);
    }
  }
  return {
    step,
    files: files.map(({ path, mode, lines }) => ({
      path,
      mode,
      content: lines.map((line) => `${line}\n`).join(""),
    })),
  };
}
