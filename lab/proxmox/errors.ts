/** Error answers in Proxmox VE's words. */

/** An answer other than success; the message is the reason phrase too. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    message: string,
    readonly errors?: Readonly<Record<string, string>>,
  ) {
    super(message);
  }
}

/** What a method dies with. */
export function fault(message: string): ApiError {
  return new ApiError(500, message);
}

/** Parameters that do not fit, by name. */
export function badParameters(errors: Readonly<Record<string, string>>): ApiError {
  return new ApiError(400, "Parameter verification failed.", errors);
}

export function denied(path: string, privileges: readonly string[]): ApiError {
  return new ApiError(403, `Permission check failed (${path}, ${privileges.join("|")})`);
}

/** Text of whatever was thrown, on one line. */
export function messageOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.trim();
}
