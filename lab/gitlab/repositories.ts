/** Bare git repositories made from the projects' folders, and what the API reads out of them. */

import { execFile, type ExecFileException } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import path from "node:path";

import type { Project } from "./config";

/** Every commit has this author and date, so that the same content gives the same commit. */
const AUTHOR = { name: "GitLab lab", email: "lab@example.invalid" };
const DATE = "2026-01-01T00:00:00Z";

export interface Commit {
  readonly id: string;
  readonly parents: readonly string[];
  readonly author: string;
  readonly email: string;
  readonly date: string;
  readonly title: string;
}

/** Environment of every git process: nothing of the user's configuration, nothing interactive. */
export function gitEnvironment(): NodeJS.ProcessEnv {
  return {
    PATH: process.env.PATH,
    LC_ALL: "C",
    HOME: "/nonexistent",
    GIT_CONFIG_NOSYSTEM: "1",
    GIT_CONFIG_GLOBAL: "/dev/null",
    GIT_TERMINAL_PROMPT: "0",
    GIT_AUTHOR_NAME: AUTHOR.name,
    GIT_AUTHOR_EMAIL: AUTHOR.email,
    GIT_AUTHOR_DATE: DATE,
    GIT_COMMITTER_NAME: AUTHOR.name,
    GIT_COMMITTER_EMAIL: AUTHOR.email,
    GIT_COMMITTER_DATE: DATE,
  };
}

export class Repositories {
  /** Work on one repository goes one after the other. */
  private readonly queues = new Map<number, Promise<unknown>>();

  constructor(readonly root: string) {
    mkdirSync(root, { recursive: true, mode: 0o700 });
  }

  /** Folder of a project's repository, below `root`. */
  directory(project: Project): string {
    return path.join(this.root, `${project.path}.git`);
  }

  /**
   * Brings the default branch to what the project's folder holds: a new commit on top when the
   * content has changed, nothing otherwise.
   *
   * @returns the branch's commit.
   */
  sync(project: Project): Promise<string> {
    const before = this.queues.get(project.id) ?? Promise.resolve();
    const next = before.then(() => this.commitFolder(project));
    this.queues.set(
      project.id,
      next.catch(() => undefined),
    );
    return next;
  }

  private async commitFolder(project: Project): Promise<string> {
    const branch = `refs/heads/${project.defaultBranch}`;
    const dir = this.directory(project);
    if (!existsSync(project.dir)) {
      throw new Error(`project ${project.path}: its folder ${project.dir} does not exist`);
    }
    if (!existsSync(path.join(dir, "HEAD"))) {
      mkdirSync(dir, { recursive: true });
      await this.git(project, ["init", "--quiet", "--bare", `-b${project.defaultBranch}`, "."]);
    }
    const scratch = mkdtempSync(path.join(dir, "index-"));
    try {
      const index = { GIT_INDEX_FILE: path.join(scratch, "index") };
      await this.git(project, ["--work-tree", project.dir, "add", "--all", "--force", "."], index);
      const tree = await this.git(project, ["write-tree"], index);
      const head = await this.resolve(project, branch);
      if (
        head !== undefined &&
        (await this.git(project, ["rev-parse", `${head}^{tree}`])) === tree
      ) {
        return head;
      }
      const parent = head === undefined ? [] : ["-p", head];
      const message = head === undefined ? "Initial commit" : "Update from the folder";
      const commit = await this.git(project, ["commit-tree", tree, ...parent, "-m", message]);
      await this.git(project, ["update-ref", branch, commit]);
      return commit;
    } finally {
      rmSync(scratch, { recursive: true, force: true });
    }
  }

  /** Full name and commit of a branch, a tag or a full ref name; commits are no refs. */
  async findRef(
    project: Project,
    ref: string,
  ): Promise<{ name: string; tag: boolean; sha: string } | undefined> {
    const short = ref.replace(/^refs\/(heads|tags)\//, "");
    const kinds = ref.startsWith("refs/tags/")
      ? ["tags"]
      : ref.startsWith("refs/heads/")
        ? ["heads"]
        : ["heads", "tags"];
    for (const kind of kinds) {
      const sha = await this.resolve(project, `refs/${kind}/${short}`);
      if (sha !== undefined) return { name: short, tag: kind === "tags", sha };
    }
    return undefined;
  }

  /** The commit that a revision names, if it names one. */
  async resolve(project: Project, revision: string): Promise<string | undefined> {
    const args = ["rev-parse", "--quiet", "--verify", "--end-of-options", `${revision}^{commit}`];
    return this.git(project, args).catch(() => undefined);
  }

  /** Content of a file at a commit; undefined when it is not there. */
  async readFile(project: Project, sha: string, file: string): Promise<string | undefined> {
    const type = await this.git(project, ["cat-file", "-t", `${sha}:${file}`]).catch(() => "");
    if (type !== "blob") return undefined;
    return this.git(project, ["cat-file", "blob", `${sha}:${file}`], {}, false);
  }

  /** Paths of all files at a commit. */
  async listFiles(project: Project, sha: string): Promise<string[]> {
    const text = await this.git(project, ["ls-tree", "-r", "-z", "--name-only", sha]);
    return text.split("\0").filter((name) => name !== "");
  }

  async commit(project: Project, sha: string): Promise<Commit | undefined> {
    const id = await this.resolve(project, sha);
    if (id === undefined) return undefined;
    const text = await this.git(project, ["log", "-1", "--format=%P%n%an%n%ae%n%cI%n%s", id]);
    const [parents = "", author = "", email = "", date = "", title = ""] = text.split("\n");
    return { id, parents: parents.split(" ").filter(Boolean), author, email, date, title };
  }

  async branches(project: Project): Promise<{ name: string; sha: string }[]> {
    const format = "--format=%(objectname) %(refname:lstrip=2)";
    const text = await this.git(project, ["for-each-ref", format, "refs/heads/"]);
    return text
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => ({ sha: line.slice(0, line.indexOf(" ")), name: line.slice(41) }));
  }

  /** @returns false when the name is no valid branch name. */
  async createBranch(project: Project, name: string, sha: string): Promise<boolean> {
    try {
      await this.git(project, ["check-ref-format", "--branch", name]);
      await this.git(project, ["update-ref", `refs/heads/${name}`, sha]);
      return true;
    } catch {
      return false;
    }
  }

  /** Keeps a pipeline's commit fetchable, whatever happens to its branch. */
  async keepForPipeline(project: Project, pipelineId: number, sha: string): Promise<void> {
    await this.git(project, ["update-ref", `refs/pipelines/${pipelineId}`, sha]);
  }

  async deleteBranch(project: Project, name: string): Promise<void> {
    await this.git(project, ["update-ref", "-d", `refs/heads/${name}`]);
  }

  private git(
    project: Project,
    args: readonly string[],
    env: NodeJS.ProcessEnv = {},
    trim = true,
  ): Promise<string> {
    const dir = this.directory(project);
    return new Promise((resolve, reject) => {
      const options = {
        cwd: dir,
        env: { ...gitEnvironment(), ...env, GIT_DIR: dir },
        maxBuffer: 16 * 1024 * 1024,
      };
      const done = (error: ExecFileException | null, stdout: string, stderr: string) => {
        if (error === null) return resolve(trim ? stdout.trimEnd() : stdout);
        const reason = stderr.trim() === "" ? error.message : stderr.trim();
        reject(new Error(`git ${args[0] ?? ""} for project ${project.path}: ${reason}`));
      };
      execFile("git", args, options, done);
    });
  }
}
