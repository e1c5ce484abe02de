/**
 * Answers kept on disk: contents by their SHA-256, and for each URL which content it had.
 *
 *   content/ab/abcdef…      a content
 *   urls/0123….json         an `Entry`; the file's time is that of its last use
 */

import { createHash, randomUUID } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import path from "node:path";

export interface Entry {
  readonly url: string;
  readonly host: string;
  readonly sha256: string;
  readonly size: number;
  /** Headers of the answer, as its server sent them. */
  readonly type?: string;
  readonly lastModified?: string;
  readonly etag?: string;
  /** When the server was last asked whether it still holds, in milliseconds since 1970. */
  readonly checked: number;
}

export class Store {
  constructor(private readonly folder: string) {
    mkdirSync(path.join(folder, "content"), { recursive: true });
    mkdirSync(path.join(folder, "urls"), { recursive: true });
  }

  /** A file to write a content to before its hash is known. */
  temporary(): string {
    return path.join(this.folder, `content/new-${randomUUID()}`);
  }

  contentFile(sha256: string): string {
    return path.join(this.folder, "content", sha256.slice(0, 2), sha256);
  }

  /** The entry of a URL whose content is there whole. */
  find(url: string): Entry | undefined {
    const file = this.entryFile(url);
    const entry = readEntry(file);
    if (entry === undefined) return undefined;
    const content = this.contentFile(entry.sha256);
    if (!existsSync(content) || statSync(content).size !== entry.size) return undefined;
    utimesSync(file, new Date(), new Date());
    return entry;
  }

  /**
   * Takes a temporary file over as the content of an entry.
   *
   * @returns where the content is now
   */
  keep(temporary: string, entry: Entry): string {
    const file = this.contentFile(entry.sha256);
    mkdirSync(path.dirname(file), { recursive: true });
    renameSync(temporary, file);
    this.write(entry);
    return file;
  }

  write(entry: Entry): void {
    const temporary = this.temporary();
    writeFileSync(temporary, JSON.stringify(entry));
    renameSync(temporary, this.entryFile(entry.url));
  }

  /** Has every changing answer of a host asked for again. */
  expire(host: string): void {
    for (const entry of this.entries()) {
      if (entry.host === host && entry.checked !== 0) this.write({ ...entry, checked: 0 });
    }
  }

  /** Removes what nobody has asked for since `before`, and what a killed process left behind. */
  prune(before: Date): void {
    const kept = new Set<string>();
    for (const name of readdirSync(path.join(this.folder, "urls"))) {
      const file = path.join(this.folder, "urls", name);
      const entry = readEntry(file);
      if (entry === undefined || statSync(file).mtime < before) rmSync(file);
      else kept.add(entry.sha256);
    }
    for (const name of readdirSync(path.join(this.folder, "content"), { recursive: true })) {
      const file = path.join(this.folder, "content", String(name));
      if (statSync(file).isFile() && !kept.has(path.basename(file))) rmSync(file);
    }
  }

  private entries(): Entry[] {
    const folder = path.join(this.folder, "urls");
    return readdirSync(folder)
      .map((name) => readEntry(path.join(folder, name)))
      .filter((entry) => entry !== undefined);
  }

  private entryFile(url: string): string {
    const name = createHash("sha256").update(url).digest("hex");
    return path.join(this.folder, "urls", `${name}.json`);
  }
}

function readEntry(file: string): Entry | undefined {
  try {
    return JSON.parse(readFileSync(file, "utf8")) as Entry;
  } catch {
    return undefined;
  }
}
