// GET requests to the Proxmox API, for the scripts that Pulumi runs on this machine.
import { request } from "node:https";
import { text } from "node:stream/consumers";

/** Milliseconds after which a request counts as unanswered. */
const LIMIT = 30_000;

/**
 * Asks the API at `site` ({endpoint, insecure, apiToken}) for a path below /api2/json.
 *
 * @returns {Promise<{status: number, reason: string, data: unknown}>} `data` only of an answer of 200
 * @throws Error when nothing that speaks TLS as the site should answers in 30 s
 */
export function get(site, path, query = {}) {
  const url = new URL(`/api2/json/${path}`, site.endpoint);
  Object.entries(query).forEach(([name, value]) => url.searchParams.set(name, value));
  return new Promise((resolve, reject) => {
    const sent = request(
      url,
      {
        headers: { Authorization: `PVEAPIToken=${site.apiToken}` },
        rejectUnauthorized: !site.insecure,
        timeout: LIMIT,
      },
      (response) => {
        const { statusCode: status, statusMessage: reason } = response;
        text(response)
          .then((body) => ({ status, reason, data: status === 200 ? JSON.parse(body).data : null }))
          .then(resolve, reject);
      },
    );
    sent.on("timeout", () => sent.destroy(new Error(`no answer in ${LIMIT / 1000} s`)));
    sent.on("error", reject);
    sent.end();
  });
}
