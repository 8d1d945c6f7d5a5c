import type { Header } from './openapi-types.ts';

/** Headers of answers, by their name in the components. */
export const headers = {
  XRequestId: {
    description: 'Id of this request, the one in the log; a valid `X-Request-Id` of the request is kept.',
    schema: { type: 'string' },
  },
  RetryAfter: { description: 'Seconds after which a repeat may succeed.', schema: { type: 'integer', minimum: 0 } },
  RateLimit: {
    description:
      'What is left: `r` calls in this window, which ends in `t` seconds (draft-ietf-httpapi-ratelimit-headers). Absent where nothing was counted.',
    schema: { type: 'string' },
    example: '"default";r=42;t=17',
  },
  RateLimitPolicy: {
    description: 'The limit that `RateLimit` is about: `q` calls in windows of `w` seconds.',
    schema: { type: 'string' },
    example: '"default";q=100;w=60',
  },
  WwwAuthenticate: { description: 'How to authenticate (RFC 6750).', schema: { type: 'string' } },
  Location: { description: 'Path of what was made.', schema: { type: 'string', format: 'uri-reference' } },
  IdempotentReplayed: {
    description: '`true` on a repeat whose answer is read again from what is stored.',
    schema: { type: 'string', enum: ['true'] },
  },
} as const satisfies Record<string, Header>;

/** The names on the wire. */
export const headerNames: Readonly<Record<keyof typeof headers, string>> = {
  XRequestId: 'X-Request-Id',
  RetryAfter: 'Retry-After',
  RateLimit: 'RateLimit',
  RateLimitPolicy: 'RateLimit-Policy',
  WwwAuthenticate: 'WWW-Authenticate',
  Location: 'Location',
  IdempotentReplayed: 'Idempotent-Replayed',
};
