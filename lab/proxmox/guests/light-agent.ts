/** The guest agent of a light guest: what it would say, found out in the guest's namespaces. */

import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import os from "node:os";
import { buffer } from "node:stream/consumers";

import { output } from "../../run";
import { fault } from "../errors";
import { AgentError, type AgentExit, type AgentInterface, type GuestAgent } from "./guest";

const LIMIT = 20;

interface Link {
  readonly ifname: string;
  readonly address?: string;
  readonly addr_info: readonly { family: string; local: string; prefixlen: number }[];
  readonly stats64?: Record<"rx" | "tx", Record<string, number>>;
}

/** Programs that the agent has started, by their process ids; kept until somebody asks. */
const started = new Map<number, AgentExit>();

export class LightAgent implements GuestAgent {
  constructor(
    private readonly leader: number,
    private readonly powerOff: () => void,
  ) {}

  /** The agent is there once the guest has it and has come as far as starting services. */
  async ping(): Promise<void> {
    const root = `/proc/${this.leader}/root`;
    const ready = existsSync(`${root}/run/dbus/system_bus_socket`);
    if (!ready || !existsSync(`${root}/usr/sbin/qemu-ga`)) {
      throw fault("QEMU guest agent is not running");
    }
    return Promise.resolve();
  }

  async interfaces(): Promise<readonly AgentInterface[]> {
    await this.ping();
    // The machine's own program: only the network is the guest's.
    const text = await output(
      "nsenter",
      [`--target=${this.leader}`, "--net", "ip", "-json", "-stats", "address"],
      { limit: LIMIT },
    );
    return (JSON.parse(text) as Link[]).map(describe);
  }

  async readFile(
    path: string,
    offset: number,
    count: number,
  ): Promise<{ content: Buffer; more: boolean }> {
    await this.ping();
    const child = this.enter(["cat", "--", path]);
    child.stdin.end();
    const [content, errors] = await Promise.all([buffer(child.stdout), buffer(child.stderr)]);
    const problem = errors.toString().trim();
    if (problem !== "") {
      const reason = problem.split(": ").at(-1) ?? problem;
      throw new AgentError(`failed to open file '${path}' (mode: 'r'): ${reason}`);
    }
    return {
      content: content.subarray(offset, offset + count),
      more: content.length > offset + count,
    };
  }

  async exec(command: readonly string[], input: string | undefined): Promise<number> {
    await this.ping();
    const child = this.enter(command);
    const { pid } = child;
    if (pid === undefined) throw new AgentError("Guest agent command failed");
    child.stdin.on("error", () => undefined).end(input ?? "");
    started.set(pid, { exited: 0 });
    const outputs = Promise.all([buffer(child.stdout), buffer(child.stderr)]);
    child.once("close", (code, signal) => {
      void outputs.then(([out, err]) =>
        started.set(pid, {
          exited: 1,
          ...(code === null
            ? { signal: os.constants.signals[signal ?? "SIGKILL"] }
            : { exitcode: code }),
          ...(out.length > 0 ? { "out-data": out.toString() } : {}),
          ...(err.length > 0 ? { "err-data": err.toString() } : {}),
        }),
      );
    });
    return pid;
  }

  execStatus(pid: number): Promise<AgentExit> {
    const status = started.get(pid);
    if (status === undefined) {
      return Promise.reject(new AgentError(`Invalid parameter 'pid': PID ${pid} does not exist`));
    }
    if (status.exited === 1) started.delete(pid);
    return Promise.resolve(status);
  }

  async shutdown(): Promise<void> {
    await this.ping();
    this.powerOff();
  }

  private enter(command: readonly string[]) {
    const args = [`--target=${this.leader}`, "--all", "--", ...command];
    return spawn("nsenter", args, {
      stdio: "pipe",
      cwd: "/",
      env: { PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" },
    }).on("error", () => undefined);
  }
}

/** An interface in the agent's words. */
function describe(link: Link): AgentInterface {
  const { rx, tx } = link.stats64 ?? { rx: {}, tx: {} };
  const count = (from: Record<string, number>, name: string) => from[name] ?? 0;
  return {
    name: link.ifname,
    "hardware-address": link.address ?? "00:00:00:00:00:00",
    "ip-addresses": link.addr_info.map(({ family, local, prefixlen }) => ({
      "ip-address": local,
      "ip-address-type": family === "inet" ? "ipv4" : "ipv6",
      prefix: prefixlen,
    })),
    statistics: {
      "rx-bytes": count(rx, "bytes"),
      "rx-dropped": count(rx, "dropped"),
      "rx-errs": count(rx, "errors"),
      "rx-packets": count(rx, "packets"),
      "tx-bytes": count(tx, "bytes"),
      "tx-dropped": count(tx, "dropped"),
      "tx-errs": count(tx, "errors"),
      "tx-packets": count(tx, "packets"),
    },
  };
}
