import * as fs from "node:fs";
import * as path from "node:path";

/** Lists the files that are ours, so that nothing else is ever removed. */
const MARK = ".gitlab-runners-render";

/** A file to be written. */
export interface OutputFile {
  readonly content: string;
  /** Octal permissions. */
  readonly mode: number;
}

/** A folder that holds the rendered files, and nothing of anybody else. */
export class OutputFolder {
  constructor(private readonly folder: string) {}

  /**
   * Puts the files in the place of those of the last run.
   *
   * @throws Error when the folder has content that no earlier run has made
   */
  replaceWith(files: ReadonlyMap<string, OutputFile>): void {
    this.clear();
    const names = [...files.keys()].sort();
    // First, so that a run that is cut short can be told from a folder of somebody else.
    fs.writeFileSync(path.join(this.folder, MARK), names.map((name) => `${name}\n`).join(""));
    for (const [name, { content, mode }] of files) {
      const file = path.join(this.folder, name);
      fs.mkdirSync(path.dirname(file), { recursive: true });
      fs.writeFileSync(file, content);
      fs.chmodSync(file, mode);
    }
  }

  private clear(): void {
    if (fs.existsSync(this.folder) && !fs.statSync(this.folder).isDirectory()) {
      throw new Error(`${this.folder} is no folder: name another with --out`);
    }
    fs.mkdirSync(this.folder, { recursive: true });
    const mark = path.join(this.folder, MARK);
    if (!fs.existsSync(mark)) {
      if (fs.readdirSync(this.folder).length > 0) {
        throw new Error(
          `${this.folder} holds files that this command has not made: name a new or empty folder with --out`,
        );
      }
      return;
    }
    const names = fs.readFileSync(mark, "utf8").split("\n").filter(Boolean);
    for (const name of names) {
      // A list that somebody else has written must lead nowhere else.
      if (path.isAbsolute(name) || name.split("/").includes("..")) {
        throw new Error(
          `${mark} names "${name}", outside of the folder: remove the folder yourself`,
        );
      }
    }
    names.forEach((name) => fs.rmSync(path.join(this.folder, name), { force: true }));
    removeEmptyFolders(this.folder);
  }
}

function removeEmptyFolders(folder: string): void {
  for (const entry of fs.readdirSync(folder, { withFileTypes: true })) {
    if (entry.isDirectory()) {
      const inner = path.join(folder, entry.name);
      removeEmptyFolders(inner);
      if (fs.readdirSync(inner).length === 0) {
        fs.rmdirSync(inner);
      }
    }
  }
}
