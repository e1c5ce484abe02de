/** Offset pagination with GitLab's headers. */

import type { FastifyReply, FastifyRequest } from "fastify";

import { readParams } from "./params";
import { rawParams } from "./request-params";

const DEFAULT_PER_PAGE = 20;
const MAX_PER_PAGE = 100;

/** One page of `items`, as the request asks for; the reply gets the headers. */
export function paginate<T>(
  request: FastifyRequest,
  reply: FastifyReply,
  baseUrl: string,
  items: readonly T[],
): T[] {
  const params = readParams(rawParams(request), {
    page: { kind: "integer" },
    per_page: { kind: "integer" },
  });
  const perPage = Math.min(Math.max(params.per_page ?? DEFAULT_PER_PAGE, 1), MAX_PER_PAGE);
  const page = Math.max(params.page ?? 1, 1);
  const pages = Math.max(Math.ceil(items.length / perPage), 1);
  const next = page < pages ? page + 1 : undefined;
  const previous = page > 1 ? page - 1 : undefined;
  const link = (rel: string, target: number | undefined) => {
    if (target === undefined) return [];
    const url = new URL(baseUrl + request.url);
    url.searchParams.delete("private_token");
    url.searchParams.set("page", String(target));
    url.searchParams.set("per_page", String(perPage));
    return [`<${url.href}>; rel="${rel}"`];
  };
  void reply.headers({
    "x-page": String(page),
    "x-per-page": String(perPage),
    "x-next-page": next === undefined ? "" : String(next),
    "x-prev-page": previous === undefined ? "" : String(previous),
    "x-total": String(items.length),
    "x-total-pages": String(pages),
    link: [
      ...link("prev", previous),
      ...link("next", next),
      ...link("first", 1),
      ...link("last", pages),
    ].join(", "),
  });
  return items.slice((page - 1) * perPage, page * perPage);
}
