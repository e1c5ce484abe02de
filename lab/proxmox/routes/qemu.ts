/** nodes/{node}/qemu: VMs, their options and their disks. */

import { badParameters, fault } from "../errors";
import { type Call, everyUser, method } from "../method";
import { diskNames, isCdrom, isCloudInit, parseDrive, printDrive } from "../schema/drives";
import { formatSize, parseSize } from "../schema/formats";
import { choice, flag, integer, optional, text, type Value } from "../schema/types";
import { VM_OPTIONS } from "../schema/vm-options";
import { copyConfig } from "../vm/config-file";
import { drivesOf, hasVolume } from "../vm/disks";
import {
  checkDestroy,
  cloneVm,
  destroyVm,
  migrateVm,
  rebootVm,
  rebuildCloudInit,
  shutdownVm,
  startVm,
  stopVm,
} from "../vm/lifecycle";
import { isTemplate, showOptions } from "../vm/options";
import { checkBridges, checkVolume } from "../vm/permissions";
import { optionsOf, vmStatus, vmSummary } from "../vm/status";
import { applyUpdate, checkUpdate, requireUnlocked, type Update } from "../vm/update";
import { digest, names, needsOneOnVm, needsOnVm, node, onVm, storage, vmid } from "./common";

const LOCK_LIMIT = 10;

const skiplock = optional(flag());
const timeout = optional(integer({ minimum: 0 }));
const bwlimit = optional(integer({ minimum: 0 }));
const imageFormat = optional(choice("raw", "qcow2", "vmdk"));
const disk = { type: "string", enum: diskNames(false) } as const;
const diskOrUnused = { type: "string", enum: diskNames(true) } as const;

/** @throws ApiError unless root itself asks for what only root may */
function requireRootFor(call: Call, name: string, value: unknown): void {
  if (value !== undefined && value !== false && !call.world.access.isRoot(call.caller)) {
    throw badParameters({ [name]: `Only root may use this option.` });
  }
}

/** Starts a task for a VM. @returns its id */
function task(
  { world, caller }: Call,
  on: { node: string; vmid: number },
  type: string,
  work: Parameters<typeof world.tasks.start>[1],
): string {
  return world.tasks.start({ node: on.node, type, id: String(on.vmid), user: caller.id }, work);
}

const updateParams = {
  ...onVm,
  ...VM_OPTIONS,
  delete: optional(text({ format: "pve-configid-list" })),
  digest: optional(digest),
  force: optional(flag({ requires: "delete" })),
  revert: optional(text({ format: "pve-configid-list" })),
  skiplock,
};

function readUpdate(args: Readonly<Record<string, Value>>): Update {
  const {
    node: where,
    vmid: id,
    delete: remove,
    digest: seen,
    force,
    revert,
    skiplock: skip,
    ...set
  } = args;
  return {
    node: String(where),
    vmid: Number(id),
    set,
    remove: names(remove as string | undefined),
    revert: names(revert as string | undefined),
    force: force === true,
    digest: seen as string | undefined,
    skipLock: skip === true,
  };
}

export const qemuMethods = [
  method("GET", "/nodes/{node}/qemu", {
    params: { node, full: optional(flag()) },
    permission: everyUser,
    run: (args, { world, caller }) =>
      world.vms
        .list(args.node)
        .filter(({ vmid: id }) => world.access.has(caller, `/vms/${id}`, "VM.Audit"))
        .map((vm) => vmSummary(world, vm)),
  }),

  method("GET", "/nodes/{node}/qemu/{vmid}/config", {
    params: {
      ...onVm,
      current: optional(flag()),
      snapshot: optional(text({ format: "pve-configid", maxLength: 40 })),
    },
    permission: needsOnVm("VM.Audit"),
    run: (args, { world }) => {
      if (args.snapshot !== undefined) throw fault(`snapshot '${args.snapshot}' does not exist`);
      const vm = world.vms.load(args.node, args.vmid);
      return { ...showOptions(optionsOf(vm, args.current === true)), digest: vm.digest };
    },
  }),

  method("PUT", "/nodes/{node}/qemu/{vmid}/config", {
    params: updateParams,
    permission: needsOneOnVm(
      "VM.Config.Disk",
      "VM.Config.CDROM",
      "VM.Config.CPU",
      "VM.Config.Memory",
      "VM.Config.Network",
      "VM.Config.HWType",
      "VM.Config.Options",
      "VM.Config.Cloudinit",
    ),
    run: async (args, call) => {
      const update = readUpdate(args as Readonly<Record<string, Value>>);
      requireRootFor(call, "skiplock", args.skiplock);
      checkUpdate(call.world, call.caller, update);
      await applyUpdate(call.world, update, call.world.log);
    },
  }),

  method("GET", "/nodes/{node}/qemu/{vmid}/status/current", {
    params: onVm,
    permission: needsOnVm("VM.Audit"),
    run: (args, { world }) => vmStatus(world, world.vms.load(args.node, args.vmid)),
  }),

  method("POST", "/nodes/{node}/qemu/{vmid}/status/start", {
    params: {
      ...onVm,
      "force-cpu": optional(text()),
      machine: VM_OPTIONS.machine as { type: "string"; optional: 1 },
      migratedfrom: optional(node),
      migration_network: optional(text({ format: "CIDR" })),
      migration_type: optional(choice("secure", "insecure")),
      "nets-host-mtu": optional(text({ pattern: "net\\d+=\\d+(,net\\d+=\\d+)*" })),
      skiplock,
      stateuri: optional(text({ maxLength: 128 })),
      targetstorage: optional(text({ format: "storage-pair-list" })),
      timeout,
      "with-conntrack-state": optional(flag()),
    },
    permission: needsOnVm("VM.PowerMgmt"),
    run: (args, call) => {
      for (const name of ["skiplock", "stateuri", "migratedfrom", "force-cpu"] as const) {
        requireRootFor(call, name, args[name]);
      }
      call.world.vms.load(args.node, args.vmid);
      return task(call, args, "qmstart", (context) =>
        startVm(call.world, args.node, args.vmid, context),
      );
    },
  }),

  method("POST", "/nodes/{node}/qemu/{vmid}/status/stop", {
    params: {
      ...onVm,
      keepActive: optional(flag()),
      migratedfrom: optional(node),
      "overrule-shutdown": optional(flag()),
      skiplock,
      timeout,
    },
    permission: needsOnVm("VM.PowerMgmt"),
    run: (args, call) => {
      requireRootFor(call, "skiplock", args.skiplock);
      call.world.vms.load(args.node, args.vmid);
      return task(call, args, "qmstop", () => stopVm(call.world, args.node, args.vmid));
    },
  }),

  method("POST", "/nodes/{node}/qemu/{vmid}/status/shutdown", {
    params: {
      ...onVm,
      forceStop: optional(flag()),
      keepActive: optional(flag()),
      skiplock,
      timeout,
    },
    permission: needsOnVm("VM.PowerMgmt"),
    run: (args, call) => {
      requireRootFor(call, "skiplock", args.skiplock);
      call.world.vms.load(args.node, args.vmid);
      const how = { timeout: args.timeout, forceStop: args.forceStop === true };
      return task(call, args, "qmshutdown", (context) =>
        shutdownVm(call.world, args.node, args.vmid, how, context),
      );
    },
  }),

  method("POST", "/nodes/{node}/qemu/{vmid}/status/reboot", {
    params: { ...onVm, timeout },
    permission: needsOnVm("VM.PowerMgmt"),
    run: (args, call) => {
      call.world.vms.load(args.node, args.vmid);
      if (call.world.guests.pid(args.vmid) === undefined) {
        throw fault(`VM ${args.vmid} not running`);
      }
      return task(call, args, "qmreboot", (context) =>
        rebootVm(call.world, args.node, args.vmid, args.timeout, context),
      );
    },
  }),

  method("POST", "/nodes/{node}/qemu/{vmid}/status/reset", {
    params: { ...onVm, skiplock },
    permission: needsOnVm("VM.PowerMgmt"),
    run: (args, call) => {
      requireRootFor(call, "skiplock", args.skiplock);
      call.world.vms.load(args.node, args.vmid);
      if (call.world.guests.pid(args.vmid) === undefined) {
        throw fault(`VM ${args.vmid} not running`);
      }
      return task(call, args, "qmreset", () => call.world.guests.reset(args.vmid));
    },
  }),

  method("POST", "/nodes/{node}/qemu/{vmid}/clone", {
    params: {
      ...onVm,
      bwlimit,
      description: optional(text()),
      format: imageFormat,
      full: optional(flag()),
      name: optional(text({ format: "dns-name" })),
      newid: vmid,
      pool: optional(text({ format: "pve-poolid" })),
      snapname: optional(text({ format: "pve-configid", maxLength: 40 })),
      storage: optional(storage),
      target: optional(node),
    },
    permission: {
      check: [
        "and",
        ["perm", "/vms/{vmid}", ["VM.Clone"]],
        [
          "or",
          ["perm", "/vms/{newid}", ["VM.Allocate"]],
          ["perm", "/pool/{pool}", ["VM.Allocate"], "require_param", "pool"],
        ],
      ],
    },
    run: (args, call) => {
      const { world, caller } = call;
      const { access, storages } = world;
      const source = world.vms.load(args.node, args.vmid);
      requireUnlocked(source);
      const { values } = source.config;
      if (args.snapname !== undefined) throw fault(`snapshot '${args.snapname}' does not exist`);
      if (args.pool !== undefined) world.pools.get(args.pool);
      const target = args.target ?? args.node;
      if (!world.config.nodes.some(({ name }) => name === target)) {
        throw badParameters({ target: `no such cluster node '${target}'` });
      }
      if (args.full !== true && args.storage !== undefined && isTemplate(values)) {
        if (args.full === false) {
          throw badParameters({ storage: "Parameter 'storage' is not allowed for linked clones." });
        }
      }
      for (const [, drive] of drivesOf(values)) {
        if (!hasVolume(drive)) continue;
        if (isCdrom(drive) && !isCloudInit(drive)) {
          checkVolume(access, caller, args.vmid, storages, drive.file);
          continue;
        }
        const id = args.storage ?? (drive.file.split(":")[0] as string);
        access.check(caller, `/storage/${id}`, ["Datastore.AllocateSpace"]);
        if (!storages.supports(id, "images")) {
          throw badParameters({ storage: `storage '${id}' does not support vm images` });
        }
        if (target !== args.node && !storages.get(id).shared) {
          throw fault(`can't clone VM to node '${target}' (VM uses local storage)`);
        }
      }
      checkBridges(access, caller, values);
      if (world.vms.nodeOf(args.newid) !== undefined) {
        throw fault(`unable to create VM ${args.newid}: config file already exists`);
      }
      return task(call, args, "qmclone", (context) =>
        cloneVm(
          world,
          {
            node: args.node,
            vmid: args.vmid,
            newid: args.newid,
            name: args.name,
            description: args.description,
            pool: args.pool,
            storage: args.storage,
            format: args.format,
            target,
          },
          context,
        ),
      );
    },
  }),

  method("POST", "/nodes/{node}/qemu/{vmid}/template", {
    params: { ...onVm, disk: optional(disk) },
    permission: needsOnVm("VM.Allocate"),
    run: (args, call) => {
      const { world } = call;
      const vm = world.vms.load(args.node, args.vmid);
      if (isTemplate(vm.config.values)) {
        throw fault(`you can't convert a template to a template`);
      }
      if (world.guests.pid(args.vmid) !== undefined) {
        throw fault(`you can't convert a VM to template if VM is running`);
      }
      return task(call, args, "qmtemplate", () =>
        world.locks.run(args.vmid, LOCK_LIMIT, () => {
          const config = copyConfig(world.vms.load(args.node, args.vmid).config);
          for (const [name, drive] of drivesOf(config.values)) {
            if (!hasVolume(drive) || isCdrom(drive)) continue;
            if (args.disk !== undefined && args.disk !== name) continue;
            const base = world.storages.makeBase(args.node, drive.file);
            config.values.set(name, printDrive(name, { ...drive, file: base }));
          }
          if (args.disk === undefined) config.values.set("template", "1");
          world.vms.save(args.node, args.vmid, config);
          return Promise.resolve();
        }),
      );
    },
  }),

  method("POST", "/nodes/{node}/qemu/{vmid}/migrate", {
    params: {
      ...onVm,
      bwlimit,
      force: optional(flag()),
      migration_network: optional(text({ format: "CIDR" })),
      migration_type: optional(choice("secure", "insecure")),
      online: optional(flag()),
      target: node,
      targetstorage: optional(text({ format: "storage-pair-list" })),
      "with-conntrack-state": optional(flag()),
      "with-local-disks": optional(flag()),
    },
    permission: needsOnVm("VM.Migrate"),
    run: (args, call) => {
      const { world } = call;
      if (args.target === args.node) throw badParameters({ target: "target is local node." });
      if (!world.config.nodes.some(({ name }) => name === args.target)) {
        throw fault(`no such cluster node '${args.target}'`);
      }
      requireRootFor(call, "force", args.force);
      requireUnlocked(world.vms.load(args.node, args.vmid));
      if (world.guests.pid(args.vmid) !== undefined) {
        if (args.online !== true)
          throw badParameters({ target: "can't migrate running VM without --online" });
        throw fault("the lab moves stopped VMs only");
      }
      const how = { target: args.target, withLocalDisks: args["with-local-disks"] === true };
      return task(call, args, "qmigrate", (context) =>
        migrateVm(world, args.node, args.vmid, how, context),
      );
    },
  }),

  method("POST", "/nodes/{node}/qemu/{vmid}/move_disk", {
    params: {
      ...onVm,
      bwlimit,
      delete: optional(flag()),
      digest: optional(digest),
      disk: diskOrUnused,
      format: imageFormat,
      storage: optional(storage),
      "target-digest": optional(digest),
      "target-disk": optional(diskOrUnused),
      "target-vmid": optional(vmid),
    },
    permission: needsOnVm("VM.Config.Disk"),
    run: (args, call) => {
      const { world, caller } = call;
      const vm = world.vms.load(args.node, args.vmid);
      requireUnlocked(vm);
      if (args["target-vmid"] !== undefined)
        throw fault("the lab moves disks between storages only");
      const target = args.storage;
      if (target === undefined)
        throw badParameters({ storage: "storage or target-vmid is required" });
      world.access.check(caller, `/storage/${target}`, ["Datastore.AllocateSpace"]);
      const value = vm.config.values.get(args.disk);
      if (value === undefined) throw fault(`disk '${args.disk}' does not exist`);
      const drive = parseDrive(args.disk, value);
      if (!hasVolume(drive)) throw fault(`disk '${args.disk}' has no associated volume`);
      if (isCdrom(drive) && !isCloudInit(drive)) throw fault("you can't move a cdrom");
      const sameStorage = drive.file.split(":")[0] === target;
      const format = /\.(\w+)$/.exec(drive.file)?.[1] ?? "raw";
      if (sameStorage && (args.format === undefined || args.format === format)) {
        throw fault("you can't move to the same storage with same format");
      }
      if (world.guests.pid(args.vmid) !== undefined) {
        throw fault("the lab moves disks of stopped VMs only");
      }
      return task(call, args, "qmmove", (context) =>
        world.locks.run(args.vmid, LOCK_LIMIT, async () => {
          const copy = await world.storages.copy(args.node, drive.file, {
            node: args.node,
            storage: target,
            vmid: args.vmid,
            format: args.format,
          });
          const config = copyConfig(world.vms.load(args.node, args.vmid).config);
          config.values.set(args.disk, printDrive(args.disk, { ...drive, file: copy }));
          if (args.delete === true) world.storages.remove(args.node, drive.file);
          else {
            let index = 0;
            while (config.values.has(`unused${index}`)) index += 1;
            config.values.set(`unused${index}`, drive.file);
          }
          context.log(`moved ${drive.file} to ${copy}`);
          world.vms.save(args.node, args.vmid, config);
        }),
      );
    },
  }),

  method("PUT", "/nodes/{node}/qemu/{vmid}/resize", {
    params: {
      ...onVm,
      digest: optional(digest),
      disk,
      size: text({ pattern: "\\+?\\d+(\\.\\d+)?[KMGT]?" }),
      skiplock,
    },
    permission: needsOnVm("VM.Config.Disk"),
    run: async (args, call) => {
      const { world } = call;
      requireRootFor(call, "skiplock", args.skiplock);
      const vm = world.vms.load(args.node, args.vmid);
      requireUnlocked(vm);
      if (args.digest !== undefined && args.digest !== vm.digest) {
        throw fault("detected modified configuration - file changed by other user? Try again.");
      }
      const value = vm.config.values.get(args.disk);
      if (value === undefined) throw fault(`disk '${args.disk}' does not exist`);
      const drive = parseDrive(args.disk, value);
      if (!hasVolume(drive)) throw fault(`disk '${args.disk}' has no associated volume`);
      if (isCdrom(drive)) throw fault("you can't resize a cdrom");
      const id = drive.file.split(":")[0] as string;
      world.access.check(call.caller, `/storage/${id}`, ["Datastore.AllocateSpace"]);
      const { size } = world.storages.info(args.node, drive.file);
      const given = parseSize(args.size.replace(/^\+/, "")) as number;
      const bytes = args.size.startsWith("+") ? size + given : given;
      if (bytes < size) throw fault("shrinking disks is not supported");
      return task(call, args, "resize", () =>
        world.locks.run(args.vmid, LOCK_LIMIT, async () => {
          const file = world.storages.file(args.node, drive.file);
          if (world.guests.pid(args.vmid) !== undefined) {
            await world.guests.grow(args.vmid, args.disk, file, bytes);
          } else if (bytes > size) {
            await world.storages.resize(args.node, drive.file, bytes);
          }
          const config = copyConfig(world.vms.load(args.node, args.vmid).config);
          config.values.set(
            args.disk,
            printDrive(args.disk, { ...drive, size: formatSize(bytes) }),
          );
          world.vms.save(args.node, args.vmid, config);
        }),
      );
    },
  }),

  method("PUT", "/nodes/{node}/qemu/{vmid}/cloudinit", {
    params: onVm,
    permission: needsOnVm("VM.Config.Cloudinit"),
    run: async (args, { world }) => {
      await world.locks.run(args.vmid, LOCK_LIMIT, async () => {
        const vm = world.vms.load(args.node, args.vmid);
        requireUnlocked(vm);
        await rebuildCloudInit(world, vm, world.log);
      });
    },
  }),

  method("DELETE", "/nodes/{node}/qemu/{vmid}", {
    params: {
      ...onVm,
      "destroy-unreferenced-disks": optional(flag()),
      purge: optional(flag()),
      skiplock,
    },
    permission: needsOnVm("VM.Allocate"),
    run: (args, call) => {
      requireRootFor(call, "skiplock", args.skiplock);
      checkDestroy(call.world, args.node, args.vmid, args.purge === true);
      const how = {
        purge: args.purge === true,
        unreferenced: args["destroy-unreferenced-disks"] === true,
      };
      return task(call, args, "qmdestroy", (context) =>
        destroyVm(call.world, args.node, args.vmid, how, context),
      );
    },
  }),
];
