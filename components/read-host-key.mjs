// Prints the SSH host key of a guest: `<type> <base64>`.
//
// The question stands on standard input as JSON, since it may hold the Proxmox API token:
//   {"host": "ci-01", "limit": 900, "source": "agent", "node": "pve1", "vmId": 101,
//    "proxmox": {"endpoint": "https://pve:8006", "insecure": false, "apiToken": "…"}}
//   {"host": "ci-01", "limit": 900, "source": "network", "address": "10.0.0.11"}
// Waits until the guest answers, for at most `limit` seconds. Plain JavaScript, because it is run by
// whichever Node.js the machine has. Progress and the sentence for the operator go to stderr.
import { execFile } from "node:child_process";
import { text } from "node:stream/consumers";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";

import { get } from "./proxmox-api.mjs";

const KEY_FILE = "/etc/ssh/ssh_host_ed25519_key.pub";
const INTERVAL = 2_000;

/** Not a matter of waiting: asking again gives the same answer. */
class Final extends Error {}

/** What TLS says of a server that nobody vouches for, or not under this name. */
const UNTRUSTED = /^(CERT_|ERR_TLS_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_(GET_ISSUER|VERIFY_LEAF))/;

/** Reads the key's file through the guest agent: `GET /nodes/{node}/qemu/{vmid}/agent/file-read`. */
async function askAgent(question) {
  const { status, reason, data } = await get(
    question.proxmox,
    `nodes/${question.node}/qemu/${question.vmId}/agent/file-read`,
    { file: KEY_FILE },
  );
  if (status === 200) {
    return data.content;
  }
  if (status === 401 || status === 403) {
    throw new Final(
      `Proxmox refuses to read ${KEY_FILE} of VM ${question.vmId}: ${status} ${reason}. ` +
        "The token needs VM.GuestAgent.FileRead (Proxmox VE 8: VM.Monitor) on the VM or its pool",
    );
  }
  throw new Error(`Proxmox: ${status} ${reason}`);
}

/** Asks the machine at the address itself: only where the stack says `trust: first-use`. */
async function askNetwork({ address }) {
  const { stdout } = await promisify(execFile)("ssh-keyscan", [
    "-T",
    "10",
    "-t",
    "ed25519",
    address,
  ]);
  return stdout
    .split("\n")
    .filter((line) => line !== "" && !line.startsWith("#"))
    .map((line) => line.split(" ").slice(1).join(" "))
    .join("\n");
}

const question = JSON.parse(await text(process.stdin));
const deadline = Date.now() + question.limit * 1000;
let last = "";
let told = 0;
for (;;) {
  try {
    const answer = await (question.source === "agent" ? askAgent(question) : askNetwork(question));
    const [type, key] = answer.trim().split(/\s+/);
    if (type !== "ssh-ed25519" || !key) {
      throw new Error(`${KEY_FILE} holds no ed25519 key yet`);
    }
    process.stdout.write(`${type} ${key}`);
    process.exit(0);
  } catch (error) {
    last = error.message;
    if (UNTRUSTED.test(error.code ?? "")) {
      last +=
        ". Let Node.js know the authority of the Proxmox API: NODE_EXTRA_CA_CERTS=FILE in the " +
        "environment of pulumi";
      break;
    }
    if (error instanceof Final || Date.now() > deadline) {
      break;
    }
  }
  if (Date.now() - told > 15_000) {
    told = Date.now();
    const left = Math.round((deadline - told) / 1000);
    process.stderr.write(`${question.host}: waiting for the guest, ${left} s left (${last})\n`);
  }
  await sleep(INTERVAL);
}
process.stderr.write(
  `${question.host}, step trust: the SSH host key could not be read. ${last}. ` +
    "See that the guest boots and runs qemu-guest-agent (its console in Proxmox shows it), then run pulumi up again.\n",
);
process.exit(1);
