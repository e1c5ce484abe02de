/** The firewall file of a VM or of the cluster, `ID.fw`, as Proxmox VE writes it. */

export interface Rule {
  type: string;
  action: string;
  enable: number;
  /** macro, source, dest, proto, dport, sport, iface, log, icmp-type, comment. */
  [property: string]: string | number;
}

export interface IpsetEntry {
  cidr: string;
  nomatch?: boolean;
  comment?: string;
}

export interface Ipset {
  comment?: string;
  entries: IpsetEntry[];
}

export interface Alias {
  name: string;
  cidr: string;
  comment?: string;
}

export interface Firewall {
  readonly options: Map<string, string>;
  readonly rules: Rule[];
  readonly ipsets: Map<string, Ipset>;
  readonly aliases: Map<string, Alias>;
  /** Of the cluster only. */
  readonly groups: Map<string, { comment?: string; rules: Rule[] }>;
}

export function emptyFirewall(): Firewall {
  return {
    options: new Map(),
    rules: [],
    ipsets: new Map(),
    aliases: new Map(),
    groups: new Map(),
  };
}

/** Property of a rule and the option it is written as. */
const RULE_OPTIONS: readonly (readonly [string, string])[] = [
  ["iface", "-i"],
  ["source", "-source"],
  ["dest", "-dest"],
  ["proto", "-p"],
  ["icmp-type", "-icmp-type"],
  ["sport", "-sport"],
  ["dport", "-dport"],
  ["log", "-log"],
];

const note = (comment: string | undefined) => (comment === undefined ? "" : ` # ${comment}`);
const oneLine = (comment: string) => comment.replaceAll(/\s*\n\s*/g, " ").trim();

function printRule(rule: Rule): string {
  const { type, action, enable, macro, comment } = rule;
  const first = type === "group" ? "GROUP" : type.toUpperCase();
  const what = macro === undefined ? action : `${macro}(${action})`;
  const options = RULE_OPTIONS.flatMap(([name, option]) =>
    rule[name] === undefined ? [] : [`${option} ${rule[name]}`],
  );
  const text = [first, what, ...options].join(" ");
  return `${enable === 0 ? "|" : ""}${text}${note(comment === undefined ? undefined : String(comment))}`;
}

function parseRule(line: string): Rule | undefined {
  const [, off, body = "", comment] = /^(\|?)(.*?)(?:\s+#\s*(.*))?$/.exec(line) ?? [];
  const [type, what, ...rest] = body.trim().split(/\s+/);
  if (type === undefined || what === undefined) return undefined;
  const [, macro, inner] = /^(\w+)\((\w+)\)$/.exec(what) ?? [];
  const rule: Rule = {
    type: type.toLowerCase(),
    action: inner ?? what,
    enable: off === "|" ? 0 : 1,
  };
  if (macro !== undefined) rule.macro = macro;
  for (let index = 0; index + 1 < rest.length; index += 2) {
    const found = RULE_OPTIONS.find(([, option]) => option === rest[index]);
    if (found !== undefined) rule[found[0]] = rest[index + 1] as string;
  }
  if (comment !== undefined) rule.comment = comment;
  return rule;
}

export function printFirewall(firewall: Firewall): string {
  const lines: string[] = [];
  const section = (header: string, body: readonly string[]) => {
    if (body.length > 0 || /^\[(IPSET|group)/.test(header)) lines.push(header, "", ...body, "");
  };
  section(
    "[OPTIONS]",
    [...firewall.options].sort().map(([key, value]) => `${key}: ${value}`),
  );
  section(
    "[ALIASES]",
    [...firewall.aliases.values()].map(
      ({ name, cidr, comment }) => `${name} ${cidr}${note(comment)}`,
    ),
  );
  for (const [name, { comment, entries }] of firewall.ipsets) {
    section(
      `[IPSET ${name}]${note(comment)}`,
      entries.map(
        (entry) => `${entry.nomatch === true ? "!" : ""}${entry.cidr}${note(entry.comment)}`,
      ),
    );
  }
  section("[RULES]", firewall.rules.map(printRule));
  for (const [name, { comment, rules }] of firewall.groups) {
    section(`[group ${name}]${note(comment)}`, rules.map(printRule));
  }
  return lines.join("\n");
}

export function parseFirewall(text: string): Firewall {
  const firewall = emptyFirewall();
  let take: (line: string) => void = () => undefined;
  const split = (line: string): [string, string?] => {
    const [body = "", comment] = line.split(/\s+#\s*(.*)/s);
    return [body.trim(), comment];
  };
  for (const raw of text.split("\n")) {
    const line = raw.trim();
    const [, kind, name = "", comment] = /^\[(\w+)\s*([^\]]*)\](?:\s*#\s*(.*))?$/.exec(line) ?? [];
    if (kind === "OPTIONS") {
      take = (option) => {
        const [, key, value] = /^(\w+):\s*(.*)$/.exec(option) ?? [];
        if (key !== undefined) firewall.options.set(key, value ?? "");
      };
    } else if (kind === "ALIASES") {
      take = (alias) => {
        const [body, said] = split(alias);
        const [label = "", cidr = ""] = body.split(/\s+/);
        firewall.aliases.set(label.toLowerCase(), { name: label, cidr, comment: said });
      };
    } else if (kind === "IPSET") {
      const ipset: Ipset = { comment, entries: [] };
      firewall.ipsets.set(name, ipset);
      take = (entry) => {
        const [body, said] = split(entry);
        const nomatch = body.startsWith("!");
        ipset.entries.push({ cidr: nomatch ? body.slice(1) : body, nomatch, comment: said });
      };
    } else if (kind === "RULES" || kind === "group") {
      const group = { comment, rules: [] as Rule[] };
      if (kind === "group") firewall.groups.set(name, group);
      const target = kind === "group" ? group.rules : firewall.rules;
      take = (entry) => {
        const rule = parseRule(entry);
        if (rule !== undefined) target.push(rule);
      };
    } else if (line !== "") {
      take(line);
    }
  }
  return firewall;
}

/** A comment as the file can hold it. */
export const cleanComment = oneLine;
