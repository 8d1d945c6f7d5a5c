import type { RestDeclaration } from '../../trpc/rest-declaration.ts';
import { acceptsType } from './media-types.ts';
import type { RestRoute } from './route-table.ts';

/** Which of the procedures that share a path a request means; null when none can answer with an accepted type. */
export function chooseRoute(
  routes: readonly RestRoute[],
  { headers, query }: { readonly headers: Headers; readonly query: URLSearchParams },
): RestRoute | null {
  const accept = headers.get('accept');
  const accepted = routes.filter(({ type }) =>
    acceptsType(accept, type === 'subscription' ? 'text/event-stream' : 'application/json'),
  );
  const find = (list: readonly RestRoute[], wanted: RestDeclaration['when']) =>
    list.find(({ declaration }) => declaration.when === wanted);
  // Who names an event goes on after it, in whatever form is accepted: nothing is ever started for them.
  const isResuming = headers.has('last-event-id') || query.has('lastEventId');
  if (isResuming && find(routes, 'resuming') !== undefined) return find(accepted, 'resuming') ?? null;
  return find(accepted, undefined) ?? find(accepted, 'json') ?? null;
}
