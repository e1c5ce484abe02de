/** Ids of tasks: `UPID:node:pid:pstart:starttime:type:id:user:`, figures in hexadecimal. */

export interface Upid {
  readonly node: string;
  readonly pid: number;
  readonly pstart: number;
  readonly starttime: number;
  readonly type: string;
  readonly id: string;
  readonly user: string;
}

const SHAPE =
  /^UPID:([a-zA-Z0-9-]+):([0-9A-Fa-f]{8,}):([0-9A-Fa-f]{8,9}):([0-9A-Fa-f]{8}):([^:\s]+):([^:\s]*):([^:\s]+):$/;

const hex = (value: number) => value.toString(16).toUpperCase().padStart(8, "0");

export function printUpid(upid: Upid): string {
  const { node, pid, pstart, starttime, type, id, user } = upid;
  return `UPID:${node}:${hex(pid)}:${hex(pstart)}:${hex(starttime)}:${type}:${id}:${user}:`;
}

export function parseUpid(text: string): Upid | undefined {
  const [, node, pid, pstart, starttime, type, id, user] = SHAPE.exec(text) ?? [];
  if (node === undefined || type === undefined || user === undefined) return undefined;
  return {
    node,
    pid: Number.parseInt(pid ?? "", 16),
    pstart: Number.parseInt(pstart ?? "", 16),
    starttime: Number.parseInt(starttime ?? "", 16),
    type,
    id: id ?? "",
    user,
  };
}
