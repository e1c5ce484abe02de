/** A file as it will stand on a machine. */
export interface HostFile {
  /** Absolute path on the machine. */
  readonly path: string;
  /** Octal permissions such as `0644`; the owner is always root. */
  readonly mode: string;
  /** Text, ending with a line feed. */
  readonly content: string;
}

/** Folder on the machine that holds what the steps know of themselves. */
export const STATE_DIR = "/etc/gitlab-runners";

/** First line of what this program writes, so that nobody edits it there. */
export const GENERATED = "Written by the gitlab-runners program: edit the stack, not this file.";

/** Makes a file of lines; the last one ends with a line feed too. */
export function textFile(path: string, lines: readonly string[], mode = "0644"): HostFile {
  return { path, mode, content: `${lines.join("\n")}\n` };
}

/** Quotes a value for a shell, whatever is in it. */
export function shellQuote(value: string): string {
  return `'${value.replaceAll("'", `'\\''`)}'`;
}

/**
 * The parameters of a step: `/etc/gitlab-runners/STEP.env`, one `KEY='value'` each, in the order
 * given.
 */
export function envFile(
  step: string,
  values: Readonly<Record<string, string | number | boolean>>,
): HostFile {
  const lines = Object.entries(values).map(([key, value]) => `${key}=${shellQuote(String(value))}`);
  return textFile(`${STATE_DIR}/${step}.env`, [`# ${GENERATED}`, ...lines]);
}
