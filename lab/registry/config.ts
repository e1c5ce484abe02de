/** Configuration of the registry. */

import { stringify } from "yaml";

export interface RegistryOptions {
  readonly listen: string;
  readonly port: number;
  readonly storage: string;
  readonly tls: { readonly cert: string; readonly key: string };
}

/** `config.yml` of docker-registry 2.8. Anybody may read and write: only the lab reaches it. */
export function registryConfig({ listen, port, storage, tls }: RegistryOptions): string {
  return stringify({
    version: 0.1,
    log: { level: "warn", accesslog: { disabled: false } },
    storage: {
      filesystem: { rootdirectory: storage },
      delete: { enabled: true },
      cache: { blobdescriptor: "inmemory" },
      // Left to itself it walks through the whole storage at start, for uploads of last week.
      maintenance: { uploadpurging: { enabled: false } },
    },
    http: {
      addr: `${listen}:${port}`,
      tls: { certificate: tls.cert, key: tls.key, minimumtls: "tls1.2" },
      headers: { "X-Content-Type-Options": ["nosniff"] },
    },
  });
}
