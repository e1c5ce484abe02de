/** MAC addresses, drawn with Proxmox VE's own prefix. */

import { randomBytes } from "node:crypto";

export function drawMac(): string {
  const tail = [...randomBytes(3)].map((byte) => byte.toString(16).padStart(2, "0"));
  return ["BC", "24", "11", ...tail].join(":").toUpperCase();
}
