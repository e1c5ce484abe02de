/** Asks the mirrors; with Node's own client, since a larger one costs a server of the lab 20 MB. */

import http, { type IncomingHttpHeaders } from "node:http";
import https from "node:https";

export interface UpstreamAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** To be read to its end, or destroyed. */
  readonly body: http.IncomingMessage;
}

const MAX_REDIRECTIONS = 5;
const REDIRECTIONS = [301, 302, 303, 307, 308];

/** Connections are kept for the next file. */
const AGENTS = {
  "http:": new http.Agent({ keepAlive: true, maxSockets: 8 }),
  "https:": new https.Agent({ keepAlive: true, maxSockets: 8 }),
};

/**
 * Gets a URL, and follows where it leads.
 *
 * @param limit seconds of silence until the server counts as gone
 */
export async function getUpstream(
  url: URL,
  headers: Readonly<Record<string, string>>,
  limit: number,
): Promise<UpstreamAnswer> {
  for (let count = 0; count <= MAX_REDIRECTIONS; count++) {
    const answer = await getOnce(url, headers, limit);
    const { location } = answer.headers;
    if (!REDIRECTIONS.includes(answer.status) || location === undefined) return answer;
    answer.body.destroy();
    url = new URL(location, url);
  }
  throw new Error(`more than ${MAX_REDIRECTIONS} redirections`);
}

function getOnce(
  url: URL,
  headers: Readonly<Record<string, string>>,
  limit: number,
): Promise<UpstreamAnswer> {
  const [client, agent] =
    url.protocol === "https:" ? [https, AGENTS["https:"]] : [http, AGENTS["http:"]];
  return new Promise((resolve, reject) => {
    const request = client.get(url, { agent, headers: { ...headers }, timeout: limit * 1000 });
    request.on("timeout", () => request.destroy(new Error(`silent for ${limit} s`)));
    request.on("error", reject);
    request.on("response", (body) =>
      resolve({ status: body.statusCode ?? 0, headers: body.headers, body }),
    );
  });
}
