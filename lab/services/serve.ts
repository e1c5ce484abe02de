/** How a server of the lab begins, logs and ends as a program of its own. */

/** A line of a server's log, with the time. */
export function log(line: string): void {
  process.stdout.write(`${new Date().toISOString()} ${line}\n`);
}

/** Runs a server's main function; what it throws is its last word, and the status is 1. */
export function runServer(name: string, main: () => Promise<void>): void {
  main().catch((error: unknown) => {
    process.stderr.write(`${name}: ${error instanceof Error ? error.message : String(error)}\n`);
    process.exit(1);
  });
}

/**
 * Closes a server at the first SIGTERM or SIGINT, and ends the process.
 *
 * @param remark added to what the log says of it
 */
export function closeOnSignal(close: () => Promise<void>, remark = ""): void {
  let stopping = false;
  const stop = (signal: NodeJS.Signals) => {
    if (stopping) return;
    stopping = true;
    log(`${signal}: stopping${remark}`);
    close().then(
      () => process.exit(0),
      (error: unknown) => {
        log(`stopping failed: ${String(error)}`);
        process.exit(1);
      },
    );
  };
  process.on("SIGTERM", stop);
  process.on("SIGINT", stop);
}
