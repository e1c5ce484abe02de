/** A connection to one of QEMU's sockets, which speak JSON, a message a line. */

import { createConnection, type Socket } from "node:net";

export type Message = Readonly<Record<string, unknown>>;

export class JsonLines {
  private rest = "";
  private readonly queue: Message[] = [];
  private waiting: ((message: Message | undefined) => void) | undefined;
  private closed = false;

  private constructor(private readonly socket: Socket) {
    socket.setEncoding("utf8");
    socket.on("data", (text: string) => this.take(text));
    socket.on("error", () => undefined);
    socket.on("close", () => {
      this.closed = true;
      this.waiting?.(undefined);
    });
  }

  /** @throws Error when nobody listens there */
  static async connect(path: string): Promise<JsonLines> {
    const socket = createConnection(path);
    await new Promise<void>((resolve, reject) => {
      socket.once("connect", resolve);
      socket.once("error", reject);
    });
    return new JsonLines(socket);
  }

  private take(text: string): void {
    // 0xff says that what came before is void.
    const lines = (this.rest + text.replaceAll("\ufffd", "\n")).split("\n");
    this.rest = lines.pop() ?? "";
    for (const line of lines) {
      let message: Message;
      try {
        message = JSON.parse(line) as Message;
      } catch {
        continue;
      }
      if (this.waiting === undefined) this.queue.push(message);
      else {
        const give = this.waiting;
        this.waiting = undefined;
        give(message);
      }
    }
  }

  send(message: Message): void {
    this.socket.write(`${JSON.stringify(message)}\n`);
  }

  sendBytes(bytes: Buffer): void {
    this.socket.write(bytes);
  }

  /** The next message that fits. @throws Error after that many seconds, or at the end */
  async next(limit: number, fits: (message: Message) => boolean = () => true): Promise<Message> {
    const deadline = Date.now() + limit * 1000;
    for (;;) {
      const message = this.queue.shift() ?? (await this.wait(deadline - Date.now()));
      if (message === undefined) throw new Error(this.closed ? "connection closed" : "got timeout");
      if (fits(message)) return message;
    }
  }

  private wait(milliseconds: number): Promise<Message | undefined> {
    if (this.closed || milliseconds <= 0) return Promise.resolve(undefined);
    return new Promise((resolve) => {
      const finish = (message: Message | undefined) => {
        clearTimeout(timer);
        this.waiting = undefined;
        resolve(message);
      };
      const timer = setTimeout(() => finish(undefined), milliseconds);
      this.waiting = finish;
    });
  }

  close(): void {
    this.socket.destroy();
  }
}
