/** Parameters of a request, wherever the client put them. */

import "@fastify/multipart";

import type { FastifyRequest } from "fastify";

import { isObject, setField } from "./params";

/** Query, body and path together, the later ones winning. */
export function rawParams(request: FastifyRequest): Record<string, unknown> {
  const part = (value: unknown) => (isObject(value) ? value : {});
  return { ...part(request.query), ...part(request.body), ...part(request.params) };
}

/** As `rawParams`, for requests whose body may also be a multipart form; files are dropped. */
export async function formParams(request: FastifyRequest): Promise<Record<string, unknown>> {
  if (!request.isMultipart()) return rawParams(request);
  const fields: Record<string, unknown> = {};
  for await (const part of request.parts()) {
    if (part.type === "field") setField(fields, part.fieldname, part.value);
    else part.file.resume();
  }
  return { ...rawParams(request), ...fields, ...(request.params as Record<string, unknown>) };
}
