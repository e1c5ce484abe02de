/** Logs and artifacts of jobs, as files below the state folder. */

import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeSync,
} from "node:fs";
import path from "node:path";
import { crc32 } from "node:zlib";

/** How long a log counts as watched after somebody read it, in milliseconds. */
const WATCHED_MS = 60_000;
/** Log updates while somebody reads the log, in seconds. */
const WATCHED_INTERVAL = 3;

export class JobFiles {
  private readonly watched = new Map<number, number>();

  constructor(readonly root: string) {
    mkdirSync(root, { recursive: true, mode: 0o700 });
  }

  /** Folder of a job, made when needed. */
  directory(jobId: number): string {
    const dir = path.join(this.root, String(jobId));
    mkdirSync(dir, { recursive: true, mode: 0o700 });
    return dir;
  }

  artifact(jobId: number, fileType: string): string {
    return path.join(this.directory(jobId), `artifact-${fileType}`);
  }

  traceSize(jobId: number): number {
    return statSync(this.trace(jobId), { throwIfNoEntry: false })?.size ?? 0;
  }

  readTrace(jobId: number): Buffer {
    this.watched.set(jobId, Date.now());
    const file = this.trace(jobId);
    return existsSync(file) ? readFileSync(file) : Buffer.alloc(0);
  }

  /**
   * Appends to the log if `offset` is where it ends.
   *
   * @returns the log's size afterwards.
   */
  appendTrace(jobId: number, offset: number, data: Buffer): number {
    const size = this.traceSize(jobId);
    if (size !== offset) return size;
    const file = openSync(this.trace(jobId), "a", 0o600);
    try {
      writeSync(file, data);
    } finally {
      closeSync(file);
    }
    return size + data.length;
  }

  /** Throws the log away, so that it can be sent again. */
  resetTrace(jobId: number): void {
    if (existsSync(this.trace(jobId))) truncateSync(this.trace(jobId));
  }

  /** Checksum of the log as runners write it: `crc32:` and eight hexadecimal digits. */
  traceChecksum(jobId: number): string {
    const file = this.trace(jobId);
    const sum = existsSync(file) ? crc32(readFileSync(file)) : 0;
    return `crc32:${sum.toString(16).padStart(8, "0")}`;
  }

  /** Seconds between two updates of the log that the runner should send. */
  traceInterval(jobId: number, unwatched: number): number {
    const seen = this.watched.get(jobId);
    return seen !== undefined && Date.now() - seen < WATCHED_MS ? WATCHED_INTERVAL : unwatched;
  }

  remove(jobId: number): void {
    this.watched.delete(jobId);
    rmSync(path.join(this.root, String(jobId)), { recursive: true, force: true });
  }

  private trace(jobId: number): string {
    return path.join(this.directory(jobId), "trace.log");
  }
}
