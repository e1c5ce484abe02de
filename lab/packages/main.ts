/**
 * `tsx lab/packages/main.ts --root DIR --cert FILE --key FILE --listen ADDRESS --cache DIR`: serves
 * the package repository on port 443 and the apt cache on 3142, until SIGTERM.
 *
 * `--secure-host NAME`, any number of times: the cache fetches from this mirror over TLS.
 */

import { parseArgs } from "node:util";

import { log, runServer } from "../services/serve";
import { AptCache, listen } from "./apt-cache/proxy";
import { APT_CACHE_PORT, REPOSITORY_PORT } from "./ports";
import { fileHandler, httpsServer } from "./static-server";

const USAGE =
  "usage: tsx lab/packages/main.ts --root DIR --cert FILE --key FILE --listen ADDRESS --cache DIR";

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      root: { type: "string" },
      cert: { type: "string" },
      key: { type: "string" },
      listen: { type: "string" },
      cache: { type: "string" },
      "secure-host": { type: "string", multiple: true },
    },
  });
  const { root, cert, key, listen: address, cache: folder } = values;
  if (!root || !cert || !key || !address || !folder) throw new Error(USAGE);
  const repository = httpsServer({ cert, key }, fileHandler(root, log));
  const cache = new AptCache({ folder, secureHosts: values["secure-host"], log });
  const proxy = cache.server();
  await listen(repository, address, REPOSITORY_PORT);
  await listen(proxy, address, APT_CACHE_PORT);
  log(`repository on ${address}:${REPOSITORY_PORT}, apt cache on ${address}:${APT_CACHE_PORT}`);
  // Nothing is lost by an end in the middle: clients ask again, unfinished fetches are swept away.
  for (const signal of ["SIGTERM", "SIGINT"] as const) process.on(signal, () => process.exit(0));
}

runServer("packages", main);
