import type { World } from '../../src/world.ts';
import { compareLists, type ListSize } from '../compare-lists.ts';
import type { Comparison } from '../comparison.ts';

const input = JSON.stringify({ 0: { json: { limit: 20 } } });

/** What the first page of a user's sessions costs over tRPC, asked for as the stock client's batch link does. */
export function compareSessionListTrpc(world: World, stack: AsyncDisposableStack, size: ListSize): Promise<Comparison> {
  return compareLists(world, stack, size, {
    name: 'session-list-trpc',
    against: "tRPC's own adapter with the same schemas and transformer, over prepared statements",
    goal: 1.3,
    floor: new URL('list-trpc-floor.ts', import.meta.url),
    path: `/trpc/session.list?batch=1&input=${encodeURIComponent(input)}`,
    wrap: (page) => [{ result: { data: { json: page } } }],
  });
}
