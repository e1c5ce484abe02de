/** Makes the VMs that the configuration calls templates. */

import { existsSync, lstatSync, mkdirSync, readlinkSync, rmSync, symlinkSync } from "node:fs";
import path from "node:path";

import { IMAGE_BYTES } from "./cloudinit/image";
import type { TemplateConfig } from "./config";
import { formatSize } from "./schema/formats";
import { emptyConfig } from "./vm/config-file";
import { drawMac } from "./vm/mac";
import { newSmbios, normaliseTags } from "./vm/options";
import type { World } from "./world";

/** Adds templates that are missing, and leaves those alone that there are. */
export async function ensureTemplates(world: World): Promise<void> {
  for (const template of world.config.templates) {
    const { vmid, guest: kind, dir } = template;
    world.guests.setOrigin(vmid, { kind, template: path.resolve(dir) });
    linkDisk(world, template);
    if (world.vms.nodeOf(vmid) === undefined) await makeTemplate(world, template);
  }
}

const diskOf = ({ vmid, storage }: TemplateConfig) => `${storage}:base-${vmid}-disk-0`;

/** The template's disk is read where it was built. */
function linkDisk(world: World, template: TemplateConfig): void {
  const source = path.join(path.resolve(template.dir), "disk.qcow2");
  if (!existsSync(source)) {
    throw new Error(`${source} is missing: build the template with lab/template/build.sh`);
  }
  const link = world.storages.file(template.node, diskOf(template));
  mkdirSync(path.dirname(link), { recursive: true });
  const there = lstatSync(link, { throwIfNoEntry: false });
  if (there?.isSymbolicLink() === true && readlinkSync(link) === source) return;
  rmSync(link, { force: true });
  symlinkSync(source, link);
}

async function makeTemplate(world: World, template: TemplateConfig): Promise<void> {
  const { vmid, node, storage, name, tags, memory, cores, agent } = template;
  const { storages } = world;
  const disk = diskOf(template);
  const { size } = storages.info(node, disk);
  const seed = `${storage}:vm-${vmid}-cloudinit`;
  if (storages.exists(node, seed)) storages.remove(node, seed);
  await storages.allocate(node, storage, vmid, "raw", IMAGE_BYTES, `vm-${vmid}-cloudinit`);
  const config = emptyConfig();
  const options: Record<string, string> = {
    boot: "order=scsi0",
    cores: String(cores),
    cpu: "host",
    ide2: `${seed},media=cdrom,size=4M`,
    memory: String(memory),
    name,
    net0: `virtio=${drawMac()},bridge=${world.config.network.bridge}`,
    ostype: "l26",
    scsi0: `${disk},discard=on,iothread=1,size=${formatSize(size)},ssd=1`,
    scsihw: "virtio-scsi-single",
    serial0: "socket",
    smbios1: newSmbios(),
    template: "1",
    vga: "serial0",
    ...(agent ? { agent: "enabled=1" } : {}),
    ...(tags.length > 0 ? { tags: normaliseTags(tags.join(";")) } : {}),
  };
  for (const [key, value] of Object.entries(options)) config.values.set(key, value);
  world.vms.create(node, vmid, config);
}
