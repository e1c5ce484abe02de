/** A Proxmox VE on loopback for tests: no guest ever runs, everything else is real. */

import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { request } from "node:https";
import { createServer } from "node:net";
import os from "node:os";
import path from "node:path";
import { text } from "node:stream/consumers";

import { parseConfig, type ProxmoxConfigInput } from "../../../../lab/proxmox/config";
import type { GuestKindDriver } from "../../../../lab/proxmox/guests/guest";
import { type Drivers, type Proxmox, startProxmox } from "../../../../lab/proxmox/proxmox";
import { startTime } from "../../../../lab/services/process";

export interface Answer {
  readonly status: number;
  /** The reason phrase. */
  readonly reason: string;
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- bodies of many shapes, in tests
  readonly data: any;
  readonly message: string | undefined;
  readonly errors: Readonly<Record<string, string>> | undefined;
}

export type Form = Readonly<Record<string, string | number | readonly string[]>>;

/** The program's rights, as the lab's configuration has them. */
const ROLES: ProxmoxConfigInput["roles"] = {
  Template: ["VM.Clone", "VM.Audit"],
  Hosts: [
    "VM.Allocate",
    "VM.Audit",
    "VM.PowerMgmt",
    "VM.Config.CPU",
    "VM.Config.Memory",
    "VM.Config.Disk",
    "VM.Config.Network",
    "VM.Config.Options",
    "VM.Config.HWType",
    "VM.Config.Cloudinit",
    "VM.Config.CDROM",
    "VM.GuestAgent.Audit",
    "Pool.Audit",
  ],
  Disks: ["Datastore.AllocateSpace", "Datastore.Audit"],
  Snippets: ["Datastore.Allocate", "Datastore.Audit"],
  Network: ["SDN.Use"],
  Nothing: [],
};

/** A guest that is a sleeping process: it can be started, stopped and asked to power off. */
export class SleepingGuests implements GuestKindDriver {
  readonly log: string[] = [];
  private readonly children = new Map<number, ChildProcess>();
  /** What the power button and the agent's shutdown do. */
  obedient = true;

  start({ vmid }: { vmid: number }): Promise<number> {
    const child = spawn("sleep", ["600"], { stdio: "ignore" });
    this.children.set(vmid, child);
    this.log.push(`start ${vmid}`);
    return Promise.resolve(child.pid as number);
  }

  release(vmid: number): Promise<void> {
    this.log.push(`release ${vmid}`);
    return Promise.resolve();
  }

  agent(vmid: number) {
    return {
      ping: () => Promise.resolve(),
      interfaces: () =>
        Promise.resolve([
          {
            name: "eth0",
            "hardware-address": "bc:24:11:00:00:01",
            "ip-addresses": [{ "ip-address": "10.0.0.5", "ip-address-type": "ipv4", prefix: 24 }],
          },
        ]),
      readFile: (file: string) =>
        Promise.resolve({ content: Buffer.from(`content of ${file}\n`), more: false }),
      exec: () => Promise.resolve(7),
      execStatus: () => Promise.resolve({ exited: 1 as const, exitcode: 0 }),
      shutdown: () => this.powerButton(vmid),
    };
  }

  powerButton(vmid: number): Promise<void> {
    this.log.push(`power ${vmid}`);
    if (this.obedient) this.children.get(vmid)?.kill("SIGKILL");
    return Promise.resolve();
  }

  reset(vmid: number): Promise<void> {
    this.log.push(`reset ${vmid}`);
    return Promise.resolve();
  }

  grow(vmid: number, _folder: string, slot: string): Promise<void> {
    this.log.push(`grow ${vmid} ${slot}`);
    return Promise.resolve();
  }

  devices(): readonly string[] {
    return [];
  }

  usage(pid: number) {
    return { memory: startTime(pid) === undefined ? 0 : 1024, cpu: 1 };
  }

  end(): void {
    for (const child of this.children.values()) child.kill("SIGKILL");
  }
}

export class Lab {
  readonly dir = mkdtempSync(path.join(os.tmpdir(), "lab-proxmox-"));
  readonly guests = new SleepingGuests();
  readonly logs: string[] = [];
  proxmox!: Proxmox;
  private port = 0;
  private input!: ProxmoxConfigInput;

  static async start(overrides: Partial<ProxmoxConfigInput> = {}): Promise<Lab> {
    const lab = new Lab();
    lab.writeTemplate();
    lab.makeCertificate();
    lab.port = await freePort();
    const token = (name: string, id: string) => {
      writeFileSync(lab.file(name), `${id}=11111111-2222-3333-4444-${name.padEnd(12, "0")}\n`);
      return lab.file(name);
    };
    lab.input = {
      nodes: [
        { name: "pve1", address: "127.0.0.1" },
        { name: "pve2", address: "127.0.0.2" },
      ],
      port: lab.port,
      tls: { cert: lab.file("cert.pem"), key: lab.file("key.pem") },
      roles: ROLES,
      tokens: [
        {
          file: token("runner", "pulumi@pve!runners"),
          acl: [
            { path: "/vms/9000", role: "Template" },
            { path: "/pool/ci", role: "Hosts" },
            { path: "/storage/thin", role: "Disks" },
            { path: "/storage/lab", role: "Snippets" },
            { path: "/sdn/zones/localnetwork/vmbr0", role: "Network" },
          ],
        },
        { file: token("nobody", "nobody@pve!x"), acl: [{ path: "/", role: "Nothing" }] },
        { file: token("admin", "root@pam!lab"), privsep: false },
      ],
      pools: ["ci"],
      storages: [
        {
          id: "lab",
          type: "dir",
          path: lab.file("lab"),
          content: ["images", "iso", "snippets", "import"],
          shared: true,
        },
        { id: "thin", type: "lvmthin", path: lab.file("thin") },
      ],
      network: { gateway: "10.0.0.1", nameservers: ["10.0.0.1"], searchDomain: "lab.test" },
      templates: [
        {
          vmid: 9000,
          name: "tpl",
          node: "pve1",
          tags: ["ci-template"],
          dir: lab.file("template"),
          guest: "light",
          storage: "thin",
        },
      ],
      authenticationDelay: 0,
      ...overrides,
    };
    await lab.open();
    return lab;
  }

  private async open(): Promise<void> {
    const drivers: Drivers = { vm: this.guests, light: this.guests };
    this.proxmox = await startProxmox(
      parseConfig(this.input),
      this.file("state"),
      (line) => this.logs.push(line),
      drivers,
    );
  }

  /** Stops the server and starts it again on the same state. */
  async restart(): Promise<void> {
    await this.proxmox.close();
    await this.open();
  }

  async close(): Promise<void> {
    await this.proxmox.close();
    this.guests.end();
    rmSync(this.dir, { recursive: true });
  }

  file(name: string): string {
    return path.join(this.dir, name);
  }

  /** What build.sh leaves, as far as tests look: the header of an image of 3 GiB. */
  private writeTemplate(): void {
    mkdirSync(this.file("template"));
    const header = Buffer.alloc(512);
    header.write("QFI\u00fb", "latin1");
    header.writeBigUInt64BE(3n * 1024n ** 3n, 24);
    writeFileSync(this.file("template/disk.qcow2"), header);
  }

  private makeCertificate(): void {
    const args = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2";
    execFileSync(
      "openssl",
      [
        ...args.split(" "),
        ...["-keyout", this.file("key.pem"), "-out", this.file("cert.pem")],
        ...["-subj", "/CN=pve1", "-addext", "subjectAltName=IP:127.0.0.1,IP:127.0.0.2"],
      ],
      { stdio: "ignore" },
    );
  }

  /** Sends a request. @param token name of the token; the administrator's by default */
  call(verb: string, target: string, form: Form = {}, token = "admin"): Promise<Answer> {
    const fields = new URLSearchParams();
    for (const [name, value] of Object.entries(form)) {
      for (const one of Array.isArray(value) ? value : [value]) fields.append(name, String(one));
    }
    const inQuery = verb === "GET" || verb === "DELETE";
    const query = inQuery && fields.size > 0 ? `?${fields.toString()}` : "";
    const headers: Record<string, string> = {};
    if (token !== "") {
      headers.authorization = `PVEAPIToken=${readFileSync(this.file(token), "utf8").trim()}`;
    }
    if (!inQuery) headers["content-type"] = "application/x-www-form-urlencoded";
    return this.send(verb, `${target}${query}`, headers, inQuery ? "" : fields.toString());
  }

  send(verb: string, target: string, headers: Record<string, string>, body = ""): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const sent = request(
        {
          host: "127.0.0.1",
          port: this.port,
          path: `/api2/json${target}`,
          method: verb,
          headers: { ...headers, "content-length": String(Buffer.byteLength(body)) },
          ca: readFileSync(this.file("cert.pem")),
          agent: false,
        },
        (response) => {
          text(response).then((answer) => {
            const { data, message, errors } = JSON.parse(answer) as Answer;
            resolve({
              status: response.statusCode ?? 0,
              reason: response.statusMessage ?? "",
              data,
              message,
              errors,
            });
          }, reject);
        },
      );
      sent.on("error", reject);
      sent.end(body);
    });
  }

  /** Sends a request whose answer is a task, and waits for its end. @returns how it ended */
  async task(verb: string, target: string, form: Form = {}, token = "admin"): Promise<string> {
    const answer = await this.call(verb, target, form, token);
    if (answer.status !== 200) throw new Error(`${answer.status} ${answer.reason}`);
    await this.proxmox.world.tasks.ended(answer.data as string);
    return this.proxmox.world.tasks.status(answer.data as string)?.exitstatus ?? "";
  }

  /** Clones the template; the clone is in the pool. */
  async clone(newid: number, token = "admin"): Promise<void> {
    const form = { newid, name: `vm-${newid}`, full: 1, pool: "ci", storage: "thin" };
    const end = await this.task("POST", "/nodes/pve1/qemu/9000/clone", form, token);
    if (end !== "OK") throw new Error(end);
  }

  /** `GET …/config` of a VM. */
  async config(vmid: number, form: Form = {}): Promise<Record<string, string | number>> {
    const { data } = await this.call("GET", `/nodes/pve1/qemu/${vmid}/config`, form);
    return data as Record<string, string | number>;
  }
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Whether a program is there, for tests that need it. */
export function installed(program: string): boolean {
  try {
    execFileSync("sh", ["-c", `command -v ${program}`], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}
