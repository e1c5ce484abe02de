/** version, nodes and cluster: what there is. */

import { badParameters } from "../errors";
import { type Call, everyUser, method } from "../method";
import { choice, integer, optional } from "../schema/types";
import { vmResource } from "../vm/status";
import type { World } from "../world";
import { node } from "./common";

const MIB = 1024 ** 2;

const nextFreeId = ({ vms }: World) => {
  let id = 100;
  while (vms.nodeOf(id) !== undefined) id += 1;
  return id;
};

function nodeEntry(world: World, name: string, cpus: number, memory: number) {
  const running = world.vms.list(name).filter(({ vmid }) => world.guests.pid(vmid) !== undefined);
  const mem = running.reduce((sum, { vmid }) => sum + world.guests.usage(vmid).memory, 0);
  return {
    id: `node/${name}`,
    node: name,
    type: "node",
    status: "online",
    level: "",
    maxcpu: cpus,
    cpu: 0,
    maxmem: memory * MIB,
    mem,
    disk: 0,
    maxdisk: 0,
    uptime: Math.floor(process.uptime()),
  };
}

function resources({ world, caller }: Call, type: string | undefined): unknown[] {
  const { access, config } = world;
  const wants = (kind: string) => type === undefined || type === kind;
  const found: unknown[] = [];
  if (wants("vm")) {
    for (const vm of world.vms.list()) {
      if (access.has(caller, `/vms/${vm.vmid}`, "VM.Audit")) found.push(vmResource(world, vm));
    }
  }
  if (wants("node")) {
    for (const { name, cpus, memory } of config.nodes)
      found.push(nodeEntry(world, name, cpus, memory));
  }
  for (const { name } of wants("storage") ? config.nodes : []) {
    for (const { id, content, shared, type: plugin } of world.storages.all) {
      if (!access.has(caller, `/storage/${id}`, "Datastore.Audit")) continue;
      const { total, used } = world.storages.usage(id);
      found.push({
        id: `storage/${name}/${id}`,
        type: "storage",
        node: name,
        storage: id,
        plugintype: plugin,
        content: content.join(","),
        shared: shared ? 1 : 0,
        status: "available",
        maxdisk: total,
        disk: used,
      });
    }
  }
  if (wants("sdn")) {
    for (const { name } of config.nodes) {
      if (!access.has(caller, "/sdn/zones/localnetwork", "SDN.Audit")) continue;
      found.push({
        id: `sdn/${name}/localnetwork`,
        type: "sdn",
        node: name,
        sdn: "localnetwork",
        status: "ok",
      });
    }
  }
  return found;
}

export const clusterMethods = [
  method("GET", "/version", {
    permission: everyUser,
    run: (_args, { world }) => {
      const { version } = world.config;
      return {
        version,
        release: version.split(".").slice(0, 2).join("."),
        repoid: "gitlab-runners-lab",
      };
    },
  }),

  method("GET", "/cluster/nextid", {
    params: { vmid: optional(integer({ format: "pve-vmid", minimum: 100, maximum: 999999999 })) },
    permission: everyUser,
    run: ({ vmid }, { world }) => {
      if (vmid === undefined) return String(nextFreeId(world));
      if (world.vms.nodeOf(vmid) !== undefined) {
        throw badParameters({ vmid: `VM ${vmid} already exists` });
      }
      return String(vmid);
    },
  }),

  method("GET", "/cluster/resources", {
    params: { type: optional(choice("vm", "storage", "node", "sdn")) },
    permission: everyUser,
    run: ({ type }, call) => resources(call, type),
  }),

  method("GET", "/nodes", {
    permission: everyUser,
    run: (_args, { world, caller }) =>
      world.config.nodes.map(({ name, cpus, memory }) => {
        const entry = nodeEntry(world, name, cpus, memory);
        if (world.access.has(caller, `/nodes/${name}`, "Sys.Audit")) return entry;
        const { id, node: which, type, status, level } = entry;
        return { id, node: which, type, status, level };
      }),
  }),

  method("GET", "/nodes/{node}/network", {
    params: {
      node,
      type: optional(
        choice(
          "bridge",
          "bond",
          "eth",
          "alias",
          "vlan",
          "fabric",
          "OVSBridge",
          "OVSBond",
          "OVSPort",
          "OVSIntPort",
          "vnet",
          "any_bridge",
          "any_local_bridge",
          "include_sdn",
        ),
      ),
    },
    permission: everyUser,
    run: ({ node: name, type }, { world, caller }) => {
      const { bridge, prefix, gateway } = world.config.network;
      const address = world.config.nodes.find((one) => one.name === name)?.address;
      const isBridge = type === undefined || /bridge|include_sdn/.test(type);
      // Bridges are for those who may use them.
      const path = `/sdn/zones/localnetwork/${bridge}`;
      const seen =
        world.access.has(caller, path, "SDN.Use") || world.access.has(caller, path, "SDN.Audit");
      if (!isBridge || !seen) return [];
      return [
        {
          iface: bridge,
          type: "bridge",
          active: 1,
          autostart: 1,
          bridge_fd: "0",
          bridge_ports: "",
          bridge_stp: "off",
          method: "static",
          method6: "manual",
          families: ["inet"],
          address,
          netmask: String(prefix),
          cidr: `${address}/${prefix}`,
          gateway,
          priority: 1,
        },
      ];
    },
  }),
];
