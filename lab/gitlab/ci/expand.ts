const REFERENCE = /\$\$|\$([A-Za-z_]\w*)|\$\{([A-Za-z_]\w*)\}/g;

/** Replaces `$NAME` and `${NAME}`; an unknown name becomes nothing, `$$` stays a dollar sign. */
export function expand(text: string, variables: ReadonlyMap<string, string>): string {
  return text.replace(REFERENCE, (all, bare?: string, braced?: string) =>
    all === "$$" ? "$" : (variables.get(bare ?? braced ?? "") ?? ""),
  );
}

interface Expandable {
  readonly key: string;
  readonly value: string;
  readonly raw: boolean;
}

/** Values by name, later ones winning, with references among them resolved; cycles stay as text. */
export function expandAll(variables: readonly Expandable[]): Map<string, string> {
  const last = new Map(variables.map((variable) => [variable.key, variable]));
  const done = new Map<string, string>();
  const resolve = (key: string, path: readonly string[]): string | undefined => {
    const variable = last.get(key);
    if (variable === undefined) return undefined;
    const known = done.get(key);
    if (known !== undefined) return known;
    if (variable.raw || path.includes(key)) return variable.value;
    const value = variable.value.replace(REFERENCE, (all, bare?: string, braced?: string) => {
      if (all === "$$") return "$";
      return resolve(bare ?? braced ?? "", [...path, key]) ?? "";
    });
    if (path.length === 0) done.set(key, value);
    return value;
  };
  for (const key of last.keys()) resolve(key, []);
  for (const [key, variable] of last) if (variable.raw) done.set(key, variable.value);
  return done;
}
