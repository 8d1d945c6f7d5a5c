import type { TRPCLink } from '@trpc/client';
import { observable, type Unsubscribable } from '@trpc/server/observable';
import type { AppRouter } from '../app-router.generated.ts';
import { ConnectionError, UnauthorizedError } from '../errors.ts';
import { toChatError } from '../read-error.ts';
import type { TokenSource } from './token-source.ts';

/** Where the context of an operation holds the version of the token that it was sent with. */
export const tokenVersionKey = 'tokenVersion';

/** Repeats a call once with a new token when the server refused the one it came with: a 401 comes before anything is done. */
export function refreshToken(tokens: TokenSource): TRPCLink<AppRouter> {
  return () =>
    ({ op, next }) =>
      observable((observer) => {
        let subscription: Unsubscribable | null = null;
        let repeated = false;
        const send = (): void => {
          subscription = next(op).subscribe({
            next: (value) => observer.next(value),
            complete: () => observer.complete(),
            error(error) {
              const version = op.context[tokenVersionKey];
              const refused = toChatError(error) instanceof UnauthorizedError && typeof version === 'number';
              if (repeated || !refused || !tokens.renewable) return observer.error(error);
              repeated = true;
              tokens.refuse(version);
              send();
            },
          });
        };
        send();
        return () => subscription?.unsubscribe();
      });
}

/**
 * A `fetch` for tRPC that tells an answer of something else, as a proxy's error page, from an answer of the service. The
 * former becomes a `ConnectionError` with its status and `Retry-After`; tRPC would only complain about its syntax.
 */
export function refuseForeignAnswers(
  send: typeof fetch,
): (url: string | URL | RequestInfo, init?: object) => Promise<Response> {
  return async (url, init) => {
    const response = await send(url, init);
    const type = response.headers.get('content-type') ?? '';
    if (response.ok || /\bjson\b/iu.test(type)) return response;
    await response.body?.cancel();
    const retryAfter = Number(response.headers.get('retry-after') ?? Number.NaN);
    throw new ConnectionError(`The service did not answer: HTTP ${response.status}`, {
      status: response.status,
      requestId: response.headers.get('x-request-id'),
      retryAfter: Number.isFinite(retryAfter) ? retryAfter : null,
    });
  };
}
