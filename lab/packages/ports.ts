/** Where the package server listens. */

export const REPOSITORY_PORT = 443;

/** The port of Debian's own cache for apt, which many networks have at the same place. */
export const APT_CACHE_PORT = 3142;
