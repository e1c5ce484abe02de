/** The commands that start the lab. */

import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";

import { ensureBuilt } from "./built";
import { ensureCertificates } from "./certificates";
import { labEnvironment, writeClientFiles } from "./environment";
import { readFacts, writeFacts } from "./facts";
import { takeLock } from "./lock";
import { ensureNetwork, inNamespace } from "./net/namespace";
import { buildPackages } from "./packages/packages";
import { publishRepository } from "./packages/repository";
import { packagesService } from "./packages/service";
import { ensureSigningKey, repositoryFingerprint } from "./packages/signing-key";
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
/** A version of the runner besides the one that the lab's stack asks for. */
const UPGRADE_VERSION = "19.3.1";

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

/** `make test-lab`: jest inside the lab's network, and a line that counts tests. */
export async function test(args: readonly string[]): Promise<number> {
  await startLab("test");
  const report = path.join(PATHS.log, "tests.json");
  rmSync(report, { force: true });
  const [program, all] = inNamespace(process.execPath, [
    path.join(ROOT, "node_modules", "jest", "bin", "jest.js"),
    ...["--config", path.join(ROOT, "jest.lab.config.js"), "--json", "--outputFile", report],
    ...args,
  ]);
  const status = await attach(program, all, { cwd: ROOT, limit: Infinity, env: labEnvironment() });
  if (existsSync(report)) {
    const counts = JSON.parse(readFileSync(report, "utf8")) as Record<string, number>;
    const { numPassedTests: passed, numFailedTests: failed, numPendingTests: skipped } = counts;
    process.stdout.write(`${passed} passed, ${failed} failed, ${skipped} skipped\n`);
  }
  return status;
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
    await ensureSigningKey();
    // The second version is for whoever wants to see an upgrade.
    const [own, ...others] = await buildPackages([UPGRADE_VERSION]);
    if (own === undefined) throw new LabError("no package of the runner was built");
    await publishRepository([own, ...others].flatMap(({ debs }) => debs));
    writeFacts({
      guest,
      runnerVersion: own.version,
      packagesFingerprint: await repositoryFingerprint(),
    });
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
