/** `make lab-down`: destroys the stack, stops the lab and leaves nothing of it. */

import { existsSync, readdirSync, readFileSync, rmSync } from "node:fs";
import path from "node:path";

import { askSocket } from "./inventory";
import { takeLock } from "./lock";
import {
  inNamespace,
  networkExists,
  networkOwner,
  networkProcesses,
  removeNetwork,
} from "./net/namespace";
import { PATHS, ROOT, STATE } from "./paths";
import { LabError, say, Timings } from "./progress";
import { pulumiCommand, stackExists } from "./pulumi";
import { requireRoot } from "./requirements";
import { attach } from "./run";
import { runningPid, stopService } from "./services/process";
import { releaseStaleLock } from "./story";

/** Seconds between SIGTERM and SIGKILL of a server. */
const STOP_LIMIT = 20;

export async function down(): Promise<number> {
  requireRoot();
  if (!existsSync(STATE)) {
    say("there is no lab here");
    return 0;
  }
  if (networkExists() && networkOwner() !== ROOT) {
    throw new LabError(
      `the lab that runs on this machine is that of ${networkOwner() ?? "nobody known"}`,
    );
  }
  takeLock("down");
  const timings = new Timings();
  let destroyed = true;
  for (const stack of liveStacks()) {
    await timings.phase(`pulumi destroy of stack ${stack}`, async () => {
      destroyed = (await destroy(stack)) && destroyed;
    });
  }
  await timings.phase("guests, servers and network", stopEverything);
  await timings.phase("state", async () => {
    refuseMounts();
    for (const name of readdirSync(ROOT)) {
      if (/^Pulumi\.lab(-.*)?\.yaml$/.test(name)) rmSync(path.join(ROOT, name));
    }
    rmSync(STATE, { recursive: true, force: true });
  });
  say(
    destroyed
      ? "nothing of the lab is left (what was built stays in the cache)"
      : "pulumi destroy failed, see above; the lab is gone all the same",
  );
  return destroyed ? 0 : 1;
}

/** Stacks with state, when their Proxmox and GitLab are there to be asked. */
function liveStacks(): string[] {
  if (!networkExists() || runningPid("proxmox") === undefined) return [];
  const folder = path.join(PATHS.pulumiState, ".pulumi", "stacks");
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .flatMap((project) => readdirSync(path.join(folder, project)))
    .filter((file) => file.endsWith(".json"))
    .map((file) => path.basename(file, ".json"))
    .filter((stack) => stackExists(stack));
}

async function destroy(stack: string): Promise<boolean> {
  await releaseStaleLock(stack);
  const { program, args, options } = pulumiCommand(
    ["destroy", "--yes", "--skip-preview", "--suppress-progress"],
    {
      stack,
    },
  );
  const [nsenter, all] = inNamespace(program, args);
  return (await attach(nsenter, all, options)) === 0;
}

async function stopEverything(): Promise<void> {
  if (runningPid("proxmox") !== undefined) await askSocket(PATHS.pveSocket, "DELETE", "/guests");
  const names = existsSync(PATHS.run)
    ? readdirSync(PATHS.run).filter((file) => file.endsWith(".pid"))
    : [];
  for (const file of names) {
    const name = path.basename(file, ".pid");
    if (await stopService({ name, stopLimit: STOP_LIMIT })) say(`   stopped ${name}`);
  }
  const left = await networkProcesses();
  for (const pid of left) {
    say(`   ends process ${pid}, which nobody else ended`);
    process.kill(pid, "SIGKILL");
  }
  for (const removed of await removeNetwork()) say(`   removed ${removed}`);
}

/** A mount below the state would take its content along. */
function refuseMounts(): void {
  const mounts = readFileSync("/proc/self/mounts", "utf8")
    .split("\n")
    .map((line) => line.split(" ")[1] ?? "")
    .filter((mount) => mount.startsWith(`${STATE}/`));
  if (mounts.length > 0) {
    throw new LabError(`still mounted: ${mounts.join(", ")}. Unmount them and run it again`);
  }
}
