/** How the lab's own servers are started: one process each, in the lab's network. */

import { readdirSync } from "node:fs";
import path from "node:path";

import { inNetwork } from "../net/namespace";
import { PATHS, ROOT } from "../paths";
import type { Service } from "./process";

/** A TypeScript program of the lab as a service. Its folder's sources count as inputs. */
export function labProgram(
  name: string,
  main: string,
  args: readonly string[],
  options: Pick<Service, "inputs" | "listens" | "startLimit" | "stopLimit">,
  network = inNetwork,
): Service {
  const [program, before] = network(process.execPath, [
    // Bounded, so that all of them together fit beside the guests.
    "--max-old-space-size=96",
    "--import",
    path.join(ROOT, "node_modules", "tsx", "dist", "loader.mjs"),
    path.join(ROOT, main),
  ]);
  return {
    name,
    program,
    args: [...before, ...args],
    env: serverEnvironment(),
    ...options,
    inputs: [...sources(path.join(ROOT, path.dirname(main))), ...(options.inputs ?? [])],
  };
}

function sources(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".ts"))
    .sort()
    .map((name) => path.join(folder, name));
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
