/** Fetches a file over HTTP or HTTPS, as `download-url` does. */

import { createWriteStream } from "node:fs";
import { get as getHttp } from "node:http";
import { get as getHttps } from "node:https";
import { pipeline } from "node:stream/promises";

import { fault } from "../errors";

const LIMIT_MS = 1000 * 3600;
const REDIRECTS = 5;

export interface DownloadOptions {
  /** The server's certificate has to be one that this machine trusts. */
  readonly verify: boolean;
  readonly signal: AbortSignal;
}

/** @throws ApiError when the server answers with anything but the file */
export async function download(
  url: string,
  file: string,
  options: DownloadOptions,
  redirects = REDIRECTS,
): Promise<void> {
  const get = url.startsWith("https:") ? getHttps : getHttp;
  const signal = AbortSignal.any([options.signal, AbortSignal.timeout(LIMIT_MS)]);
  const next = await new Promise<string | undefined>((resolve, reject) => {
    const sent = get(url, { rejectUnauthorized: options.verify, signal }, (response) => {
      const { statusCode = 0, statusMessage, headers } = response;
      if (
        statusCode >= 300 &&
        statusCode < 400 &&
        headers.location !== undefined &&
        redirects > 0
      ) {
        response.resume();
        resolve(new URL(headers.location, url).href);
      } else if (statusCode !== 200) {
        response.resume();
        reject(fault(`download failed: ${statusCode} ${statusMessage ?? ""}`));
      } else {
        pipeline(response, createWriteStream(file)).then(() => resolve(undefined), reject);
      }
    });
    sent.on("error", reject);
  });
  if (next !== undefined) await download(next, file, options, redirects - 1);
}
