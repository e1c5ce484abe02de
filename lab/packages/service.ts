/** The process that serves the package repository and the apt cache. */

import { readFileSync } from "node:fs";
import path from "node:path";

import { fullName, SERVICES } from "../net/addresses";
import { inNamespace } from "../net/namespace";
import { CACHE, certificateFile, keyFile } from "../paths";
import type { Service } from "../services/process";
import { labProgram } from "../services/program";
import { aptSourceFiles, secureHosts } from "./machine-mirrors";
import { APT_CACHE_PORT, REPOSITORY_PORT } from "./ports";
import { SERVED } from "./repository";

export function packagesService(): Service {
  const name = fullName("packages");
  const tls = { cert: certificateFile(name), key: keyFile(name) };
  const mirrors = secureHosts(aptSourceFiles().map((file) => readFileSync(file, "utf8")));
  return labProgram(
    "packages",
    "lab/packages/main.ts",
    [
      ...["--root", SERVED, "--cert", tls.cert, "--key", tls.key],
      ...["--listen", SERVICES.packages, "--cache", path.join(CACHE, "apt")],
      ...mirrors.flatMap((host) => ["--secure-host", host]),
    ],
    {
      inputs: [tls.cert],
      listens: [
        `${SERVICES.packages}:${REPOSITORY_PORT}`,
        `${SERVICES.packages}:${APT_CACHE_PORT}`,
      ],
      startLimit: 30,
      stopLimit: 5,
    },
    // It opens tunnels to the lab's names, too.
    inNamespace,
  );
}
