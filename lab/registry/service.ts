/** The lab's registry as a service. */

import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";

import { fullName, SERVICES } from "../net/addresses";
import { inNetwork } from "../net/namespace";
import { certificateFile, keyFile, PATHS } from "../paths";
import type { Service } from "../services/process";
import { registryConfig } from "./config";
import { ensureRegistryProgram } from "./program";

const PORT = 443;

/** @throws LabError when the registry's program cannot be had */
export async function registryService(): Promise<Service> {
  const name = fullName("registry");
  const tls = { cert: certificateFile(name), key: keyFile(name) };
  const listen = SERVICES.registry;
  const file = path.join(PATHS.registry, "config.yml");
  const storage = path.join(PATHS.registry, "storage");
  mkdirSync(PATHS.registry, { recursive: true, mode: 0o700 });
  writeFileSync(file, registryConfig({ listen, port: PORT, storage, tls }), { mode: 0o600 });
  const [program, args] = inNetwork(await ensureRegistryProgram(), ["serve", file]);
  return {
    name: "registry",
    program,
    args,
    env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin" },
    inputs: [file, tls.cert],
    listens: [`${listen}:${PORT}`],
    startLimit: 20,
    stopLimit: 5,
  };
}
