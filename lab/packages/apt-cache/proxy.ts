/**
 * A caching HTTP proxy for apt: what one guest has fetched, the next one gets without a way out.
 *
 * GET and HEAD of files in apt repositories over plain HTTP are kept; everything else is refused,
 * but for tunnels to TLS ports, which pass through unseen. What is served stays as trustworthy as
 * without the proxy: apt checks signatures and hashes itself.
 */

import { once } from "node:events";
import { createReadStream } from "node:fs";
import http, {
  type IncomingHttpHeaders,
  type IncomingMessage,
  type ServerResponse,
} from "node:http";
import net from "node:net";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";

import { Download } from "./download";
import { readTarget, readTunnel, type Target } from "./rules";
import { type Entry, Store } from "./store";
import { getUpstream } from "./upstream";

export interface AptCacheOptions {
  readonly folder: string;
  /** Hosts whose repositories are fetched over TLS, though guests ask for them in plain HTTP. */
  readonly secureHosts?: readonly string[];
  /** Seconds for which a changing file is served without asking its server. Default: 12 hours. */
  readonly freshFor?: number;
  /** Seconds without an answer, or without a byte, until a server counts as gone. Default: 25. */
  readonly serverLimit?: number;
  readonly log: (line: string) => void;
}

/** apt gives up after 30 s of silence. */
const SERVER_LIMIT = 25;
const FRESH_FOR = 12 * 3600;
const TUNNEL_IDLE_LIMIT = 300;
/** An entry that nobody used for this long goes. */
const KEEP_DAYS = 60;

/** How an answer came about, for the log. */
type Source = "cache" | "joined" | "fetched" | "confirmed" | "stale" | "refused" | "failed";

class Refusal extends Error {
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message);
  }
}

interface Headers {
  readonly type?: string;
  readonly lastModified?: string;
  readonly etag?: string;
  readonly size?: number;
}

interface InFlight {
  readonly headers: Headers;
  readonly download: Download;
}

type Found =
  | { readonly entry: Entry; readonly source: Source }
  | { readonly flight: InFlight; readonly source: Source };

export class AptCache {
  private readonly store: Store;
  /** Fetches by URL, from the request until the content is stored. */
  private readonly flights = new Map<string, Promise<Found>>();

  constructor(private readonly options: AptCacheOptions) {
    this.store = new Store(options.folder);
    this.store.prune(new Date(Date.now() - KEEP_DAYS * 24 * 3600 * 1000));
  }

  /** An HTTP server, not listening yet. */
  server(): http.Server {
    const server = http.createServer((message, response) => void this.answer(message, response));
    server.on("connect", (message: IncomingMessage, socket: net.Socket, head: Buffer) =>
      this.tunnel(message.url ?? "", socket, head),
    );
    return server;
  }

  private async answer(message: IncomingMessage, response: ServerResponse): Promise<void> {
    const started = Date.now();
    const target = readTarget(message.url ?? "");
    let source: Source = "refused";
    try {
      if (target === undefined || (message.method !== "GET" && message.method !== "HEAD")) {
        throw new Refusal(403, "this proxy serves GET and HEAD of apt repositories over HTTP only");
      }
      const found = await this.find(target, message);
      source = found.source;
      await send(this.store, found, message, response);
    } catch (error) {
      if (source === "refused" && !(error instanceof Refusal)) source = "failed";
      refuse(response, error);
    }
    const url = target?.url ?? "(no repository)";
    this.options.log(
      `apt ${message.method} ${url} ${response.statusCode} ${source} ${Date.now() - started}ms`,
    );
  }

  /** Looks in the store, and asks the server where that does not do. */
  private async find(target: Target, message: IncomingMessage): Promise<Found> {
    const again = /\bno-cache\b/.test(message.headers["cache-control"] ?? "");
    const entry = this.store.find(target.url);
    if (entry !== undefined && !again && this.isFresh(target, entry)) {
      return { entry, source: "cache" };
    }
    const running = this.flights.get(target.url);
    if (running !== undefined) return { ...(await running), source: "joined" };
    const flight = this.ask(target, again ? undefined : entry, message.headers["user-agent"]).catch(
      (error: unknown): Found => {
        if (entry === undefined || error instanceof Refusal) throw error;
        this.options.log(`apt ${target.url}: ${describe(error)}; serves what it has`);
        return { entry, source: "stale" };
      },
    );
    this.flights.set(target.url, flight);
    const ended = () => this.flights.delete(target.url);
    flight.then(stored).then(ended, ended);
    return flight;
  }

  private isFresh(target: Target, entry: Entry): boolean {
    if (target.kind === "fixed") return true;
    return Date.now() - entry.checked < (this.options.freshFor ?? FRESH_FOR) * 1000;
  }

  private async ask(
    target: Target,
    entry: Entry | undefined,
    userAgent: string | undefined,
  ): Promise<Found> {
    const url = new URL(target.url);
    if (this.options.secureHosts?.includes(url.host)) url.protocol = "https:";
    const answer = await getUpstream(
      url,
      {
        ...(userAgent !== undefined && { "user-agent": userAgent }),
        ...(entry?.lastModified !== undefined && { "if-modified-since": entry.lastModified }),
        ...(entry?.etag !== undefined && { "if-none-match": entry.etag }),
      },
      this.options.serverLimit ?? SERVER_LIMIT,
    );
    if (answer.status === 304 && entry !== undefined) {
      answer.body.resume();
      const confirmed = { ...entry, checked: Date.now() };
      this.store.write(confirmed);
      return { entry: confirmed, source: "confirmed" };
    }
    if (answer.status !== 200) {
      answer.body.resume();
      if (answer.status >= 500) throw new Error(`the server answers ${answer.status}`);
      // A file that has gone is named by an index that is too old.
      if (target.kind === "fixed") this.store.expire(target.host);
      throw new Refusal(answer.status, `the server answers ${answer.status}`);
    }
    const headers = readHeaders(answer.headers);
    return { flight: this.receive(target, headers, answer.body), source: "fetched" };
  }

  /** Takes a body in, whoever still reads along, and stores it. */
  private receive(target: Target, headers: Headers, body: AsyncIterable<Buffer>): InFlight {
    const file = this.store.temporary();
    const { url, host, sha256 } = target;
    const { type, lastModified, etag, size } = headers;
    const download = new Download(file, body, { size, sha256 }, (fetched) => {
      const entry = { url, host, ...fetched, type, lastModified, etag, checked: Date.now() };
      return this.store.keep(file, entry);
    });
    download.done.catch((error: unknown) => this.options.log(`apt ${url}: ${describe(error)}`));
    return { headers, download };
  }

  private tunnel(target: string, socket: net.Socket, head: Buffer): void {
    const to = readTunnel(target);
    socket.on("error", () => socket.destroy());
    if (to === undefined) {
      this.options.log(`apt CONNECT refused`);
      socket.end("HTTP/1.1 403 Forbidden\r\nConnection: close\r\n\r\n");
      return;
    }
    const limit = (this.options.serverLimit ?? SERVER_LIMIT) * 1000;
    const server = net.connect(to.port, to.host);
    let open = false;
    server.setTimeout(limit, () => server.destroy(new Error("no answer")));
    server.once("connect", () => {
      open = true;
      this.options.log(`apt CONNECT ${target}`);
      server.setTimeout(TUNNEL_IDLE_LIMIT * 1000);
      socket.write("HTTP/1.1 200 Connection established\r\n\r\n");
      server.write(head);
      server.pipe(socket).pipe(server);
    });
    server.on("error", (error) => {
      this.options.log(`apt CONNECT ${target}: ${describe(error)}`);
      if (open) socket.destroy();
      else socket.end("HTTP/1.1 502 Bad Gateway\r\nConnection: close\r\n\r\n");
    });
    server.on("close", () => socket.destroySoon());
    socket.on("close", () => server.destroy());
  }
}

/** Ends with the fetch that is part of an answer. */
async function stored(found: Found): Promise<void> {
  if ("flight" in found) await found.flight.download.done;
}

async function send(
  store: Store,
  found: Found,
  message: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const headers: Headers = "entry" in found ? found.entry : found.flight.headers;
  const { size, type, lastModified, etag } = headers;
  if ("entry" in found && notModified(message, found.entry)) {
    response.writeHead(304, defined({ "last-modified": lastModified, etag })).end();
    return;
  }
  response.writeHead(
    200,
    defined({
      "content-type": type ?? "application/octet-stream",
      "content-length": size === undefined ? undefined : String(size),
      "last-modified": lastModified,
      etag,
    }),
  );
  if (message.method === "HEAD") {
    response.end();
    return;
  }
  const body =
    "entry" in found
      ? createReadStream(store.contentFile(found.entry.sha256))
      : Readable.from(found.flight.download.read());
  await pipeline(body, response);
}

function notModified(message: IncomingMessage, entry: Entry): boolean {
  const since = Date.parse(message.headers["if-modified-since"] ?? "");
  const modified = Date.parse(entry.lastModified ?? "");
  return modified <= since;
}

/** An answer that has begun can only be cut: the client sees that it is not whole. */
function refuse(response: ServerResponse, error: unknown): void {
  if (response.headersSent) {
    response.destroy();
    return;
  }
  const status = error instanceof Refusal ? error.status : 503;
  response.writeHead(status, { "content-type": "text/plain" }).end(`${describe(error)}\n`);
}

function readHeaders(headers: IncomingHttpHeaders): Headers {
  const length = headers["content-length"];
  return {
    type: headers["content-type"],
    lastModified: headers["last-modified"],
    etag: headers.etag,
    size: length === undefined ? undefined : Number(length),
  };
}

function defined(headers: Record<string, string | undefined>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(headers).filter((pair): pair is [string, string] => pair[1] !== undefined),
  );
}

function describe(error: unknown): string {
  const { message, code } = error as Error & { code?: string };
  return message || (code ?? String(error));
}

/** Listens; rejects when it cannot. */
export async function listen(server: net.Server, host: string, port: number): Promise<void> {
  server.listen(port, host);
  await once(server, "listening");
}
