/** storage and nodes/{node}/storage: storages and their content. */

import { createHash } from "node:crypto";
import { createReadStream, existsSync } from "node:fs";
import { copyFile, rm } from "node:fs/promises";
import path from "node:path";
import { pipeline } from "node:stream/promises";

import { ApiError, badParameters, fault } from "../errors";
import { type Call, everyUser, method } from "../method";
import { choice, flag, integer, optional, text } from "../schema/types";
import { download } from "../storage/download";
import { drivesOf } from "../vm/disks";
import { names, node, storage } from "./common";

const FILE_NAMES: Readonly<Record<string, RegExp>> = {
  iso: /^[\w.+-]+\.(iso|img)$/i,
  vztmpl: /^[\w.+-]+\.tar\.(gz|xz|zst|bz2)$/i,
  import: /^[\w.+-]+\.(ova|ovf|qcow2|raw|vmdk)$/i,
};

const content = { ...choice("iso", "vztmpl", "import"), format: "pve-storage-content" } as const;
const checksumAlgorithm = choice("md5", "sha1", "sha224", "sha256", "sha384", "sha512");

function status({ world }: Call, id: string) {
  const { type, content: kinds, shared } = world.storages.get(id);
  const { total, used, avail } = world.storages.usage(id);
  return {
    type,
    content: kinds.join(","),
    shared: shared ? 1 : 0,
    enabled: 1,
    active: 1,
    total,
    used,
    avail,
  };
}

const mayRead = ({ world, caller }: Call, id: string) =>
  world.access.has(caller, `/storage/${id}`, "Datastore.Audit") ||
  world.access.has(caller, `/storage/${id}`, "Datastore.AllocateSpace");

/** As in a path: with or without the storage in front. */
const volidOf = (id: string | undefined, volume: string) =>
  volume.includes(":") ? volume : `${id ?? ""}:${volume}`;

/** @throws ApiError 403 unless the caller may see a volume */
function checkRead({ world, caller }: Call, volid: string): void {
  const id = volid.split(":")[0] ?? "";
  const owner = world.storages.ownerOf(volid);
  if (world.access.has(caller, `/storage/${id}`, "Datastore.Allocate")) return;
  if (owner !== undefined) {
    const vm = `/vms/${owner}`;
    if (world.access.has(caller, vm, "VM.Config.Disk")) {
      world.access.check(caller, `/storage/${id}`, ["Datastore.Audit"]);
      return;
    }
  }
  const kind = world.storages.contentOf(volid);
  if (kind === "iso" || kind === "vztmpl" || kind === "import") {
    world.access.checkAny(caller, `/storage/${id}`, ["Datastore.AllocateSpace", "Datastore.Audit"]);
    return;
  }
  world.access.check(caller, `/storage/${id}`, ["Datastore.Allocate"]);
}

/** @throws ApiError 400 unless the storage takes such a file */
function fileFor({ world }: Call, id: string, kind: string, name: string): string {
  if (!world.storages.supports(id, kind)) {
    throw badParameters({
      storage: `storage '${id}' is not configured for content-type '${kind}'`,
    });
  }
  if (FILE_NAMES[kind]?.test(name) !== true) {
    throw badParameters({ filename: "wrong file extension" });
  }
  return world.storages.file("", `${id}:${kind}/${name}`);
}

async function verify(file: string, algorithm: string | undefined, sum: string | undefined) {
  if (algorithm === undefined || sum === undefined) return;
  const hash = createHash(algorithm);
  await pipeline(createReadStream(file), hash);
  const found = hash.digest("hex");
  if (found.toLowerCase() !== sum.toLowerCase()) {
    throw fault(`checksum mismatch: got '${found}' != expect '${sum}'`);
  }
}

export const storageMethods = [
  method("GET", "/storage/{storage}", {
    params: { storage },
    permission: { check: ["perm", "/storage/{storage}", ["Datastore.Allocate"]] },
    run: ({ storage: id }, { world }) => {
      const { type, content: kinds, shared, ...rest } = world.storages.get(id);
      const entry = {
        storage: id,
        type,
        content: kinds.join(","),
        ...(type === "lvmthin" ? { vgname: "pve", thinpool: "data" } : { path: publicPath(rest) }),
        ...(shared ? { shared: 1 } : {}),
      };
      const digest = createHash("sha1").update(JSON.stringify(entry)).digest("hex");
      return { ...entry, digest };
    },
  }),

  method("GET", "/nodes/{node}/storage", {
    params: {
      node,
      content: optional(text({ format: "pve-storage-content-list" })),
      enabled: optional(flag()),
      format: optional(flag()),
      storage: optional(storage),
      target: optional(node),
    },
    permission: everyUser,
    run: (args, call) =>
      call.world.storages.all
        .filter(({ id }) => args.storage === undefined || id === args.storage)
        .filter(({ id }) => mayRead(call, id))
        .filter(({ id }) => {
          const wanted = names(args.content);
          return (
            wanted.length === 0 || wanted.some((kind) => call.world.storages.supports(id, kind))
          );
        })
        .map(({ id }) => ({ storage: id, ...status(call, id) })),
  }),

  method("GET", "/nodes/{node}/storage/{storage}/status", {
    params: { node, storage },
    permission: {
      check: [
        "perm",
        "/storage/{storage}",
        ["Datastore.Audit", "Datastore.AllocateSpace"],
        "any",
        1,
      ],
    },
    run: ({ storage: id }, call) => status(call, id),
  }),

  method("GET", "/nodes/{node}/storage/{storage}/content", {
    params: {
      node,
      storage,
      content: optional(text({ format: "pve-storage-content" })),
      vmid: optional(integer({ format: "pve-vmid", minimum: 100, maximum: 999999999 })),
    },
    permission: {
      check: [
        "perm",
        "/storage/{storage}",
        ["Datastore.Audit", "Datastore.AllocateSpace"],
        "any",
        1,
      ],
    },
    run: async ({ node: where, storage: id, content: kind, vmid }, call) => {
      const volumes = call.world.storages.list(where, id, kind);
      return volumes
        .filter(({ vmid: owner }) => vmid === undefined || owner === vmid)
        .filter(({ volid }) => passes(() => checkRead(call, volid)))
        .map(({ used, ...volume }) =>
          volume.content === "images" ? { ...volume, used, parent: null } : volume,
        );
    },
  }),

  method("GET", "/nodes/{node}/storage/{storage}/content/{volume}", {
    params: { node, storage: optional(storage), volume: text() },
    permission: everyUser,
    run: ({ node: where, storage: id, volume }, call) => {
      const volid = volidOf(id, volume);
      checkRead(call, volid);
      return call.world.storages.info(where, volid);
    },
  }),

  method("DELETE", "/nodes/{node}/storage/{storage}/content/{volume}", {
    params: {
      node,
      delay: optional(integer({ minimum: 1, maximum: 30 })),
      storage: optional(storage),
      volume: text(),
    },
    permission: everyUser,
    run: ({ node: where, storage: id, volume }, call) => {
      const { world, caller } = call;
      const volid = volidOf(id, volume);
      const kind = world.storages.contentOf(volid);
      world.access.check(caller, `/storage/${volid.split(":")[0]}`, ["Datastore.Allocate"]);
      const owner = world.storages.ownerOf(volid);
      const vm = owner === undefined ? undefined : world.vms.find(owner);
      if (kind === "images" && vm !== undefined) {
        const used = drivesOf(vm.config.values).some(([, { file }]) => file === volid);
        if (used) {
          throw fault(`Cannot remove image, a guest with VMID '${owner}' exists!`);
        }
      }
      return world.tasks.start(
        { node: where, type: "imgdel", id: volid.replaceAll(":", "@"), user: caller.id },
        (context) => {
          if (!world.storages.exists(where, volid)) throw fault(`volume '${volid}' does not exist`);
          world.storages.remove(where, volid);
          context.log(`Removed volume '${volid}'`);
          return Promise.resolve();
        },
      );
    },
  }),

  method("POST", "/nodes/{node}/storage/{storage}/upload", {
    params: {
      node,
      storage,
      checksum: optional(text({ requires: "checksum-algorithm" })),
      "checksum-algorithm": optional({ ...checksumAlgorithm, requires: "checksum" }),
      content,
      filename: text({ maxLength: 255 }),
      tmpfilename: optional(text({ pattern: "/var/tmp/pveupload-[0-9a-f]+" })),
    },
    permission: { check: ["perm", "/storage/{storage}", ["Datastore.AllocateTemplate"]] },
    run: (args, call) => {
      const { upload, world } = call;
      if (upload === undefined) throw badParameters({ filename: "no file was sent" });
      const target = fileFor(call, args.storage, args.content, path.basename(args.filename));
      return world.tasks.start(
        { node: args.node, type: "imgcopy", id: "", user: call.caller.id },
        async (context) => {
          try {
            await verify(upload.file, args["checksum-algorithm"], args.checksum);
            await copyFile(upload.file, target);
            context.log(`finished file import successfully`);
          } finally {
            await rm(upload.file, { force: true });
          }
        },
      );
    },
  }),

  method("POST", "/nodes/{node}/storage/{storage}/download-url", {
    params: {
      node,
      storage,
      checksum: optional(text({ requires: "checksum-algorithm" })),
      "checksum-algorithm": optional({ ...checksumAlgorithm, requires: "checksum" }),
      compression: optional(text()),
      content,
      filename: text({ maxLength: 255 }),
      url: text({ pattern: "https?://.*" }),
      "verify-certificates": optional(flag()),
    },
    permission: {
      check: [
        "and",
        ["perm", "/storage/{storage}", ["Datastore.AllocateTemplate"]],
        [
          "or",
          ["perm", "/", ["Sys.Audit", "Sys.Modify"]],
          ["perm", "/nodes/{node}", ["Sys.AccessNetwork"]],
        ],
      ],
    },
    run: (args, call) => {
      const { world } = call;
      if (args.compression !== undefined) {
        throw badParameters({ compression: "the lab does not decompress downloads" });
      }
      const target = fileFor(call, args.storage, args.content, args.filename);
      if (existsSync(target)) throw fault(`refusing to override existing file '${target}'`);
      return world.tasks.start(
        { node: args.node, type: "download", id: args.filename, user: call.caller.id },
        async (context) => {
          context.log(`downloading ${args.url} to ${args.filename}`);
          const part = `${target}.tmp`;
          try {
            await download(args.url, part, {
              verify: args["verify-certificates"] !== false,
              signal: context.signal,
            });
            await verify(part, args["checksum-algorithm"], args.checksum);
            await copyFile(part, target);
          } finally {
            await rm(part, { force: true });
          }
        },
      );
    },
  }),
];

const publicPath = (rest: { path: string; publicPath?: string | undefined }) =>
  rest.publicPath ?? rest.path;

function passes(check: () => void): boolean {
  try {
    check();
    return true;
  } catch (error) {
    if (error instanceof ApiError && error.status === 403) return false;
    throw error;
  }
}
