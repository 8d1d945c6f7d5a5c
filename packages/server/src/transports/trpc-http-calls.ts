import type { AnyTRPCRouter } from '@trpc/server';
import { isResumingInput } from './call-limits.ts';
import { isPublic, isSubscription, startsByWatching } from './declared-procedures.ts';

/** How many of the calls count; a request whose calls cannot be read is one. */
export function callsThatCount(router: AnyTRPCRouter, paths: readonly string[]): number {
  return paths.length === 0 ? 1 : paths.filter((path) => !isPublic(router, path)).length;
}

/** Whether a request goes on with a subscription after an event, named in any of the places that it may be in. */
export function isResumption(
  router: AnyTRPCRouter,
  paths: readonly string[],
  { request, query }: { readonly request: Request; readonly query: URLSearchParams },
): boolean {
  const [path = ''] = paths;
  if (request.method !== 'GET' || query.get('batch') === '1' || !isSubscription(router, path)) return false;
  const named = request.headers.get('last-event-id') ?? query.get('lastEventId') ?? query.get('Last-Event-Id') ?? '';
  return named !== '' || isResumingInput(readInput(query.get('input')));
}

function readInput(text: string | null): unknown {
  try {
    const parsed: unknown = JSON.parse(text ?? 'null');
    return typeof parsed === 'object' && parsed !== null && 'json' in parsed ? parsed.json : null;
  } catch {
    return null;
  }
}

/**
 * Whether a request that is refused as a whole goes on to tRPC all the same: where a procedure needs no token, and for
 * event sources, which can read why they are refused only from the stream. All others are told before their body is read.
 */
export function isToldByTrpc(router: AnyTRPCRouter, paths: readonly string[], request: Request): boolean {
  if (paths.some((path) => isPublic(router, path))) return true;
  const wantsEvents = request.headers.get('accept')?.includes('text/event-stream') === true;
  const [path = ''] = paths;
  return wantsEvents && request.method === 'GET' && isSubscription(router, path) && !startsByWatching(router, path);
}
