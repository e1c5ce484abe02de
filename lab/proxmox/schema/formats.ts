/** Named formats of Proxmox VE's schema. */

import { isIP, isIPv4, isIPv6 } from "node:net";

type Check = (text: string) => boolean;

const DNS_LABEL = /^[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?$/;
const SIZE = /^(\d+(\.\d+)?)([KMGT])?$/;
const STORAGE = /^[a-z][a-z0-9._-]*[a-z0-9]$/i;
const CONFIG_ID = /^[a-z][a-z0-9_-]+$/i;

const isCidr: Check = (text) => {
  const [address, bits, more] = text.split("/");
  if (address === undefined || bits === undefined || more !== undefined) return false;
  const most = isIPv4(address) ? 32 : isIPv6(address) ? 128 : -1;
  return /^\d+$/.test(bits) && Number(bits) <= most;
};
const isAddress: Check = (text) => isIP(text) !== 0;
const isVmId: Check = (text) => /^[1-9][0-9]{2,8}$/.test(text);
const isConfigId: Check = (text) => CONFIG_ID.test(text);
const isStorage: Check = (text) => STORAGE.test(text);
const isVolume: Check = (text) => /^[^:\s]+:\S+$/.test(text) && isStorage(text.split(":")[0] ?? "");
const each =
  (check: Check, separator = /[;,\s\0]+/): Check =>
  (text) =>
    text.split(separator).filter(Boolean).every(check);
const keyed =
  (keys: Readonly<Record<string, Check>>): Check =>
  (text) =>
    text.split(",").every((part) => {
      const [, key, value] = /^([^=]+)=(.*)$/s.exec(part) ?? [];
      return key !== undefined && keys[key]?.(value ?? "") === true;
    });
const isTag: Check = (text) => /^[a-z0-9_][a-z0-9_\-+.]*$/i.test(text);
const isAlias: Check = (text) => /^(?:(?:dc|guest)\/)?[a-zA-Z][\w-]+$/.test(text);
const isPort: Check = (text) =>
  text.split(",").every((part) => /^(\d+|[a-z][\w-]*)(:(\d+))?$/i.test(part));

/** The check and what is said when it fails. */
const FORMATS: Readonly<Record<string, readonly [Check, string]>> = {
  "pve-vmid": [isVmId, "value does not look like a valid VM ID"],
  "pve-vmid-list": [each(isVmId), "value does not look like a valid VM ID"],
  "pve-node": [(text) => DNS_LABEL.test(text), "value does not look like a valid node name"],
  "dns-name": [
    (text) => text.split(".").every((label) => DNS_LABEL.test(label)),
    "value does not look like a valid DNS name",
  ],
  "pve-configid": [isConfigId, "invalid configuration ID"],
  "pve-configid-list": [each(isConfigId), "invalid configuration ID"],
  "pve-storage-id": [isStorage, "invalid storage ID"],
  "pve-storage-id-list": [each(isStorage), "invalid storage ID"],
  "storage-pair-list": [
    each((text) => text === "1" || text.split(":").every(isStorage)),
    "invalid map",
  ],
  "pve-poolid": [
    (text) => /^[A-Za-z0-9.\-_]+(\/[A-Za-z0-9.\-_]+){0,2}$/.test(text),
    "value contains invalid characters",
  ],
  "pve-volume-id": [isVolume, "invalid volume ID"],
  "pve-volume-id-or-qm-path": [
    (text) => text === "none" || text === "cdrom" || text.startsWith("/") || isVolume(text),
    "invalid volume ID",
  ],
  "pve-volume-id-or-absolute-path": [
    (text) => text.startsWith("/") || isVolume(text),
    "invalid volume ID",
  ],
  "disk-size": [(text) => SIZE.test(text), "value does not look like a valid disk size"],
  urlencoded: [(text) => /^[-%a-zA-Z0-9_.!~*'()]*$/.test(text), "invalid urlencoded string"],
  "address-list": [each(isAddress), "value does not look like a valid IP address"],
  "mac-addr": [
    (text) => /^[a-f0-9][02468ace](?::[a-f0-9]{2}){5}$/i.test(text),
    "value does not look like a valid unicast MAC address",
  ],
  "pve-bridge-id": [(text) => /^[-_.\w]+$/.test(text), "invalid bridge ID"],
  "pve-tag-list": [each(isTag), "invalid characters in tag"],
  "pve-realm": [(text) => /^[A-Za-z][A-Za-z0-9.\-_]+$/.test(text), "value does not look valid"],
  "pve-priv-list": [each((text) => /^[\w.]+$/.test(text)), "invalid privilege"],
  "pve-qm-boot": [
    (text) =>
      /^(legacy=)?[acdn]{1,4}$/.test(text) || /^order=([a-z]+\d+(;[a-z]+\d+)*)?$/.test(text),
    "invalid boot order",
  ],
  "pve-qm-bootdisk": [(text) => /^(ide|sata|scsi|virtio)\d+$/.test(text), "invalid boot disk"],
  "pve-qm-ide": [(text) => text !== "", "invalid drive"],
  "pve-qm-cicustom": [
    keyed({ meta: isVolume, network: isVolume, user: isVolume, vendor: isVolume }),
    "format error",
  ],
  "pve-qm-ipconfig": [
    keyed({
      ip: (text) => text === "dhcp" || (isCidr(text) && !text.includes(":")),
      gw: isIPv4,
      ip6: (text) => text === "dhcp" || text === "auto" || (isCidr(text) && text.includes(":")),
      gw6: isIPv6,
    }),
    "format error",
  ],
  "pve-startup-order": [
    (text) => text.split(",").every((part) => /^((order|up|down)=)?\d+$/.test(part)),
    "unable to parse startup options",
  ],
  "pve-hotplug-features": [
    (text) =>
      /^[01]$/.test(text) || each((f) => /^(network|disk|cpu|memory|usb|cloudinit)$/.test(f))(text),
    "invalid hotplug feature",
  ],
  "pve-vm-cpu-conf": [
    (text) =>
      /^(cputype=)?[\w.-]+(,(flags|hidden|hv-vendor-id|phys-bits|guest-phys-bits|reported-model)=[^,]+)*$/.test(
        text,
      ),
    "format error",
  ],
  "pve-cpuset": [(text) => /^\d+(-\d+)?(,\d+(-\d+)?)*$/.test(text), "invalid cpuset"],
  "pve-qm-smbios1": [
    (text) =>
      text
        .split(",")
        .every((part) =>
          /^(uuid|base64|family|manufacturer|product|serial|sku|version)=\S*$/.test(part),
        ),
    "format error",
  ],
  "pve-qm-rng": [
    (text) => /^(source=)?\/dev\/(u?random|hwrng)(,(max_bytes|period)=\d+)*$/.test(text),
    "format error",
  ],
  "pve-qm-watchdog": [
    (text) =>
      /^(model=)?(i6300esb|ib700)(,action=(reset|shutdown|poweroff|pause|debug|none))?$/.test(text),
    "format error",
  ],
  "pve-storage-content": [isConfigId, "invalid content type"],
  "pve-storage-content-list": [each(isConfigId), "invalid content type"],
  "pve-iface": [(text) => /^[a-zA-Z][\w.:-]{1,19}$/.test(text), "invalid network interface name"],
  CIDR: [isCidr, "value does not look like a valid network"],
  IPorCIDR: [(text) => isAddress(text) || isCidr(text), "value is not an IP address or network"],
  IPorCIDRorAlias: [
    (text) => isAddress(text) || isCidr(text) || isAlias(text),
    "value is not an IP address, network or alias",
  ],
  "pve-fw-addr-spec": [
    each((text) => {
      const single = text.replace(/^\+/, "");
      const range = text.split("-");
      return (
        isAddress(text) ||
        isCidr(text) ||
        isAlias(single) ||
        (range.length === 2 && range.every(isAddress))
      );
    }, /,/),
    "invalid address specification",
  ],
  "pve-fw-dport-spec": [isPort, "invalid port"],
  "pve-fw-sport-spec": [isPort, "invalid port"],
  "pve-fw-protocol-spec": [(text) => /^[a-z0-9-]+$/i.test(text), "unknown protocol"],
  "pve-fw-icmp-type-spec": [(text) => /^[a-z0-9-/]+$/i.test(text), "unknown icmp-type"],
  "pve-ha-resource-or-vm-id": [
    (text) => /^(vm|ct):\d+$/.test(text) || isVmId(text),
    "value does not look like a valid HA resource ID",
  ],
};

/** Formats of hardware that no guest of the lab can have: they are stored as they come. */
const UNCHECKED = new Set(["pve-qm-hostpci", "pve-qemu-sev-fmt", "pve-qemu-tdx-fmt"]);

/** @returns what is wrong; undefined when the value fits */
export function checkFormat(name: string, text: string): string | undefined {
  const format = FORMATS[name];
  if (format === undefined) {
    if (UNCHECKED.has(name)) return undefined;
    throw new Error(`no check for the format ${name}`);
  }
  return format[0](text) ? undefined : format[1];
}

const UNITS = { K: 1024, M: 1024 ** 2, G: 1024 ** 3, T: 1024 ** 4 } as const;

/** Bytes of a disk size such as `40G`. @returns undefined when it is none */
export function parseSize(text: string): number | undefined {
  const [, figure, , unit] = SIZE.exec(text) ?? [];
  if (figure === undefined) return undefined;
  return Math.trunc(Number(figure) * (unit === undefined ? 1 : UNITS[unit as keyof typeof UNITS]));
}

/** The largest unit that leaves no fraction. */
export function formatSize(bytes: number): string {
  for (const unit of ["T", "G", "M", "K"] as const) {
    if (bytes >= UNITS[unit] && bytes % UNITS[unit] === 0) return `${bytes / UNITS[unit]}${unit}`;
  }
  return String(bytes);
}
