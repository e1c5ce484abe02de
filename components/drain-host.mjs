// Lets a runner host end its jobs before its machine goes: what `pulumi destroy`, a removed host and
// a replaced machine start with.
//
// The question stands on standard input as JSON, since it holds keys:
//   {"host": "ci-01", "limit": 3600, "vmId": 101, "vmName": "ci-01",
//    "proxmox": {"endpoint": "https://pve:8006", "insecure": false, "apiToken": "…"},
//    "ssh": {"address": "10.0.0.11", "port": 22, "user": "ops", "hostKey": "ssh-ed25519 …",
//            "privateKey": "…", "bastion": {"host": "…", "port": 22, "user": "…", "hostKey": "…"}}}
// A machine that Proxmox says is gone or off has nothing left to drain: that is no error, or a host
// that died could never be removed. Progress and the sentence for the operator go to stderr.
import { text } from "node:stream/consumers";
import { setTimeout as sleep } from "node:timers/promises";

import ssh2 from "ssh2";

import { get } from "./proxmox-api.mjs";

/** Seconds in which a machine that runs must have answered. */
const REACH_LIMIT = 300;
/** Seconds beyond the limit of the drain, for the runner to be aborted and unregistered. */
const RESERVE = 300;
const DIAL_LIMIT = 20_000;
const INTERVAL = 5_000;

/** Not a matter of waiting: trying again gives the same answer. */
class Final extends Error {}

const question = JSON.parse(await text(process.stdin));
const say = (message) => process.stderr.write(`${question.host}, step drain: ${message}\n`);

/** "running", "stopped", "gone", or undefined when Proxmox does not tell. */
async function stateOfMachine() {
  try {
    // The list and not the machine itself: what is gone is refused there, not called missing.
    const { status, reason, data } = await get(question.proxmox, "cluster/resources", {
      type: "vm",
    });
    if (status !== 200) {
      throw new Error(`${status} ${reason}`);
    }
    const machine = data.find(({ vmid }) => vmid === question.vmId);
    // Another machine may have got the id since.
    return machine?.name === question.vmName ? machine.status : "gone";
  } catch (error) {
    say(`Proxmox does not tell whether the machine runs (${error.message})`);
    return undefined;
  }
}

/** Connects, and knows the other side by its key. */
function connect({ host, port, user, hostKey, sock }) {
  const [type, blob] = hostKey.trim().split(/\s+/);
  const client = new ssh2.Client();
  return new Promise((resolve, reject) => {
    client.on("ready", () => resolve(client));
    client.on("error", reject);
    client.connect({
      host,
      port,
      sock,
      username: user,
      privateKey: question.ssh.privateKey,
      readyTimeout: DIAL_LIMIT,
      keepaliveInterval: 15_000,
      algorithms: {
        serverHostKey: type === "ssh-rsa" ? ["rsa-sha2-512", "rsa-sha2-256"] : [type],
      },
      hostVerifier: (key) => {
        const same = key.toString("base64") === blob;
        if (!same) {
          reject(new Final(`another machine answers at ${host}: its host key differs`));
        }
        return same;
      },
    });
  });
}

async function connectToHost() {
  const { address, port, user, hostKey, bastion } = question.ssh;
  if (!bastion) {
    return connect({ host: address, port, user, hostKey });
  }
  const through = await connect(bastion);
  const sock = await new Promise((resolve, reject) =>
    through.forwardOut("127.0.0.1", 0, address, port, (error, stream) =>
      error ? reject(error) : resolve(stream),
    ),
  );
  const client = await connect({ host: address, user, hostKey, sock });
  client.on("close", () => through.end());
  return client;
}

/** Runs the host's own drain, and passes on what it says. */
async function drain(client) {
  const { limit } = question;
  const command =
    `sudo -n timeout ${limit + RESERVE} ` +
    `/usr/local/sbin/gitlab-runner-drain --limit ${limit} --unregister`;
  return new Promise((resolve, reject) => {
    client.on("error", reject);
    client.on("close", () => reject(new Error("the connection was lost")));
    client.exec(command, (error, stream) => {
      if (error) {
        reject(error);
        return;
      }
      stream.on("exit", (code, signal) =>
        code === 0
          ? resolve()
          : reject(new Final(`gitlab-runner-drain ended with ${code ?? signal}`)),
      );
      stream.stderr.pipe(process.stderr, { end: false });
      stream.pipe(process.stderr, { end: false });
    });
  });
}

let unreachableSince = Date.now();
for (;;) {
  const state = await stateOfMachine();
  if (state === "gone" || state === "stopped") {
    say(`the machine is ${state === "gone" ? "gone" : "off"}: nothing to drain`);
    process.exit(0);
  }
  try {
    const client = await connectToHost();
    unreachableSince = Date.now();
    await drain(client);
    client.end();
    process.exit(0);
  } catch (error) {
    if (error instanceof Final || Date.now() - unreachableSince > REACH_LIMIT * 1000) {
      say(
        `its jobs could not be let to end: ${error.message}. Mend the host, or shut the machine down ` +
          "in Proxmox (jobs that run on it are lost then); then run pulumi again.",
      );
      process.exit(1);
    }
    say(`tries again in ${INTERVAL / 1000} s (${error.message})`);
  }
  await sleep(INTERVAL);
}
