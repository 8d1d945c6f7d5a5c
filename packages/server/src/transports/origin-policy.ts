import { isLoopbackHost } from '../platform/loopback.ts';
import type { Logger } from '../platform/logger.ts';

export interface OriginPolicy {
  /** Whether a page of this origin may call the host it names. No origin, as from a server or a CLI, may; logs what may not. */
  allows(origin: string | undefined, host: string | undefined): boolean;
}

export interface OriginOptions {
  /** Normalised: scheme and host in lower case, no default port. */
  readonly corsOrigins: readonly string[];
  /** Whether pages of any loopback origin may call. */
  readonly loopbackOrigins: boolean;
  readonly logger: Logger;
}

/** Each refused origin is told once, and no more than so many: anyone can make them up. */
const maxToldOrigins = 100;
const maxOriginLength = 255;

export function createOriginPolicy({ corsOrigins, loopbackOrigins, logger }: OriginOptions): OriginPolicy {
  const allowed = new Set(corsOrigins);
  const told = new Set<string>();

  function tell(origin: string) {
    if (told.has(origin) || told.size >= maxToldOrigins) return;
    told.add(origin);
    const line = `CORS_ORIGINS=${[...corsOrigins, origin].join(',')}`;
    logger.warn({ origin, set: line }, `refused a page of ${origin}; to allow it set ${line}`);
  }

  return {
    allows(origin, host) {
      if (origin === undefined || allowed.has(origin)) return true;
      const url = URL.parse(origin);
      if (url !== null && isSameHost(url, host)) return true;
      if (loopbackOrigins && url !== null && /^https?:$/u.test(url.protocol) && isLoopbackHost(url.hostname))
        return true;
      tell((url?.host ? origin : 'null').slice(0, maxOriginLength));
      return false;
    },
  };
}

/** TLS ends at the proxy in front, so the scheme of the request is not known here: host and port decide. */
function isSameHost(origin: URL, host: string | undefined): boolean {
  if (host === undefined || !/^https?:$/u.test(origin.protocol)) return false;
  return URL.parse(`${origin.protocol}//${host}`)?.host === origin.host;
}

const exposedHeaders = 'X-Request-Id, Retry-After, RateLimit, RateLimit-Policy, Location';
const allowedHeaders =
  'Authorization, Content-Type, Accept, Idempotency-Key, Last-Event-ID, X-Request-Id, Cache-Control, Trpc-Accept, Traceparent, Tracestate';

/** Headers on every answer to an allowed origin, beside `Vary`. */
export function corsHeaders(origin: string): Record<string, string> {
  return { 'Access-Control-Allow-Origin': origin, 'Access-Control-Expose-Headers': exposedHeaders };
}

/** Headers of the answer to a preflight. */
export const preflightHeaders: Record<string, string> = {
  'Access-Control-Allow-Methods': 'GET, HEAD, POST, PATCH, DELETE',
  'Access-Control-Allow-Headers': allowedHeaders,
  'Access-Control-Max-Age': '600',
};
