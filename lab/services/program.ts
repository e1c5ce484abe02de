/** How the lab's own servers are started: one process each, in the lab's network. */

import { inNetwork } from "../net/namespace";
import { PATHS } from "../paths";
import { writeBundle } from "./bundle";
import type { Service } from "./process";

/** A TypeScript program of the lab as a service: another source that it uses, and it is restarted. */
export function labProgram(
  name: string,
  main: string,
  args: readonly string[],
  options: Pick<Service, "inputs" | "listens" | "startLimit" | "stopLimit">,
  network = inNetwork,
): Service {
  const file = writeBundle(name, main);
  const [program, before] = network(process.execPath, [
    // Bounded, so that all of them together fit beside the guests.
    "--max-old-space-size=96",
    "--max-semi-space-size=1",
    file,
  ]);
  return {
    name,
    program,
    args: [...before, ...args],
    env: serverEnvironment(),
    ...options,
    inputs: [file, ...(options.inputs ?? [])],
  };
}

/** What a server sees of the machine's environment: none of the operator's secrets. */
function serverEnvironment(): NodeJS.ProcessEnv {
  return {
    PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    HOME: PATHS.run,
    LANG: "C.UTF-8",
    NODE_ENV: "production",
  };
}
