/** Error answers in GitLab's words. */

/** An answer other than success. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly body: unknown,
    readonly headers: Readonly<Record<string, string>> = {},
  ) {
    super(`${status} ${JSON.stringify(body)}`);
  }
}

function because(message: string, reason?: string): { message: string } {
  return { message: reason === undefined ? message : `${message} - ${reason}` };
}

/** Parameters that are missing or malformed: what Grape answers before a request is looked at. */
export function invalid(...problems: string[]): ApiError {
  return new ApiError(400, { error: problems.join(", ") });
}

export function badRequest(reason?: string): ApiError {
  return new ApiError(400, because("400 Bad request", reason));
}

/** A record that does not validate, by attribute. */
export function unprocessable(errors: Readonly<Record<string, readonly string[]>>): ApiError {
  return new ApiError(400, { message: errors });
}

export function unauthorized(): ApiError {
  return new ApiError(401, { message: "401 Unauthorized" });
}

export function invalidToken(description: string): ApiError {
  return new ApiError(
    401,
    { error: "invalid_token", error_description: description },
    {
      "www-authenticate": `Bearer realm="The API", error="invalid_token", error_description="${description}"`,
    },
  );
}

export function insufficientScope(scopes: readonly string[]): ApiError {
  return new ApiError(403, {
    error: "insufficient_scope",
    error_description: "The request requires higher privileges than provided by the access token.",
    scope: scopes.join(" "),
  });
}

export function forbidden(reason?: string, headers?: Readonly<Record<string, string>>): ApiError {
  return new ApiError(403, because("403 Forbidden", reason), headers);
}

/** `what` is the kind of record, e.g. `Project`. */
export function notFound(what?: string): ApiError {
  return new ApiError(404, {
    message: what === undefined ? "404 Not Found" : `404 ${what} Not Found`,
  });
}
