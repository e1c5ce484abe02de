import { execFileSync, spawn } from "node:child_process";
import * as fs from "node:fs";
import * as https from "node:https";
import type { AddressInfo } from "node:net";
import * as os from "node:os";
import * as path from "node:path";

import ssh2 from "ssh2";

jest.setTimeout(60_000);

const TOKEN = "pulumi@pve!ci=00000000-0000-0000-0000-000000000000";
const folder = fs.mkdtempSync(path.join(os.tmpdir(), "drain-host-"));
const hostKey = ssh2.utils.generateKeyPairSync("ed25519");
const otherKey = ssh2.utils.generateKeyPairSync("ed25519");
const clientKey = ssh2.utils.generateKeyPairSync("ed25519");

/** What the machine and Proxmox do in a test. */
interface Scene {
  /** Answers of the list of machines, one for each time it is asked; the last one is kept. */
  readonly machines: (readonly object[] | number)[];
  readonly exitCode?: number;
  readonly sshPort?: number;
  readonly expectedKey?: string;
}

let api: https.Server;
let host: ssh2.Server;
let scene: Scene;
let asked: string[];
let commands: string[];

const portOf = (server: { address(): unknown }) => (server.address() as AddressInfo).port;

beforeAll(async () => {
  const [key, cert] = ["key.pem", "cert.pem"].map((name) => path.join(folder, name)) as [
    string,
    string,
  ];
  execFileSync(
    "openssl",
    [
      ...["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"],
      ...["-subj", "/CN=pve", "-days", "1", "-keyout", key, "-out", cert],
    ],
    { stdio: "ignore" },
  );
  api = https.createServer(
    { key: fs.readFileSync(key), cert: fs.readFileSync(cert) },
    (request, response) => {
      asked.push(`${request.url} ${request.headers.authorization}`);
      const [answer] = scene.machines.length > 1 ? scene.machines.splice(0, 1) : scene.machines;
      if (typeof answer === "number") {
        response.writeHead(answer, "Permission check failed").end();
      } else {
        response.end(JSON.stringify({ data: answer }));
      }
    },
  );
  host = new ssh2.Server({ hostKeys: [hostKey.private] }, (client) => {
    // A client that does not know the key hangs up.
    client.on("error", () => undefined);
    client.on("authentication", (context) => context.accept());
    client.on("session", (accept) => {
      accept().on("exec", (acceptExec, _reject, { command }) => {
        commands.push(command);
        const stream = acceptExec();
        stream.stderr.write("ci-01 drain: the runner is stopped\n");
        stream.exit(scene.exitCode ?? 0);
        stream.end();
      });
    });
  });
  await new Promise<void>((resolve) => api.listen(0, "127.0.0.1", resolve));
  await new Promise<void>((resolve) => host.listen(0, "127.0.0.1", () => resolve()));
});

afterAll(async () => {
  await new Promise((resolve) => api.close(resolve));
  await new Promise((resolve) => host.close(resolve));
  fs.rmSync(folder, { recursive: true });
});

/** Runs the script as Pulumi does. */
async function drain(of: Scene): Promise<{ status: number | null; output: string }> {
  scene = { ...of, machines: [...of.machines] };
  [asked, commands] = [[], []];
  const child = spawn(process.execPath, ["components/drain-host.mjs"], { stdio: "pipe" });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.on("data", (chunk: Buffer) => (output += chunk.toString()));
  }
  child.stdin.end(
    JSON.stringify({
      host: "ci-01",
      limit: 3600,
      vmId: 101,
      vmName: "ci-01",
      proxmox: { endpoint: `https://127.0.0.1:${portOf(api)}`, insecure: true, apiToken: TOKEN },
      ssh: {
        address: "127.0.0.1",
        port: of.sshPort ?? portOf(host),
        user: "ops",
        hostKey: of.expectedKey ?? hostKey.public,
        privateKey: clientKey.private,
      },
    }),
  );
  const status = await new Promise<number | null>((resolve) => child.on("close", resolve));
  expect(output).not.toContain(TOKEN);
  expect(output).not.toContain("PRIVATE KEY");
  return { status, output };
}

const machine = { vmid: 101, name: "ci-01", status: "running", type: "qemu" };
const COMMAND =
  "sudo -n timeout 3900 /usr/local/sbin/gitlab-runner-drain --limit 3600 --unregister";

it("drains a machine that runs, and passes on what it says", async () => {
  const { status, output } = await drain({ machines: [[machine]] });
  expect(output).toContain("the runner is stopped");
  expect(status).toBe(0);
  expect(commands).toEqual([COMMAND]);
  expect(asked).toEqual([`/api2/json/cluster/resources?type=vm PVEAPIToken=${TOKEN}`]);
});

it.each([
  ["is gone", []],
  ["is off", [{ ...machine, status: "stopped" }]],
  ["has given its id to another", [{ ...machine, name: "database" }]],
])("has nothing to do when the machine %s", async (_what, machines) => {
  const { status, output } = await drain({ machines: [machines] });
  expect(output).toMatch(/ci-01, step drain: the machine is (gone|off): nothing to drain\n/);
  expect(status).toBe(0);
  expect(commands).toEqual([]);
});

it("drains also when Proxmox does not tell", async () => {
  const { status, output } = await drain({ machines: [403] });
  expect(output).toContain("Proxmox does not tell whether the machine runs (403 Permission check");
  expect(status).toBe(0);
  expect(commands).toEqual([COMMAND]);
});

it("ends when a machine that does not answer goes away", async () => {
  const { status, output } = await drain({ machines: [[machine], []], sshPort: 1 });
  expect(output).toContain("tries again in 5 s (connect ECONNREFUSED");
  expect(output).toContain("the machine is gone: nothing to drain");
  expect(status).toBe(0);
});

it("fails with what to do when the drain fails", async () => {
  const { status, output } = await drain({ machines: [[machine]], exitCode: 1 });
  expect(output.trimEnd().split("\n").at(-1)).toMatch(
    /^ci-01, step drain: .*gitlab-runner-drain ended with 1\. Mend the host, or shut the machine/,
  );
  expect(status).toBe(1);
  expect(commands).toEqual([COMMAND]);
});

it("says nothing to a machine that it does not know", async () => {
  const { status, output } = await drain({ machines: [[machine]], expectedKey: otherKey.public });
  expect(output).toContain("another machine answers at 127.0.0.1: its host key differs");
  expect(status).toBe(1);
  expect(commands).toEqual([]);
});
