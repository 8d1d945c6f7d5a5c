import type { RestDeclaration } from '../../trpc/rest-declaration.ts';
import { weightOf } from './media-types.ts';
import type { RestRoute } from './route-table.ts';

interface Asked {
  readonly headers: Headers;
  readonly query: URLSearchParams;
}

/** Whether the request names an event to go on after. */
export function isResuming({ headers, query }: Asked): boolean {
  return headers.has('last-event-id') || query.has('lastEventId');
}

/** Which of the procedures that share a path a request means; null when none can answer with an accepted type. */
export function chooseRoute(routes: readonly RestRoute[], asked: Asked): RestRoute | null {
  const accept = asked.headers.get('accept');
  const weight = ({ type }: RestRoute) =>
    weightOf(accept, type === 'subscription' ? 'text/event-stream' : 'application/json');
  const accepted = routes.filter((route) => weight(route) > 0);
  const find = (list: readonly RestRoute[], wanted: RestDeclaration['when']) =>
    list.find(({ declaration }) => declaration.when === wanted);
  // Who names an event goes on after it, in whatever form is accepted: nothing is ever started for them.
  if (isResuming(asked) && find(routes, 'resuming') !== undefined) return find(accepted, 'resuming') ?? null;
  const usual = find(accepted, undefined) ?? null;
  const plain = find(accepted, 'json') ?? null;
  if (usual === null || plain === null) return usual ?? plain;
  return weight(plain) > weight(usual) ? plain : usual;
}
