/** Serves the files of the package repository over HTTPS. */

import { readFileSync } from "node:fs";
import type { IncomingMessage, ServerResponse } from "node:http";
import https from "node:https";
import { pipeline } from "node:stream/promises";

import send from "@fastify/send";

type Log = (line: string) => void;
type Handler = (request: IncomingMessage, response: ServerResponse) => Promise<void>;

/**
 * Serves files: GET and HEAD, ranges, conditional requests.
 *
 * @param root folder; it may be a link that is turned to another folder later
 */
export function fileHandler(root: string, log: Log): Handler {
  return async (request, response) => {
    const path = (request.url ?? "/").replace(/[?#].*$/s, "");
    const started = Date.now();
    try {
      if (request.method !== "GET" && request.method !== "HEAD") {
        response.writeHead(405, { allow: "GET, HEAD" }).end();
      } else {
        const options = { root, index: false, cacheControl: false };
        const { statusCode, headers, stream } = await send(request, path, options);
        response.writeHead(statusCode, headers);
        await pipeline(stream, response);
      }
    } catch (error) {
      log(`${request.method} ${path}: ${error instanceof Error ? error.message : String(error)}`);
      if (response.headersSent) response.destroy();
      else response.writeHead(500).end();
    }
    log(`${request.method} ${path} ${response.statusCode} ${Date.now() - started}ms`);
  };
}

export interface TlsFiles {
  readonly cert: string;
  readonly key: string;
}

/** An HTTPS server, not listening yet. */
export function httpsServer(tls: TlsFiles, handler: Handler): https.Server {
  const options = {
    cert: readFileSync(tls.cert),
    key: readFileSync(tls.key),
    minVersion: "TLSv1.2",
  } as const;
  return https.createServer(options, (request, response) => void handler(request, response));
}
