/** Serves the files of the package repository over HTTPS. */

import { readFileSync } from "node:fs";
import type { IncomingMessage, ServerResponse } from "node:http";
import https from "node:https";
import { pipeline } from "node:stream/promises";

import send from "@fastify/send";

export interface StaticServerOptions {
  /** Folder whose files are served; it may be a link that is turned to another folder later. */
  readonly root: string;
  readonly tls: { readonly cert: string; readonly key: string };
  readonly log: (line: string) => void;
}

/** An HTTPS server, not listening yet: GET and HEAD, ranges, conditional requests. */
export function staticServer(options: StaticServerOptions): https.Server {
  const tls = {
    cert: readFileSync(options.tls.cert),
    key: readFileSync(options.tls.key),
    minVersion: "TLSv1.2",
  } as const;
  return https.createServer(tls, (request, response) => void answer(options, request, response));
}

async function answer(
  { root, log }: StaticServerOptions,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const path = (request.url ?? "/").replace(/[?#].*$/s, "");
  const started = Date.now();
  try {
    if (request.method !== "GET" && request.method !== "HEAD") {
      response.writeHead(405, { allow: "GET, HEAD" }).end();
    } else {
      const { statusCode, headers, stream } = await send(request, path, {
        root,
        index: false,
        cacheControl: false,
      });
      response.writeHead(statusCode, headers);
      await pipeline(stream, response);
    }
  } catch (error) {
    log(`${request.method} ${path}: ${error instanceof Error ? error.message : String(error)}`);
    if (response.headersSent) response.destroy();
    else response.writeHead(500).end();
  }
  log(`${request.method} ${path} ${response.statusCode} ${Date.now() - started}ms`);
}
