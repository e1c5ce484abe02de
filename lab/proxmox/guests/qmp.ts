/** Commands for a running QEMU. */

import { fault } from "../errors";
import { JsonLines, type Message } from "./json-line";

const LIMIT = 10;

/** Runs one command. @throws ApiError with QEMU's own words when it refuses */
export async function qmp(socket: string, command: string, args: Message = {}): Promise<unknown> {
  const lines = await JsonLines.connect(socket).catch(() => {
    throw fault("unable to connect to VM qmp socket - got timeout");
  });
  const isAnswer = (message: Message) => "return" in message || "error" in message;
  try {
    await lines.next(LIMIT, (message) => "QMP" in message);
    for (const [execute, parameters] of [
      ["qmp_capabilities", {}] as const,
      [command, args] as const,
    ]) {
      lines.send({ execute, arguments: parameters });
      const answer = await lines.next(LIMIT, isAnswer);
      if ("error" in answer) throw fault((answer.error as { desc: string }).desc);
      if (execute === command) return answer.return;
    }
    return undefined;
  } finally {
    lines.close();
  }
}
