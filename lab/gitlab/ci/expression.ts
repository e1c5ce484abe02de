/**
 * Expressions of `rules:if`: variables, strings, null, regular expressions, `==`, `!=`, `=~`, `!~`,
 * `!`, `&&`, `||` and parentheses.
 */

type Value = string | RegExp | null | boolean;

type Token =
  | { readonly type: "value"; readonly read: (variables: ReadonlyMap<string, string>) => Value }
  | { readonly type: "operator"; readonly text: string };

const LEXEMES: readonly [RegExp, (match: RegExpExecArray) => Token][] = [
  [/^\$(\w+)/, ([, name = ""]) => ({ type: "value", read: (all) => all.get(name) ?? null })],
  [/^"([^"]*)"/, ([, text = ""]) => ({ type: "value", read: () => text })],
  [/^'([^']*)'/, ([, text = ""]) => ({ type: "value", read: () => text })],
  [/^null\b/, () => ({ type: "value", read: () => null })],
  [
    /^\/((?:\\.|[^/\\])+)\/([ismU]*)/,
    ([, source = "", flags = ""]) => {
      const pattern = toRegExp(source, flags);
      return { type: "value", read: () => pattern };
    },
  ],
  [/^(==|!=|=~|!~|&&|\|\||!|\(|\))/, ([text]) => ({ type: "operator", text })],
];

function toRegExp(source: string, flags: string): RegExp {
  // RE2's names for the start and the end of the text.
  const pattern = source.replace(/\\A/g, "^").replace(/\\[zZ]/g, "$");
  return new RegExp(pattern, flags.replace(/U/g, ""));
}

function tokens(text: string): Token[] {
  const out: Token[] = [];
  let rest = text.trim();
  while (rest !== "") {
    let found = false;
    for (const [pattern, make] of LEXEMES) {
      const match = pattern.exec(rest);
      if (match === null) continue;
      out.push(make(match));
      rest = rest.slice(match[0].length).trimStart();
      found = true;
      break;
    }
    if (!found) throw new SyntaxError(`unexpected text at ${JSON.stringify(rest)}`);
  }
  return out;
}

export type Expression = (variables: ReadonlyMap<string, string>) => boolean;

/**
 * Compiles an expression.
 *
 * @throws SyntaxError when it is not one.
 */
export function parseExpression(text: string): Expression {
  const list = tokens(text);
  let position = 0;
  const accept = (...operators: string[]): string | undefined => {
    const token = list[position];
    if (token?.type !== "operator" || !operators.includes(token.text)) return undefined;
    position += 1;
    return token.text;
  };
  type Node = (variables: ReadonlyMap<string, string>) => Value;

  const operand = (): Node => {
    if (accept("!") !== undefined) {
      const inner = operand();
      return (all) => !truthy(inner(all));
    }
    if (accept("(") !== undefined) {
      const inner = either();
      if (accept(")") === undefined) throw new SyntaxError("a parenthesis is not closed");
      return inner;
    }
    const token = list[position];
    if (token?.type !== "value") throw new SyntaxError("a value is missing");
    position += 1;
    return token.read;
  };
  const comparison = (): Node => {
    const left = operand();
    const operator = accept("==", "!=", "=~", "!~");
    if (operator === undefined) return left;
    const right = operand();
    switch (operator) {
      case "==":
        return (all) => left(all) === right(all);
      case "!=":
        return (all) => left(all) !== right(all);
      default:
        return (all) => matches(left(all), right(all)) === (operator === "=~");
    }
  };
  const both = (): Node => {
    let left = comparison();
    while (accept("&&") !== undefined) {
      const [first, second] = [left, comparison()];
      left = (all) => truthy(first(all)) && truthy(second(all));
    }
    return left;
  };
  const either = (): Node => {
    let left = both();
    while (accept("||") !== undefined) {
      const [first, second] = [left, both()];
      left = (all) => truthy(first(all)) || truthy(second(all));
    }
    return left;
  };

  const root = either();
  if (position !== list.length) throw new SyntaxError("an operator is missing");
  return (all) => truthy(root(all));
}

/** An unset and an empty variable are false. */
function truthy(value: Value): boolean {
  return value !== null && value !== "" && value !== false;
}

/** The pattern may stand in a variable as `/…/`. */
function matches(text: Value, pattern: Value): boolean {
  if (typeof text !== "string") return false;
  if (pattern instanceof RegExp) return pattern.test(text);
  const written = typeof pattern === "string" ? /^\/(.+)\/([ismU]*)$/.exec(pattern) : null;
  if (written === null) return false;
  return toRegExp(written[1] ?? "", written[2] ?? "").test(text);
}
