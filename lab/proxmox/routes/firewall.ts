/** Firewalls of VMs and of the cluster: kept and checked; the lab filters nothing. */

import type { Permission } from "../access/permission";
import { badParameters, fault } from "../errors";
import { type Alias, cleanComment, type Ipset, type Rule } from "../firewall/file";
import type { Owner } from "../firewall/firewalls";
import { type Call, type Method, method, type Verb } from "../method";
import { allOptional, choice, flag, integer, optional, type Params, text } from "../schema/types";
import { names, needsOnRoot, needsOnVm, onVm } from "./common";

const LEVELS = [
  "emerg",
  "alert",
  "crit",
  "err",
  "warning",
  "notice",
  "info",
  "debug",
  "nolog",
] as const;
const policy = choice("ACCEPT", "REJECT", "DROP");
const level = choice(...LEVELS);
const digest = optional(text({ maxLength: 64 }));
const comment = optional(text());
const pos = optional(integer({ minimum: 0 }));
const NAME = "[A-Za-z][A-Za-z0-9\\-\\_]+";
const label = text({ pattern: NAME, minLength: 2, maxLength: 64 });
const group = text({ pattern: NAME, minLength: 2, maxLength: 18 });
const deleted = optional(text({ format: "pve-configid-list" }));

const ruleCore = {
  action: text({ pattern: NAME, minLength: 2, maxLength: 20 }),
  type: choice("in", "out", "forward", "group"),
};
const ruleRest = {
  comment,
  dest: optional(text({ format: "pve-fw-addr-spec", maxLength: 512 })),
  digest,
  dport: optional(text({ format: "pve-fw-dport-spec" })),
  enable: optional(integer({ minimum: 0 })),
  "icmp-type": optional(text({ format: "pve-fw-icmp-type-spec" })),
  iface: optional(text({ format: "pve-iface", minLength: 2, maxLength: 20 })),
  log: optional(level),
  macro: optional(text({ maxLength: 128 })),
  pos,
  proto: optional(text({ format: "pve-fw-protocol-spec" })),
  source: optional(text({ format: "pve-fw-addr-spec", maxLength: 512 })),
  sport: optional(text({ format: "pve-fw-sport-spec" })),
};
const ruleParams = { ...ruleCore, ...ruleRest };
const ruleChange = {
  ...allOptional(ruleCore),
  ...ruleRest,
  delete: deleted,
  moveto: optional(integer({ minimum: 0 })),
};

type Given = Readonly<Record<string, unknown>>;
const given = (args: unknown) => args as Given;
const RULE_KEYS = ["action", "type", ...Object.keys(ruleRest)].filter(
  (name) => name !== "digest" && name !== "pos",
);

function ruleOf(args: Given): Partial<Rule> {
  const rule: Partial<Rule> = {};
  for (const name of RULE_KEYS) {
    const value = args[name];
    if (value === undefined) continue;
    rule[name] = name === "comment" ? cleanComment(String(value)) : (value as string | number);
  }
  return rule;
}

/** @throws ApiError unless the ports of a rule go with its protocol */
function checkRule(rule: Partial<Rule>): void {
  for (const name of ["dport", "sport"]) {
    if (rule[name] !== undefined && rule.proto === undefined && rule.macro === undefined) {
      throw badParameters({ [name]: "missing property - 'proto' required" });
    }
  }
}

const at = (rules: readonly Rule[], position: number): Rule => {
  const rule = rules[position];
  if (rule === undefined) throw fault(`no rule at position ${position}`);
  return rule;
};

/** Where a firewall stands in the API, and whose it is. */
interface Scope {
  readonly base: string;
  readonly params: Params;
  readonly read: Permission;
  readonly write: Permission;
  readonly owner: (args: Given, call: Call) => Owner;
}

const vmScope: Scope = {
  base: "/nodes/{node}/qemu/{vmid}/firewall",
  params: onVm,
  read: needsOnVm("VM.Audit"),
  write: needsOnVm("VM.Config.Network"),
  owner: (args, { world }) => {
    world.vms.load(String(args.node), Number(args.vmid));
    return Number(args.vmid);
  },
};

const clusterScope: Scope = {
  base: "/cluster/firewall",
  params: {},
  read: needsOnRoot("Sys.Audit"),
  write: needsOnRoot("Sys.Modify"),
  owner: () => "cluster",
};

/** Declares methods of one firewall. */
const declare =
  (scope: Scope) =>
  (
    verb: Verb,
    path: string,
    params: Params,
    run: (args: Given, call: Call, owner: Owner) => unknown,
  ): Method =>
    method(verb, `${scope.base}${path}`, {
      params: { ...scope.params, ...params },
      permission: verb === "GET" ? scope.read : scope.write,
      run: (args, call) => run(given(args), call, scope.owner(given(args), call)),
    });

const seen = (args: Given) => args.digest as string | undefined;

function options(scope: Scope, params: Params): Method[] {
  const on = declare(scope);
  return [
    on("GET", "/options", {}, (_args, { world }, owner) => {
      const { firewall, digest: current } = world.firewalls.load(owner);
      const shown = [...firewall.options].map(([name, value]) => {
        const numeric = params[name]?.type === "boolean" || params[name]?.type === "integer";
        return [name, numeric ? Number(value) : value];
      });
      return { ...Object.fromEntries(shown), digest: current } as unknown;
    }),
    on("PUT", "/options", { ...params, delete: deleted, digest }, (args, { world }, owner) => {
      world.firewalls.change(owner, seen(args), (firewall) => {
        for (const name of names(args.delete as string | undefined)) firewall.options.delete(name);
        for (const name of Object.keys(params)) {
          const value = args[name];
          if (value === undefined) continue;
          firewall.options.set(
            name,
            typeof value === "boolean" ? String(Number(value)) : String(value),
          );
        }
      });
    }),
  ];
}

function rules(scope: Scope): Method[] {
  const on = declare(scope);
  return [
    on("GET", "/rules", {}, (_args, { world }, owner) => {
      const loaded = world.firewalls.load(owner);
      return loaded.firewall.rules.map((rule, index) => ({
        ...rule,
        pos: index,
        digest: loaded.digest,
      }));
    }),
    on("POST", "/rules", ruleParams, (args, { world }, owner) => {
      const rule = ruleOf(args);
      checkRule(rule);
      world.firewalls.change(owner, seen(args), ({ rules: all }) => {
        const position = Math.min(Number(args.pos ?? 0), all.length);
        all.splice(position, 0, { enable: 0, ...rule } as Rule);
      });
    }),
    on("GET", "/rules/{pos}", { pos }, (args, { world }, owner) => {
      const loaded = world.firewalls.load(owner);
      const position = Number(args.pos);
      // A string here, a number in the list: as Proxmox VE has it.
      return {
        ...at(loaded.firewall.rules, position),
        pos: String(position),
        digest: loaded.digest,
      };
    }),
    on("PUT", "/rules/{pos}", ruleChange, (args, { world }, owner) => {
      world.firewalls.change(owner, seen(args), ({ rules: all }) => {
        const position = Number(args.pos);
        const rule = at(all, position);
        if (args.moveto !== undefined) {
          all.splice(position, 1);
          const target = Number(args.moveto);
          all.splice(target > position ? target - 1 : target, 0, rule);
          return;
        }
        for (const name of names(args.delete as string | undefined)) delete rule[name];
        Object.assign(rule, ruleOf(args));
        checkRule(rule);
      });
    }),
    on("DELETE", "/rules/{pos}", { digest, pos }, (args, { world }, owner) => {
      world.firewalls.change(owner, seen(args), ({ rules: all }) => {
        at(all, Number(args.pos));
        all.splice(Number(args.pos), 1);
      });
    }),
  ];
}

function ipsets(scope: Scope): Method[] {
  const on = declare(scope);
  const cidr = text({ format: "IPorCIDRorAlias" });
  const find = (sets: ReadonlyMap<string, Ipset>, name: unknown): Ipset => {
    const found = sets.get(String(name));
    if (found === undefined) throw fault(`IPSet '${String(name)}' does not exist`);
    return found;
  };
  return [
    on("GET", "/ipset", {}, (_args, { world }, owner) => {
      const loaded = world.firewalls.load(owner);
      return [...loaded.firewall.ipsets].map(([name, set]) => ({
        name,
        digest: loaded.digest,
        ...(set.comment === undefined ? {} : { comment: set.comment }),
      }));
    }),
    on(
      "POST",
      "/ipset",
      { comment, digest, name: label, rename: optional(label) },
      (args, { world }, owner) => {
        const name = String(args.name);
        const said = args.comment === undefined ? undefined : cleanComment(String(args.comment));
        world.firewalls.change(owner, seen(args), ({ ipsets: sets }) => {
          if (args.rename !== undefined) {
            const set = find(sets, args.rename);
            if (args.rename !== name && sets.has(name)) {
              throw badParameters({ name: `IPSet '${name}' already exists` });
            }
            sets.delete(String(args.rename));
            sets.set(name, { ...set, comment: said ?? set.comment });
            return;
          }
          if (sets.has(name)) throw badParameters({ name: `IPSet '${name}' already exists` });
          sets.set(name, { comment: said, entries: [] });
        });
      },
    ),
    on("GET", "/ipset/{name}", { name: label }, (args, { world }, owner) => {
      const loaded = world.firewalls.load(owner);
      return find(loaded.firewall.ipsets, args.name).entries.map((entry) => ({
        cidr: entry.cidr,
        digest: loaded.digest,
        ...(entry.nomatch === true ? { nomatch: 1 } : {}),
        ...(entry.comment === undefined ? {} : { comment: entry.comment }),
      }));
    }),
    on(
      "POST",
      "/ipset/{name}",
      { cidr, comment, name: label, nomatch: optional(flag()) },
      (args, { world }, owner) => {
        world.firewalls.change(owner, undefined, ({ ipsets: sets }) => {
          const { entries } = find(sets, args.name);
          if (entries.some((entry) => entry.cidr === args.cidr)) {
            throw badParameters({ cidr: `address '${String(args.cidr)}' already exists` });
          }
          entries.push({
            cidr: String(args.cidr),
            nomatch: args.nomatch === true,
            comment: args.comment === undefined ? undefined : cleanComment(String(args.comment)),
          });
        });
      },
    ),
    on(
      "DELETE",
      "/ipset/{name}",
      { force: optional(flag()), name: label },
      (args, { world }, owner) => {
        world.firewalls.change(owner, undefined, ({ ipsets: sets }) => {
          const { entries } = find(sets, args.name);
          if (entries.length > 0 && args.force !== true)
            throw fault(`IPSet '${String(args.name)}' is not empty`);
          sets.delete(String(args.name));
        });
      },
    ),
    on(
      "DELETE",
      "/ipset/{name}/{cidr}",
      { cidr, digest, name: label },
      (args, { world }, owner) => {
        world.firewalls.change(owner, seen(args), ({ ipsets: sets }) => {
          const { entries } = find(sets, args.name);
          const index = entries.findIndex((entry) => entry.cidr === args.cidr);
          if (index === -1)
            throw badParameters({ cidr: `no such IP/Network '${String(args.cidr)}'` });
          entries.splice(index, 1);
        });
      },
    ),
  ];
}

function aliases(scope: Scope): Method[] {
  const on = declare(scope);
  const cidr = text({ format: "IPorCIDR" });
  const find = (all: ReadonlyMap<string, Alias>, name: unknown): Alias => {
    const found = all.get(String(name).toLowerCase());
    if (found === undefined) throw badParameters({ name: `no such alias '${String(name)}'` });
    return found;
  };
  const show = (alias: Alias, current: string) => ({
    name: alias.name,
    cidr: alias.cidr,
    ipversion: alias.cidr.includes(":") ? 6 : 4,
    digest: current,
    ...(alias.comment === undefined ? {} : { comment: alias.comment }),
  });
  const noted = (args: Given) =>
    args.comment === undefined ? undefined : cleanComment(String(args.comment));
  return [
    on("GET", "/aliases", {}, (_args, { world }, owner) => {
      const loaded = world.firewalls.load(owner);
      return [...loaded.firewall.aliases.values()].map((alias) => show(alias, loaded.digest));
    }),
    on("POST", "/aliases", { cidr, comment, name: label }, (args, { world }, owner) => {
      world.firewalls.change(owner, undefined, ({ aliases: all }) => {
        const name = String(args.name);
        if (all.has(name.toLowerCase()))
          throw badParameters({ name: `alias '${name}' already exists` });
        all.set(name.toLowerCase(), { name, cidr: String(args.cidr), comment: noted(args) });
      });
    }),
    on("GET", "/aliases/{name}", { name: label }, (args, { world }, owner) => {
      const loaded = world.firewalls.load(owner);
      return show(find(loaded.firewall.aliases, args.name), loaded.digest);
    }),
    on(
      "PUT",
      "/aliases/{name}",
      { cidr, comment, digest, name: label, rename: optional(label) },
      (args, { world }, owner) => {
        world.firewalls.change(owner, seen(args), ({ aliases: all }) => {
          const alias = find(all, args.name);
          const name = String(args.rename ?? alias.name);
          if (name.toLowerCase() !== alias.name.toLowerCase() && all.has(name.toLowerCase())) {
            throw badParameters({ name: `alias '${name}' already exists` });
          }
          all.delete(alias.name.toLowerCase());
          all.set(name.toLowerCase(), { name, cidr: String(args.cidr), comment: noted(args) });
        });
      },
    ),
    on("DELETE", "/aliases/{name}", { digest, name: label }, (args, { world }, owner) => {
      world.firewalls.change(owner, seen(args), ({ aliases: all }) => {
        all.delete(find(all, args.name).name.toLowerCase());
      });
    }),
  ];
}

const groupMethods: Method[] = [
  method("GET", "/cluster/firewall/groups", {
    permission: { user: "all" },
    run: (_args, { world }) => {
      const loaded = world.firewalls.load("cluster");
      return [...loaded.firewall.groups].map(([name, one]) => ({
        group: name,
        digest: loaded.digest,
        ...(one.comment === undefined ? {} : { comment: one.comment }),
      }));
    },
  }),
  method("POST", "/cluster/firewall/groups", {
    params: { comment, digest, group, rename: optional(group) },
    permission: clusterScope.write,
    run: (args, { world }) =>
      world.firewalls.change("cluster", args.digest, ({ groups }) => {
        const said = args.comment === undefined ? undefined : cleanComment(args.comment);
        const old = args.rename === undefined ? undefined : groups.get(args.rename);
        if (args.rename !== undefined && old === undefined) {
          throw badParameters({ group: `Security group '${args.rename}' does not exist` });
        }
        if (args.rename !== args.group && groups.has(args.group)) {
          throw badParameters({ group: `Security group '${args.group}' already exists` });
        }
        if (args.rename !== undefined) groups.delete(args.rename);
        groups.set(args.group, { rules: old?.rules ?? [], comment: said ?? old?.comment });
      }),
  }),
  method("GET", "/cluster/firewall/groups/{group}", {
    params: { group },
    permission: clusterScope.read,
    run: (args, { world }) => {
      const loaded = world.firewalls.load("cluster");
      return groupRules(loaded.firewall.groups, args.group).map((rule, index) => ({
        ...rule,
        pos: index,
        digest: loaded.digest,
      }));
    },
  }),
  method("POST", "/cluster/firewall/groups/{group}", {
    params: { ...ruleParams, group },
    permission: clusterScope.write,
    run: (args, { world }) => {
      const rule = ruleOf(given(args));
      checkRule(rule);
      world.firewalls.change("cluster", args.digest, ({ groups }) => {
        const all = groupRules(groups, args.group);
        all.splice(Math.min(args.pos ?? 0, all.length), 0, { enable: 0, ...rule } as Rule);
      });
    },
  }),
  method("DELETE", "/cluster/firewall/groups/{group}", {
    params: { group },
    permission: clusterScope.write,
    run: (args, { world }) =>
      world.firewalls.change("cluster", undefined, ({ groups }) => {
        if (groupRules(groups, args.group).length > 0) {
          throw fault(`Security group '${args.group}' is not empty`);
        }
        groups.delete(args.group);
      }),
  }),
];

function groupRules(groups: ReadonlyMap<string, { rules: Rule[] }>, name: string): Rule[] {
  const found = groups.get(name);
  if (found === undefined) throw fault(`no such security group '${name}'`);
  return found.rules;
}

const vmOptions = allOptional({
  dhcp: flag(),
  enable: flag(),
  ipfilter: flag(),
  log_level_in: level,
  log_level_out: level,
  macfilter: flag(),
  ndp: flag(),
  policy_in: policy,
  policy_out: policy,
  radv: flag(),
});

const clusterOptions = allOptional({
  ebtables: flag(),
  enable: integer({ minimum: 0 }),
  log_ratelimit: text({
    format: {
      enable: { ...flag(), default_key: 1 },
      burst: optional(integer({ minimum: 0 })),
      rate: optional(text({ pattern: "[1-9][0-9]*\\/(second|minute|hour|day)" })),
    },
  }),
  policy_forward: choice("ACCEPT", "DROP"),
  policy_in: policy,
  policy_out: policy,
});

export const firewallMethods: readonly Method[] = [
  ...options(vmScope, vmOptions),
  ...rules(vmScope),
  ...ipsets(vmScope),
  ...aliases(vmScope),
  ...options(clusterScope, clusterOptions),
  ...ipsets(clusterScope),
  ...aliases(clusterScope),
  ...groupMethods,
];
