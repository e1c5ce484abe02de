const UNITS: Readonly<Record<string, number>> = {
  s: 1,
  sec: 1,
  second: 1,
  m: 60,
  min: 60,
  minute: 60,
  h: 3600,
  hr: 3600,
  hour: 3600,
  d: 86400,
  day: 86400,
  w: 604800,
  wk: 604800,
  week: 604800,
  mo: 2592000,
  mth: 2592000,
  month: 2592000,
  y: 31557600,
  yr: 31557600,
  year: 31557600,
};

/**
 * Seconds of a duration as people write it: `3600`, `1h 30m`, `2 weeks and 1 day`.
 *
 * @returns undefined when it is not a duration.
 */
export function parseDuration(text: string): number | undefined {
  const words = text.trim().toLowerCase();
  if (/^\d+$/.test(words)) return Number(words);
  let rest = words;
  let seconds = 0;
  while (rest !== "") {
    const part = /^(\d+(?:\.\d+)?)\s*([a-z]+)(?:\s+and\b|\s*,)?\s*/.exec(rest);
    if (part === null) return undefined;
    const [all, amount, name = ""] = part;
    const unit = UNITS[name] ?? UNITS[name.replace(/s$/, "")];
    if (unit === undefined) return undefined;
    seconds += Number(amount) * unit;
    rest = rest.slice(all.length);
  }
  return words === "" ? undefined : Math.round(seconds);
}
