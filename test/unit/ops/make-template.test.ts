import { spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";

import { HOST } from "../../../config/defaults";

const SCRIPT = path.resolve(__dirname, "../../../ops/template/make-template.sh");
const IMAGE = "what the vendor publishes\n";
const DEBIAN = "debian-13-generic-amd64.qcow2";
const UBUNTU = "ubuntu-24.04-server-cloudimg-amd64.img";

/** Stands for a node: each program writes down its call, and does as the files in `state` say. */
const PROGRAMS: Readonly<Record<string, string>> = {
  id: "echo 0",
  pvesm: `printf 'Name Type Status Total Used Available %%\\nlocal-lvm lvmthin active 1 1 1 1%%\\n'`,
  pvesh: `
    if [[ $2 == /cluster/resources ]]; then cat "$STATE/guests"; exit; fi
    [[ ! -e $STATE/container ]] || { echo "400 Parameter verification failed." >&2; exit 255; }
    echo "$4"`,
  curl: `
    url=\${!#}
    while [[ $1 != --output ]]; do shift; done
    [[ -e $STATE/web/\${url##*/} ]] || { echo "curl: (22) 404" >&2; exit 22; }
    cp "$STATE/web/\${url##*/}" "$2"`,
  "virt-customize": `
    [[ ! -e $STATE/no-network ]] || { echo "Temporary failure resolving" >&2; exit 1; }
    [[ ! -e $STATE/slow ]] || { echo $$ >"$STATE/slow"; exec sleep 60; }
    echo agent >>"$2"`,
  qm: `
    case $1 in
      create)
        # Another run made a VM of that id a moment ago.
        [[ ! -e $STATE/taken ]] || { echo "unable to create VM $2: config file already exists" >&2; exit 255; }
        while [[ $1 != --description ]]; do shift; done
        echo "description: $2%0A" >"$STATE/vm"
        [[ ! -e $STATE/no-space ]] || { echo "no space left" >&2; exit 255; } ;;
      config) if [[ -e $STATE/taken ]]; then echo "description: of another"; else cat "$STATE/vm"; fi ;;
      template) [[ ! -e $STATE/no-template ]] || { echo "cannot lock" >&2; exit 255; } ;;
      destroy) rm -f "$STATE/vm" "$STATE/taken" ;;
    esac`,
};

let folder: string;
const at = (...parts: string[]) => path.join(folder, ...parts);
const has = (...parts: string[]) => fs.existsSync(at(...parts));
const put = (name: string, text = "") => fs.writeFileSync(at("state", name), text);

beforeEach(() => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), "mt-"));
  fs.mkdirSync(at("bin"));
  fs.mkdirSync(at("tmp"));
  fs.mkdirSync(at("state/web"), { recursive: true });
  for (const [name, text] of Object.entries(PROGRAMS)) {
    const log = name === "id" ? "" : `printf '%s\\n' "${name} $*" >>"$STATE/calls"`;
    fs.writeFileSync(at("bin", name), `#!/bin/bash\n${log}\n${text}\n`, { mode: 0o755 });
  }
  put("guests", "[]");
  put(`web/${DEBIAN}`, IMAGE);
  put("web/SHA512SUMS", `${hash("sha512", "other")}  other.qcow2\n${line("sha512", DEBIAN)}`);
});
afterEach(() => fs.rmSync(folder, { recursive: true }));

function hash(algorithm: string, text: string): string {
  return createHash(algorithm).update(text).digest("hex");
}

const line = (algorithm: string, name: string) => `${hash(algorithm, IMAGE)}  ${name}\n`;

const environment = () => ({
  PATH: `${at("bin")}:${process.env.PATH}`,
  STATE: at("state"),
  TMPDIR: at("tmp"),
});

function run(args: string[], script = SCRIPT) {
  const { status, stdout, stderr } = spawnSync("bash", [script, ...args], {
    encoding: "utf8",
    env: environment(),
    timeout: 30_000,
  });
  return { status, stdout, stderr, last: stderr.trimEnd().split("\n").pop() ?? "" };
}

/** What was called, without the reads, and with the temporary folder's name left out. */
function calls(): string[] {
  if (!has("state", "calls")) {
    return [];
  }
  return fs
    .readFileSync(at("state/calls"), "utf8")
    .trimEnd()
    .split("\n")
    .map((call) => call.replace(/[^\s=]*make-template\.\w+/g, "WORK"));
}

const programs = () => calls().map((call) => call.split(" ").slice(0, 2).join(" "));
const qm = () => calls().filter((call) => call.startsWith("qm "));

test("a Debian template is made in the right order, and nothing temporary is left", () => {
  const { status, last } = run(["--vmid", "9001"]);

  expect(last).toBe(
    "make-template: its permissions are new: give the stack's token VM.Clone and VM.Audit on /vms/9001",
  );
  expect(status).toBe(0);
  expect(programs()).toEqual([
    "pvesh get",
    "pvesh get",
    "pvesm status",
    "curl --fail",
    "curl --fail",
    "virt-customize --add",
    "qm create",
    "qm template",
  ]);
  expect(calls()[3]).toMatch(
    / https:\/\/cloud\.debian\.org\/images\/cloud\/trixie\/latest\/SHA512SUMS$/,
  );
  const customize = calls()[5] as string;
  expect(customize).toContain("--install qemu-guest-agent");
  // After everything else: virt-customize itself gives an empty machine-id a value.
  expect(customize).toMatch(
    /ssh_host_.*\/var\/lib\/dbus\/machine-id.* --truncate \/etc\/machine-id$/,
  );
  expect(fs.readdirSync(at("tmp"))).toEqual([]);
});

test("the VM is what the program clones from", () => {
  run(["--storage", "local-lvm", "--bridge", "vmbr1", "--pool", "templates"]);

  const [create, template] = qm() as [string, string];
  expect(create).toMatch(/^qm create 9000 --name debian-13 --description gitlab-runners-template-/);
  for (const option of [
    // The tag that hosts look for unless the stack names another.
    `--tags ${HOST.template} `,
    "--pool templates ",
    "--ostype l26 --cpu host ",
    "--net0 virtio,bridge=vmbr1,firewall=1 ",
    "--scsihw virtio-scsi-single ",
    `--scsi0 local-lvm:0,import-from=WORK/${DEBIAN},format=raw,discard=on,iothread=1,ssd=1 `,
    "--ide2 local-lvm:cloudinit --boot order=scsi0 ",
    "--serial0 socket --vga serial0 --agent enabled=1",
  ]) {
    expect(create).toContain(option);
  }
  expect(template).toBe("qm template 9000");
});

test.each([
  [
    "debian-12",
    "https://cloud.debian.org/images/cloud/bookworm/20251117-2299",
    "debian-12-generic-amd64-20251117-2299.qcow2",
  ],
  [
    "debian-13",
    "https://cloud.debian.org/images/cloud/trixie/20251117-2299",
    "debian-13-generic-amd64-20251117-2299.qcow2",
  ],
])("a build of %s is found under its own name", (image, base, name) => {
  put(`web/${name}`, IMAGE);
  put("web/SHA512SUMS", line("sha512", name));

  const { status } = run(["--image", image, "--build", "20251117-2299"]);

  expect(status).toBe(0);
  expect(
    calls()
      .filter((call) => call.startsWith("curl "))
      .map((call) => call.split(" ").pop()),
  ).toEqual([`${base}/SHA512SUMS`, `${base}/${name}`]);
});

describe("the image is checked before anything uses it", () => {
  test("an image that was changed on its way is refused", () => {
    put(`web/${DEBIAN}`, "something else\n");

    const { status, last } = run([]);

    expect(status).toBe(1);
    expect(last).toMatch(/the image is not what it should be: its checksum is [0-9a-f]{128}, not /);
    expect(programs()).not.toContain("virt-customize --add");
    expect(qm()).toEqual([]);
    expect(fs.readdirSync(at("tmp"))).toEqual([]);
  });

  test("a list that does not name the image is refused", () => {
    put("web/SHA512SUMS", line("sha512", `${DEBIAN}.old`));

    expect(run([]).last).toMatch(/SHA512SUMS does not name debian-13-generic-amd64\.qcow2/);
    expect(programs().filter((call) => call.startsWith("curl"))).toHaveLength(1);
  });

  test("a pinned checksum is kept to, before the image is downloaded", () => {
    const { last } = run(["--checksum", hash("sha512", "last month's")]);

    expect(last).toMatch(/has another debian-13-generic-amd64\.qcow2 than --checksum wants/);
    expect(programs().filter((call) => call.startsWith("curl"))).toHaveLength(1);
    expect(run(["--checksum", hash("sha512", IMAGE).toUpperCase()]).status).toBe(0);
  });

  test("what cannot be downloaded ends the run with the address", () => {
    fs.rmSync(at("state/web", DEBIAN));

    const { status, last } = run([]);

    expect(status).toBe(1);
    expect(last).toMatch(/trixie\/latest\/debian-13-generic-amd64\.qcow2 cannot be downloaded/);
    expect(qm()).toEqual([]);
  });
});

describe("Ubuntu's signed list", () => {
  let script: string;

  /** A key, whose fingerprint stands in a copy of the script in place of Ubuntu's. */
  beforeEach(() => {
    fs.mkdirSync(at("gpg"), { mode: 0o700 });
    gpg("--passphrase", "", "--quick-generate-key", "lab <lab@example.org>", "ed25519", "sign");
    const fingerprint = /^fpr:+([0-9A-F]{40}):/m.exec(gpg("--with-colons", "--list-keys"))?.[1];
    const text = fs.readFileSync(SCRIPT, "utf8");
    script = at("make-template.sh");
    fs.writeFileSync(
      script,
      text.replace("D2EB44626FDDC30B513D5BB71A5D6C4C7DB87C81", String(fingerprint)),
    );
    put(`web/lookup?op=get&options=mr&search=0x${fingerprint}`, gpg("--armor", "--export"));
    put(`web/${UBUNTU}`, IMAGE);
    put("web/SHA256SUMS", `${hash("sha256", IMAGE)} *${UBUNTU}\n`);
    gpg("--output", at("state/web/SHA256SUMS.gpg"), "--detach-sign", at("state/web/SHA256SUMS"));
  });
  afterEach(() => {
    spawnSync("gpgconf", ["--homedir", at("gpg"), "--kill", "all"]);
  });

  function gpg(...args: string[]): string {
    const { status, stdout, stderr } = spawnSync(
      "gpg",
      ["--homedir", at("gpg"), "--batch", "--yes", ...args],
      { encoding: "utf8" },
    );
    if (status !== 0) {
      throw new Error(`gpg ${args.join(" ")}: ${stderr}`);
    }
    return stdout;
  }

  test("a signed list serves", () => {
    const { status, stderr } = run(["--image", "ubuntu-24.04"], script);

    expect(stderr).toContain("the list is signed by Ubuntu's key");
    expect(status).toBe(0);
    expect(qm()[0]).toMatch(/^qm create 9000 --name ubuntu-24-04 /);
  });

  test("a list that was changed after it was signed is refused", () => {
    put(`web/${UBUNTU}`, "something else\n");
    put("web/SHA256SUMS", `${hash("sha256", "something else\n")} *${UBUNTU}\n`);

    const { status, last } = run(["--image", "ubuntu-24.04"], script);

    expect(status).toBe(1);
    expect(last).toMatch(/the signature of .*SHA256SUMS is not by Ubuntu's key/);
    expect(programs()).not.toContain("virt-customize --add");
    expect(qm()).toEqual([]);
  });

  test("a good signature by another key is refused", () => {
    // The script as it is knows only Ubuntu's own key; what the key server says does not matter.
    const key = "D2EB44626FDDC30B513D5BB71A5D6C4C7DB87C81";
    put(`web/lookup?op=get&options=mr&search=0x${key}`, gpg("--armor", "--export"));

    expect(run(["--image", "ubuntu-24.04"]).last).toMatch(/is not by Ubuntu's key/);
    expect(qm()).toEqual([]);
  });
});

describe("what is there already", () => {
  const guest = (vmid: number, template: number, tags: string) =>
    `{"id":"qemu/${vmid}","node":"pve1","tags":"${tags}","template":${template},"type":"qemu","vmid":${vmid}}`;

  test("an id that is taken is refused with a sentence", () => {
    put("guests", `[${guest(100, 0, "")},${guest(9000, 0, "web")}]`);

    const { status, last } = run([]);

    expect(status).toBe(1);
    expect(last).toBe(
      "make-template: the id 9000 is taken: choose another --vmid, or say --replace if it is the old template",
    );
    expect(programs()).toEqual(["pvesh get"]);
  });

  test("so is one that only Proxmox knows to be taken", () => {
    put("container");

    expect(run([]).last).toMatch(/the id 9000 is not free \(400 Parameter verification failed\.\)/);
    expect(qm()).toEqual([]);
  });

  test("a second template with the same tag is refused: stacks could not choose", () => {
    put("guests", `[${guest(9001, 1, `amd64;${HOST.template};x`)}]`);

    expect(run([]).last).toMatch(/template 9001 has the tag ci-template already/);
    expect(qm()).toEqual([]);
  });

  test("a template whose tag is only alike, or a VM with the tag, is no matter", () => {
    put("guests", `[${guest(9001, 1, "ci-template-old")},${guest(9002, 0, HOST.template)}]`);

    expect(run([]).status).toBe(0);
  });

  test("--replace destroys the old template, once the new image is ready", () => {
    put("guests", `[${guest(9000, 1, HOST.template)}]`);
    put("vm", "description: the old one\n");

    expect(run(["--replace"]).status).toBe(0);
    expect(programs().slice(-4)).toEqual([
      "virt-customize --add",
      "qm destroy",
      "qm create",
      "qm template",
    ]);
  });

  test.each([
    ["a VM", 0, HOST.template],
    ["a template without the tag", 1, "other"],
  ])("--replace never touches %s", (_, template, tags) => {
    put("guests", `[${guest(9000, template, tags)}]`);

    expect(run(["--replace"]).last).toMatch(
      /--replace: 9000 is no template with the tag ci-template/,
    );
    expect(qm()).toEqual([]);
  });
});

describe("a run that fails", () => {
  test("removes the VM that it made", () => {
    put("no-template");

    const { status, stderr } = run([]);

    expect(status).toBe(1);
    expect(stderr).toMatch(/cannot lock[\s\S]*VM 9000 cannot be turned into a template/);
    expect(qm().map((call) => call.split(" ")[1])).toEqual([
      "create",
      "template",
      "config",
      "destroy",
    ]);
    expect(has("state/vm")).toBe(false);
  });

  test("also one that Proxmox left half-made", () => {
    put("no-space");

    expect(run([]).status).toBe(1);
    expect(has("state/vm")).toBe(false);
  });

  test("leaves a VM alone that another made under the same id meanwhile", () => {
    put("taken");

    expect(run([]).stderr).toContain("config file already exists");
    expect(qm().map((call) => call.split(" ")[1])).toEqual(["create", "config"]);
    expect(has("state/taken")).toBe(true);
  });

  test("says what to install when the image's packages cannot be reached", () => {
    put("no-network");

    expect(run([]).last).toMatch(/install dhcpcd-base on the node/);
    expect(qm()).toEqual([]);
  });

  test("that is interrupted leaves no process and no file", async () => {
    put("slow");
    const child = spawn("bash", [SCRIPT], { env: environment(), stdio: "ignore" });
    const ended = new Promise<number | null>((resolve) => child.on("exit", resolve));
    const started = () => fs.readFileSync(at("state/slow"), "utf8").trim();
    for (const limit = Date.now() + 20_000; started() === "" && Date.now() < limit;) {
      await new Promise((resolve) => setTimeout(resolve, 50));
    }

    child.kill("SIGTERM");

    expect(await ended).toBe(143);
    expect(fs.readdirSync(at("tmp"))).toEqual([]);
    expect(fs.existsSync(`/proc/${started()}`)).toBe(false);
    expect(qm()).toEqual([]);
  });
});

test("a dry run prints every command and runs none", () => {
  const { status, stdout } = run(["--dry-run", "--image", "debian-12"]);

  expect(status).toBe(0);
  expect(calls()).toEqual([]);
  expect(fs.readdirSync(at("tmp"))).toEqual([]);
  expect(
    stdout
      .trimEnd()
      .split("\n")
      .map((text) => text.split(" ")[0]),
  ).toEqual(["curl", "curl", "sha512sum", "virt-customize", "qm", "qm"]);
});

describe("--file", () => {
  test("takes the image as it is", () => {
    fs.writeFileSync(at("mine.qcow2"), IMAGE);

    expect(run(["--file", at("mine.qcow2"), "--checksum", hash("sha256", IMAGE)]).status).toBe(0);
    expect(programs()).toEqual([
      "pvesh get",
      "pvesh get",
      "pvesm status",
      "qm create",
      "qm template",
    ]);
    expect(fs.readFileSync(at("mine.qcow2"), "utf8")).toBe(IMAGE);
  });

  test("with a wrong checksum is refused", () => {
    fs.writeFileSync(at("mine.qcow2"), IMAGE);

    expect(run(["--file", at("mine.qcow2"), "--checksum", hash("sha512", "x")]).last).toMatch(
      /the image is not what it should be/,
    );
    expect(qm()).toEqual([]);
  });
});

test.each([
  [["--image", "alpine"], /--image is alpine: choose debian-13, debian-12 or ubuntu-24\.04/],
  [["--vmid", "99"], /--vmid is 99: give a number from 100/],
  [["--vmid", "--replace"], /--vmid needs a value/],
  [["--tag", "CI"], /--tag is CI: use lower-case letters/],
  [["--name", "my template"], /--name is my template/],
  [["--build", "../x"], /--build is \.\.\/x/],
  [["--checksum", "abc"], /--checksum has 3 characters/],
  [["--checksum", "a".repeat(64)], /debian-13 is checked by SHA-512, which has 128/],
  [["--file", "/nowhere"], /--file \/nowhere does not exist/],
  [["--storage", "nfs"], /the storage nfs takes no disk images on this node/],
  [["--size", "10"], /unknown option --size; see --help/],
])("%j is refused before anything is done", (args, message) => {
  const { status, last } = run(args);

  expect(last).toMatch(message);
  expect(status).toBe(1);
  expect(qm()).toEqual([]);
});
