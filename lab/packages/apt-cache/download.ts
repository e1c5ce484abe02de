/** One fetch of a file, which any number of clients can read while it goes on. */

import { createHash } from "node:crypto";
import { EventEmitter, once } from "node:events";
import { close, openSync, read, rmSync, write } from "node:fs";
import { promisify } from "node:util";

const readAt = promisify(read);
const writeAt = promisify(write);
const closeFile = promisify(close);

const CHUNK = 256 * 1024;

export interface Fetched {
  readonly sha256: string;
  readonly size: number;
}

export interface Expected {
  /** What the server announced. */
  readonly size?: number;
  /** What the name of the file says. */
  readonly sha256?: string;
}

/**
 * Writes a body to a file; `read` follows it, and gives its last byte only when the content is right
 * and kept: who has got all of it can rely on that. An error removes the file and ends the readers.
 */
export class Download {
  private readonly progress = new EventEmitter().setMaxListeners(0);
  private readonly output: number;
  private written = 0;
  private ended = false;
  private error: unknown;
  /** Resolves when the content is kept. */
  readonly done: Promise<void>;

  /**
   * @param file it must not exist yet
   * @param keep moves the file to where it stays, and says where that is
   */
  constructor(
    private file: string,
    body: AsyncIterable<Buffer>,
    expected: Expected,
    keep: (fetched: Fetched) => string,
  ) {
    this.output = openSync(file, "wx", 0o644);
    this.done = this.receive(body, expected)
      .then((fetched) => {
        this.file = keep(fetched);
      })
      .catch((error: unknown) => {
        this.error = error;
        rmSync(file, { force: true });
        throw error;
      })
      .finally(() => {
        this.ended = true;
        this.progress.emit("more");
      });
    // Whoever needs the result waits for it; a process must not end because nobody does.
    this.done.catch(() => undefined);
  }

  private async receive(body: AsyncIterable<Buffer>, expected: Expected): Promise<Fetched> {
    const hash = createHash("sha256");
    try {
      for await (const chunk of body) {
        hash.update(chunk);
        let done = 0;
        while (done < chunk.length) {
          const { bytesWritten } = await writeAt(this.output, chunk, done, chunk.length - done);
          done += bytesWritten;
        }
        this.written += chunk.length;
        this.progress.emit("more");
      }
    } finally {
      await closeFile(this.output);
    }
    const sha256 = hash.digest("hex");
    if (expected.size !== undefined && expected.size !== this.written) {
      throw new Error(`${this.written} of ${expected.size} bytes came`);
    }
    if (expected.sha256 !== undefined && expected.sha256 !== sha256) {
      throw new Error("the content does not have the hash that its name says");
    }
    return { sha256, size: this.written };
  }

  /** The body from its start, as it comes in. */
  async *read(): AsyncGenerator<Buffer> {
    if (this.error !== undefined) throw this.error;
    const file = openSync(this.file, "r");
    try {
      let position = 0;
      for (;;) {
        if (this.error !== undefined) throw this.error;
        const end = this.ended ? this.written : this.written - 1;
        if (position < end) {
          const buffer = Buffer.alloc(Math.min(end - position, CHUNK));
          const { bytesRead } = await readAt(file, buffer, 0, buffer.length, position);
          position += bytesRead;
          yield buffer.subarray(0, bytesRead);
        } else if (this.ended) {
          return;
        } else {
          await once(this.progress, "more");
        }
      }
    } finally {
      await closeFile(file);
    }
  }
}
