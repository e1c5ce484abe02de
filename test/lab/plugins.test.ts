/**
 * The command and random plugins under the real CLI, against a real sshd on loopback: what was
 * observed with the published plugins. Whoever has those runs it with LAB_PLUGINS.
 */

import { type ChildProcess, spawn } from "node:child_process";
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import net from "node:net";
import os from "node:os";
import path from "node:path";

import { ROOT } from "../../lab/paths";
import { run, type RunResult } from "../../lab/run";

const PASSPHRASE = "a passphrase for one test";
const STDIN = "s3cr3t-one";

interface Spec {
  [name: string]: { type: string; args: Record<string, unknown>; out?: string };
}

describe("the plugins that the program stands on", () => {
  const folder = mkdtempSync(path.join(os.tmpdir(), "plugins-"));
  const at = (...parts: string[]) => path.join(folder, ...parts);
  const read = (...parts: string[]) => readFileSync(at(...parts), "utf8");
  const record = at("record");
  const recorded = () =>
    existsSync(record) ? readFileSync(record, "utf8").trim().split("\n") : [];
  const note = (word: string) => `echo ${word} >> ${record}`;
  let sshd: ChildProcess;
  let port = 0;
  let hostKey = "";
  let otherKey = "";
  let privateKey = "";

  /** How often someone has logged in so far. */
  const logins = () => read("sshd.log").split("Accepted publickey").length - 1;

  const connection = (more: Record<string, unknown> = {}) => ({
    host: "127.0.0.1",
    port,
    user: "root",
    privateKey,
    hostKey,
    dialErrorLimit: 2,
    ...more,
  });

  function write(spec: Spec): void {
    writeFileSync(at("program", "spec.json"), JSON.stringify(spec));
  }

  async function pulumi(args: string[], spec?: Spec): Promise<RunResult & { all: string }> {
    if (spec !== undefined) write(spec);
    const line = 'eval "$("$0" env "$1")" && shift && exec pulumi "$@"';
    const result = await run(
      "bash",
      ["-c", line, path.join(ROOT, "tools", "toolchain.sh"), at("home"), ...args],
      {
        limit: 120,
        cwd: at("program"),
        accept: [0, 1, 2, 4, 7, 255],
        env: {
          ...process.env,
          PULUMI_BACKEND_URL: `file://${at("state")}`,
          PULUMI_CONFIG_PASSPHRASE: PASSPHRASE,
          SSH_AUTH_SOCK: undefined,
        },
      },
    );
    return { ...result, all: result.stdout + result.stderr };
  }

  const common = ["--stack", "test", "--non-interactive", "--color", "never"];
  const preview = (spec: Spec, ...more: string[]) =>
    pulumi(["preview", "--diff", ...common, ...more], spec);
  async function up(spec: Spec): Promise<RunResult & { all: string }> {
    return pulumi(["up", "--yes", "--skip-preview", ...common], spec);
  }
  async function good(spec: Spec): Promise<string> {
    const { status, all } = await up(spec);
    expect({ status, all }).toMatchObject({ status: 0 });
    return all;
  }
  async function bad(spec: Spec): Promise<string> {
    const { status, all } = await up(spec);
    expect(status).not.toBe(0);
    return all;
  }

  interface Deployed {
    urn: string;
    id: string;
    inputs: Record<string, unknown>;
    outputs: Record<string, unknown>;
  }
  async function state(name: string): Promise<Deployed | undefined> {
    const { stdout } = await pulumi(["stack", "export", "--stack", "test"]);
    const { deployment } = JSON.parse(stdout) as { deployment: { resources?: Deployed[] } };
    return deployment.resources?.find((resource) => resource.urn.endsWith(`::${name}`));
  }

  const command = (args: Record<string, unknown>, out?: string): Spec => ({
    it: { type: "remote.Command", args: { connection: connection(), ...args }, out },
  });
  const copy = (source: unknown, remotePath: string, more: Record<string, unknown> = {}): Spec => ({
    files: {
      type: "remote.CopyToRemote",
      args: { connection: connection(more), source, remotePath },
    },
  });

  beforeAll(async () => {
    mkdirSync(at("home"));
    mkdirSync(at("state"));
    mkdirSync(at("program"));
    cpSync(path.join(__dirname, "plugins", "index.js"), at("program", "index.js"));
    writeFileSync(
      at("program", "Pulumi.yaml"),
      "name: plugins\nruntime: { name: nodejs, options: { typescript: false } }\nmain: index.js\n",
    );
    symlinkSync(path.join(ROOT, "node_modules"), at("program", "node_modules"));
    mkdirSync(at("program", "steps", "deep"), { recursive: true });
    writeFileSync(at("program", "steps", "run.sh"), "echo one\n");
    chmodSync(at("program", "steps", "run.sh"), 0o755);
    writeFileSync(at("program", "steps", "deep", "more"), "more\n");

    for (const name of ["host", "other", "user"]) {
      await run("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", at(name)], { limit: 30 });
    }
    hostKey = read("host.pub").trim();
    otherKey = read("other.pub").trim();
    privateKey = read("user");
    port = await freePort();
    writeFileSync(
      at("sshd_config"),
      [
        `Port ${port}`,
        "ListenAddress 127.0.0.1",
        `HostKey ${at("host")}`,
        `AuthorizedKeysFile ${at("user.pub")}`,
        `PidFile ${at("sshd.pid")}`,
        "PermitRootLogin prohibit-password",
        "StrictModes no",
        "UsePAM no",
        "Subsystem sftp internal-sftp",
        "",
      ].join("\n"),
    );
    mkdirSync("/run/sshd", { recursive: true });
    sshd = spawn("/usr/sbin/sshd", ["-D", "-f", at("sshd_config"), "-E", at("sshd.log")]);
    await run("bash", [path.join(ROOT, "tools", "toolchain.sh"), "install", at("home")], {
      limit: 60,
    });
    const init = await pulumi(["stack", "init", "test", "--non-interactive"]);
    expect(init).toMatchObject({ status: 0 });
    for (let tries = 0; !(await answers(port)); tries++) {
      expect(tries).toBeLessThan(100);
    }
  });

  afterAll(() => {
    sshd?.kill();
    rmSync(folder, { recursive: true, force: true });
  });

  afterEach(async () => {
    await pulumi(["destroy", "--yes", "--skip-preview", ...common], {});
    rmSync(record, { force: true });
  });

  describe("remote.CopyToRemote", () => {
    test("refuses an archive of assets in the preview already", async () => {
      const { status, all } = await preview(copy({ $assetArchive: { a: "b" } }, at("to")));
      expect(status).not.toBe(0);
      expect(all).toContain(
        "property archive value {<nil>} has a problem: archive must be a path to a file or directory",
      );
    });

    test("puts a folder into the path, its content with a slash, makes parents, keeps no mode", async () => {
      await good({
        ...copy({ $fileArchive: "./steps" }, at("a", "b")),
        content: {
          type: "remote.CopyToRemote",
          args: {
            connection: connection(),
            source: { $fileArchive: "./steps/" },
            remotePath: at("c", "d"),
          },
        },
        text: {
          type: "remote.CopyToRemote",
          args: {
            connection: connection(),
            source: { $stringAsset: "a text" },
            remotePath: at("e", "f", "text"),
          },
        },
        file: {
          type: "remote.CopyToRemote",
          args: {
            connection: connection(),
            source: { $fileAsset: "steps/run.sh" },
            remotePath: at("g", "file"),
          },
        },
      });
      expect(read("a", "b", "steps", "run.sh")).toBe("echo one\n");
      expect(read("a", "b", "steps", "deep", "more")).toBe("more\n");
      expect(read("c", "d", "run.sh")).toBe("echo one\n");
      expect(read("e", "f", "text")).toBe("a text");
      expect(read("g", "file")).toBe("echo one\n");
      expect(statSync(at("a", "b", "steps", "run.sh")).mode & 0o777).toBe(0o644);
    });

    test("copies again for another source only; what was copied before stays", async () => {
      const source = { $fileArchive: "./steps" };
      await good(copy(source, at("again")));
      const before = logins();

      // Another connection alone is noted without a connection.
      expect(await good(copy(source, at("again"), { dialErrorLimit: 3 }))).toMatch(/updated/);
      expect(logins()).toBe(before);

      const added = at("program", "steps", "added");
      writeFileSync(added, "new\n");
      try {
        const shown = await preview(copy(source, at("again"), { dialErrorLimit: 3 }));
        expect(shown.all).toMatch(/~ source: archive\(file:[0-9a-f]+->[0-9a-f]+\) \{ \.\/steps \}/);
        expect(logins()).toBe(before);
        await good(copy(source, at("again"), { dialErrorLimit: 3 }));
      } finally {
        rmSync(added);
      }
      expect(read("again", "steps", "added")).toBe("new\n");
      await good(copy(source, at("again"), { dialErrorLimit: 3 }));
      expect(existsSync(at("again", "steps", "added"))).toBe(true);

      const destroyed = await pulumi(["destroy", "--yes", "--skip-preview", ...common], {});
      expect(destroyed).toMatchObject({ status: 0 });
      expect(existsSync(at("again", "steps", "run.sh"))).toBe(true);
    });
  });

  describe("remote.Command", () => {
    test("hides the connection and stdin in state and output, and nothing else", async () => {
      const create = "read -r word; echo got $word";
      const all = await good(command({ create, stdin: { $secret: STDIN } }, "stdout"));
      expect(all).toContain(`got ${STDIN}`);
      const it = await state("it");
      expect(it?.id).toMatch(/^[0-9a-f]{8}$/);
      expect(it?.inputs).toMatchObject({ create });
      expect(it?.outputs).toMatchObject({ create, stdout: `got ${STDIN}`, stderr: "" });
      for (const values of [it?.inputs, it?.outputs]) {
        expect(Object.keys(values?.connection as object)).toContain("ciphertext");
        expect(Object.keys(values?.stdin as object)).toContain("ciphertext");
        expect(JSON.stringify(values)).not.toContain("OPENSSH PRIVATE KEY");
      }
    });

    test("runs create again for another stdin, update where there is one, and delete at the end", async () => {
      const create = `${note("create")}`;
      const stdin = (text: string) => ({ $secret: text });
      const end = note("delete");
      await good(command({ create, stdin: stdin("a"), delete: end }));
      expect(recorded()).toEqual(["create"]);

      const shown = await preview(command({ create, stdin: stdin("b"), delete: end }));
      expect(shown.all).toMatch(/~ stdin: \[secret\] => \[secret\]/);
      expect(recorded()).toEqual(["create"]);

      await good(command({ create, stdin: stdin("b"), delete: end }));
      expect(recorded()).toEqual(["create", "create"]);

      const update = note("update");
      await good(command({ create, stdin: stdin("b"), delete: end, update }));
      expect(recorded()).toEqual(["create", "create", "update"]);

      const before = logins();
      const refreshed = await pulumi(["refresh", "--yes", "--skip-preview", ...common]);
      expect(refreshed.all).toMatch(/1 unchanged|2 unchanged/);
      const unchanged = await preview(
        command({ create, stdin: stdin("b"), delete: end, update }),
        "--expect-no-changes",
      );
      expect(unchanged).toMatchObject({ status: 0 });
      expect(logins()).toBe(before);

      const destroyed = await pulumi(["destroy", "--yes", "--skip-preview", ...common], {});
      expect(destroyed).toMatchObject({ status: 0 });
      expect(recorded()).toEqual(["create", "create", "update", "delete"]);
    });

    test("replaces for other triggers: the new one's create before the old one's delete", async () => {
      const generation = (n: number) =>
        command({
          create: note(`create-${n}`),
          delete: note(`delete-${n}`),
          triggers: [`machine-${n}`],
        });
      await good(generation(1));
      const all = await good(generation(2));
      expect(recorded()).toEqual(["create-1", "create-2", "delete-1"]);
      expect(all).toMatch(/create replacement|created replacement|replaced/);
    });

    test("fails with the status, the command and what it printed, and keeps the old state", async () => {
      await good(command({ create: "echo fine" }));
      const create = "echo out; echo err >&2; exit 3";
      const all = await bad(command({ create }));
      expect(all).toContain(`Process exited with status 3: running "${create}":`);
      expect(all).toMatch(/out/);
      expect(all).toMatch(/err/);
      expect((await state("it"))?.outputs.stdout).toBe("fine");
    });

    test("refuses another host key, as often as it may try", async () => {
      const spec = command({
        create: note("never"),
        connection: connection({ hostKey: otherKey }),
      });
      expect(await bad(spec)).toContain(
        "after 2 failed attempts: ssh: handshake failed: ssh: host key mismatch",
      );
      const closed = await freePort();
      expect(
        await bad(command({ create: note("never"), connection: connection({ port: closed }) })),
      ).toContain(
        `after 2 failed attempts: dial tcp 127.0.0.1:${closed}: connect: connection refused`,
      );
      expect(recorded()).toEqual([]);
      expect(await state("it")).toBeUndefined();
    });

    test("goes through a bastion with a key of its own", async () => {
      const proxy = connection();
      await good(command({ create: note("through"), connection: connection({ proxy }) }));
      expect(recorded()).toEqual(["through"]);
      expect(
        await bad(
          command({
            create: note("never"),
            connection: connection({ proxy: { ...proxy, hostKey: otherKey, dialErrorLimit: 1 } }),
          }),
        ),
      ).toContain("proxy: after 1 failed attempts: ssh: handshake failed: ssh: host key mismatch");
    });

    test("sets the environment by setenv, which a plain server refuses", async () => {
      const all = await bad(command({ create: "true", environment: { FOO: "bar" } }));
      expect(all).toContain('could not set environment variable "FOO": ssh: setenv failed');
      expect(all).toContain("AcceptEnv");

      // The previous output goes the same way, and is only warned of.
      await good(command({ create: "echo one" }));
      expect(await good(command({ create: "echo two" }))).toMatch(
        /warning: Unable to set 'PULUMI_COMMAND_STDOUT'/,
      );
      expect(
        await good(command({ create: "echo three", addPreviousOutputInEnv: false })),
      ).not.toContain("PULUMI_COMMAND_STDOUT");
    });

    test("shows what it is asked to show while it runs", async () => {
      const create = "echo a-line; echo another >&2";
      expect(await good(command({ create, logging: "none" }))).not.toMatch(/a-line|another/);
      expect(await good(command({ create: `${create} `, logging: "stdoutAndStderr" }))).toMatch(
        /a-line[^]*another|another[^]*a-line/,
      );
    });
  });

  test("local.Command runs here, with a folder, variables and standard input, and its own delete", async () => {
    const spec: Spec = {
      here: {
        type: "local.Command",
        args: {
          create: "read -r word; echo $word $WHO $(basename $PWD)",
          delete: note("gone"),
          dir: at("state"),
          environment: { WHO: "me" },
          stdin: { $secret: STDIN },
          assetPaths: [".pulumi/*.yaml"],
          logging: "none",
        },
        out: "stdout",
      },
    };
    const { status } = await preview(spec);
    expect(status).toBe(0);
    await good(spec);
    const here = await state("here");
    expect(here?.id).toMatch(/^[0-9a-f]{8}$/);
    expect(here?.outputs.stdout).toBe(`${STDIN} me state`);
    expect(Object.keys(here?.outputs.stdin as object)).toContain("ciphertext");
    expect(Object.keys(here?.outputs.assets as object)).toContain(".pulumi/meta.yaml");
    const destroyed = await pulumi(["destroy", "--yes", "--skip-preview", ...common], {});
    expect(destroyed).toMatchObject({ status: 0 });
    expect(recorded()).toEqual(["gone"]);
  });

  test("a random value is kept until its keepers change; a password is a secret", async () => {
    const spec = (machine: string): Spec => ({
      word: {
        type: "random.RandomString",
        args: { length: 4, special: false, upper: false, keepers: { machine } },
        out: "result",
      },
      pass: { type: "random.RandomPassword", args: { length: 20, minNumeric: 3 }, out: "result" },
    });
    await good(spec("one"));
    const first = await state("word");
    expect(first?.outputs).toMatchObject({ result: expect.stringMatching(/^[a-z0-9]{4}$/) });
    expect(first?.id).toBe(first?.outputs.result);
    const pass = await state("pass");
    expect(Object.keys(pass?.outputs.result as object)).toContain("ciphertext");
    expect(Object.keys(pass?.outputs.bcryptHash as object)).toContain("ciphertext");

    const shown = ["stack", "output", "pass", "--show-secrets", "--stack", "test"];
    const password = (await pulumi(shown)).stdout;
    expect(password).toMatch(/^.{20}\n$/);

    expect(await preview(spec("one"), "--expect-no-changes")).toMatchObject({ status: 0 });
    await good(spec("two"));
    expect((await state("word"))?.id).not.toBe(first?.id);
    expect((await pulumi(shown)).stdout).toBe(password);
  });
});

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = net.createServer();
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address() as net.AddressInfo;
      server.close(() => resolve(port));
    });
  });
}

/** Whether someone listens; waits a little when nobody does. */
function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect(port, "127.0.0.1", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => setTimeout(() => resolve(false), 100));
  });
}
