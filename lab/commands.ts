/** The commands that start the lab. */

import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";

import { ensureBuilt } from "./built";
import { ensureCertificates } from "./certificates";
import { labEnvironment, writeClientFiles } from "./environment";
import { readFacts, writeFacts } from "./facts";
import { takeLock } from "./lock";
import { ensureNetwork, inNamespace } from "./net/namespace";
import { ensurePackages } from "./packages/packages";
import { packagesService } from "./packages/service";
import { PATHS, ROOT } from "./paths";
import { LabError, type Phase, say, Timings } from "./progress";
import { GUEST_KINDS, type GuestKind } from "./proxmox/config";
import { nodeService, proxmoxConfig, proxmoxService } from "./proxmox/instance";
import { findAcceleration } from "./proxmox/probe";
import { publishImages } from "./registry/images";
import { registryService } from "./registry/service";
import { ensureRequirements, requireRoot } from "./requirements";
import { attach } from "./run";
import { ensureSecrets } from "./secrets";
import { dnsServices } from "./services/dns";
import { gitlabService } from "./services/gitlab";
import { ensureService, type Service } from "./services/process";
import { tellStory } from "./story";
import { ensureToolchain } from "./toolchain";

/** Seconds for each of the scripts that build a template or the images. */
const BUILD_LIMIT = 1200;
/** The lab's version of the runner, which its stack asks for. */
const RUNNER_VERSION = "19.3.0";

/** `make lab`. */
export async function up(): Promise<number> {
  const timings = await startLab("up");
  return inside("story", { LAB_PHASES: JSON.stringify(timings.phases) });
}

/** `make lab-start`. */
export async function start(): Promise<number> {
  await startLab("start");
  say("the lab is running: make lab-shell");
  return 0;
}

/** `npm run test:lab`: jest, inside the lab's network. */
export async function test(args: readonly string[]): Promise<number> {
  await startLab("test");
  const jest = path.join(ROOT, "node_modules", "jest", "bin", "jest.js");
  const [program, all] = inNamespace(process.execPath, [
    jest,
    "--config",
    path.join(ROOT, "jest.lab.config.js"),
    ...args,
  ]);
  return attach(program, all, { cwd: ROOT, limit: Infinity, env: labEnvironment() });
}

/** The part of `up` that runs inside the lab's network. */
export async function story(): Promise<number> {
  await tellStory(readFacts(), JSON.parse(process.env.LAB_PHASES ?? "[]") as Phase[]);
  return 0;
}

/** Runs a command of the lab inside its network, with its environment. */
function inside(command: string, env: NodeJS.ProcessEnv): Promise<number> {
  const [program, args] = inNamespace(process.execPath, [
    "--import",
    path.join(ROOT, "node_modules", "tsx", "dist", "loader.mjs"),
    path.join(ROOT, "lab", "cli.ts"),
    command,
  ]);
  return attach(program, args, {
    cwd: ROOT,
    limit: Infinity,
    env: { ...labEnvironment(), ...env },
  });
}

function chosenGuest(): GuestKind {
  const guest = process.env.GUEST ?? "vm";
  if (!(GUEST_KINDS as readonly string[]).includes(guest)) {
    throw new LabError(`GUEST=${guest}: choose one of ${GUEST_KINDS.join(", ")}`);
  }
  return guest as GuestKind;
}

/** Starts whatever of the lab is not running, and gives the phases that this took. */
async function startLab(command: string): Promise<Timings> {
  const guest = chosenGuest();
  requireRoot();
  takeLock(command);
  const timings = new Timings();
  await timings.phase("packages of this machine", ensureRequirements);
  await timings.phase("toolchain", ensureToolchain);
  await timings.phase("template and images", async () => {
    await ensureBuilt({
      what: "the template",
      script: path.join(ROOT, "lab", "template", "build.sh"),
      target: PATHS.template,
      limit: BUILD_LIMIT,
    });
    await ensureBuilt({
      what: "the job images",
      script: path.join(ROOT, "lab", "images", "build.sh"),
      target: PATHS.images,
      limit: BUILD_LIMIT,
    });
  });
  await timings.phase("keys, certificates, packages", async () => {
    await ensureSecrets();
    await ensureCertificates();
    writeClientFiles();
    const { fingerprint } = await ensurePackages([RUNNER_VERSION]);
    writeFacts({ guest, runnerVersion: RUNNER_VERSION, packagesFingerprint: fingerprint });
  });
  await timings.phase("network and servers", async () => {
    await ensureNetwork(ROOT);
    await startServices();
    await publishImages();
  });
  return timings;
}

async function startServices(): Promise<void> {
  // The sshd of the nodes runs on the template's root, the API of Proxmox knows what it may boot.
  mkdirSync(path.join(PATHS.snippets, "snippets"), { recursive: true });
  mkdirSync(PATHS.disks, { recursive: true });
  const config = `${JSON.stringify(proxmoxConfig(await findAcceleration()), null, 2)}\n`;
  writeFileSync(PATHS.pveConfig, config, { mode: 0o600 });
  for (const service of dnsServices()) await startService(service);
  await Promise.all(
    [
      await registryService(),
      packagesService(),
      gitlabService(),
      proxmoxService(),
      nodeService("pve1"),
      nodeService("pve2"),
    ].map(startService),
  );
}

async function startService(service: Service): Promise<void> {
  const started = await ensureService(service);
  if (started !== "running") say(`   ${service.name}: ${started}`);
}
