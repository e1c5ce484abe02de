import { readStackFile } from "../config/file";
import type { ConfigIssue } from "../config/issues";
import type { StackConfig } from "../config/model";
import { parseStack } from "../config/parse";

/** What a stack file says, and what is wrong with it. */
export interface CheckedFile {
  readonly file: string;
  /** Only when there are no errors. */
  readonly stack: StackConfig | undefined;
  /** A line each: `FILE:LINE: KEY: what is wrong and what to do`. */
  readonly errors: readonly string[];
  readonly warnings: readonly string[];
}

/** Checks a stack file by the rules of the program, without Pulumi and without any cluster. */
export function checkFile(file: string): CheckedFile {
  const { source, errors, lineOf } = readStackFile(file);
  const parsed = source && parseStack(source);
  const lines = (issues: readonly ConfigIssue[]) =>
    issues
      .map((issue) => ({ ...issue, line: lineOf(issue.path) }))
      .sort(
        (a, b) =>
          (a.line ?? Infinity) - (b.line ?? Infinity) ||
          a.path.localeCompare(b.path) ||
          a.message.localeCompare(b.message),
      )
      .map(({ path, message, line }) =>
        [line === undefined ? file : `${file}:${line}`, path, message].filter(Boolean).join(": "),
      );
  const allErrors = [...errors, ...(parsed?.errors ?? [])];
  return {
    file,
    stack: allErrors.length === 0 ? parsed?.config : undefined,
    errors: lines(allErrors),
    warnings: lines(parsed?.warnings ?? []),
  };
}
