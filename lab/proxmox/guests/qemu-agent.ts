/** The guest agent of a QEMU guest, over its virtio-serial port. */

import { randomInt } from "node:crypto";

import { fault } from "../errors";
import { AgentError, type AgentExit, type AgentInterface, type GuestAgent } from "./guest";
import { JsonLines, type Message } from "./json-line";

/** Seconds for an agent that is there; one that is not never answers. */
const SYNC_LIMIT = 3;
const ANSWER_LIMIT = 30;
const CHUNK = 1024 * 1024;

interface ExecStatus {
  readonly exited: boolean;
  readonly exitcode?: number;
  readonly signal?: number;
  readonly "out-data"?: string;
  readonly "err-data"?: string;
}

/** One at a time for each socket: QEMU lets one client in. */
const turns = new Map<string, Promise<unknown>>();

export class QemuAgent implements GuestAgent {
  constructor(private readonly socket: string) {}

  /** @throws ApiError when the agent is not there, AgentError when it refuses */
  private command<T>(execute: string, args: Message = {}, answers = true): Promise<T> {
    const before = turns.get(this.socket) ?? Promise.resolve();
    const turn = before.then(
      () => this.converse<T>(execute, args, answers),
      () => this.converse<T>(execute, args, answers),
    );
    const settled = turn.then(
      () => undefined,
      () => undefined,
    );
    turns.set(this.socket, settled);
    void settled.then(() => {
      if (turns.get(this.socket) === settled) turns.delete(this.socket);
    });
    return turn;
  }

  private async converse<T>(execute: string, args: Message, answers: boolean): Promise<T> {
    const absent = () => fault("QEMU guest agent is not running");
    const lines = await JsonLines.connect(this.socket).catch(() => {
      throw absent();
    });
    try {
      const id = randomInt(1, 2 ** 31);
      lines.sendBytes(Buffer.from([0xff]));
      lines.send({ execute: "guest-sync", arguments: { id } });
      await lines
        .next(SYNC_LIMIT, (message) => message.return === id)
        .catch(() => {
          throw absent();
        });
      lines.send({ execute, arguments: args });
      if (!answers) {
        // The guest goes down without another word; give the request the time to get there.
        await lines.next(1).catch(() => undefined);
        return undefined as T;
      }
      const answer = await lines.next(
        ANSWER_LIMIT,
        (message) => "return" in message || "error" in message,
      );
      if ("error" in answer) throw new AgentError((answer.error as { desc: string }).desc);
      return answer.return as T;
    } finally {
      lines.close();
    }
  }

  async ping(): Promise<void> {
    await this.command("guest-ping");
  }

  interfaces(): Promise<readonly AgentInterface[]> {
    return this.command<readonly AgentInterface[]>("guest-network-get-interfaces");
  }

  async readFile(
    path: string,
    offset: number,
    count: number,
  ): Promise<{ content: Buffer; more: boolean }> {
    const handle = await this.command<number>("guest-file-open", { path, mode: "r" });
    try {
      if (offset > 0) {
        await this.command("guest-file-seek", { handle, offset, whence: "set" });
      }
      const parts: Buffer[] = [];
      let left = count;
      let eof = false;
      while (left > 0 && !eof) {
        const read = await this.command<{ "buf-b64": string; count: number; eof: boolean }>(
          "guest-file-read",
          { handle, count: Math.min(left, CHUNK) },
        );
        parts.push(Buffer.from(read["buf-b64"], "base64"));
        left -= read.count;
        eof = read.eof;
      }
      return { content: Buffer.concat(parts), more: !eof };
    } finally {
      await this.command("guest-file-close", { handle });
    }
  }

  async exec(command: readonly string[], input: string | undefined): Promise<number> {
    const [path, ...arg] = command;
    const { pid } = await this.command<{ pid: number }>("guest-exec", {
      path,
      arg,
      "capture-output": true,
      ...(input === undefined ? {} : { "input-data": Buffer.from(input).toString("base64") }),
    });
    return pid;
  }

  async execStatus(pid: number): Promise<AgentExit> {
    const status = await this.command<ExecStatus>("guest-exec-status", { pid });
    const decode = (data: string) => Buffer.from(data, "base64").toString();
    const { exitcode, signal } = status;
    const out = status["out-data"];
    const err = status["err-data"];
    return {
      exited: status.exited ? 1 : 0,
      ...(exitcode === undefined ? {} : { exitcode }),
      ...(signal === undefined ? {} : { signal }),
      ...(out === undefined ? {} : { "out-data": decode(out) }),
      ...(err === undefined ? {} : { "err-data": decode(err) }),
    };
  }

  async shutdown(): Promise<void> {
    await this.command("guest-shutdown", { mode: "powerdown" }, false);
  }
}
