/** One thing that is wrong with a stack file. */
export interface ConfigIssue {
  /** Where, e.g. `hosts.ci-01.address`. */
  readonly path: string;
  /** What is wrong and what to do, in one or two sentences. */
  readonly message: string;
}

/** Prints issues one a line, sorted by path. */
export function formatIssues(issues: readonly ConfigIssue[]): string {
  return [...issues]
    .sort((a, b) => a.path.localeCompare(b.path) || a.message.localeCompare(b.message))
    .map(({ path, message }) => `${path}: ${message}`)
    .join("\n");
}

/** Shows a value in a message: short, and never one that looks like a secret. */
export function show(value: unknown): string {
  if (value === undefined) {
    return "nothing";
  }
  const text = JSON.stringify(value) ?? String(value);
  if (SECRET_LIKE.test(text)) {
    return "(hidden: it looks like a secret)";
  }
  return text.length > 60 ? `${text.slice(0, 57)}…` : text;
}

/** What must never stand in plain text: GitLab's and Proxmox' tokens, private keys, passwords in URLs. */
export const SECRET_LIKE =
  /gl(rt|pat|ptt|cbt|dt|soat|ft)-[\w.-]{8,}|GR1348941[\w-]{5,}|PVEAPIToken=|![\w.-]+=[0-9a-f]{8}-[0-9a-f]{4}-|-----BEGIN [A-Z ]*PRIVATE KEY-----|:\/\/[^\s/@:]*:[^\s/@]+@/;

/** The nearest of the known names, when one is near enough to be meant. */
export function nearest(name: string, known: readonly string[]): string | undefined {
  let best: string | undefined;
  let least = Math.max(2, Math.floor(name.length / 3)) + 1;
  for (const candidate of known) {
    const d = distance(name.toLowerCase(), candidate.toLowerCase());
    if (d < least) {
      least = d;
      best = candidate;
    }
  }
  return best;
}

function distance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const current = [i];
    for (let j = 1; j <= b.length; j++) {
      current.push(
        Math.min(
          (previous[j] as number) + 1,
          (current[j - 1] as number) + 1,
          (previous[j - 1] as number) + (a[i - 1] === b[j - 1] ? 0 : 1),
        ),
      );
    }
    previous = current;
  }
  return previous[b.length] as number;
}
