import type { World } from '../../src/world.ts';
import { compareLists, type ListSize } from '../compare-lists.ts';
import type { Comparison } from '../comparison.ts';

/** What the first page of a user's sessions costs over REST. */
export function compareSessionList(world: World, stack: AsyncDisposableStack, size: ListSize): Promise<Comparison> {
  return compareLists(world, stack, size, {
    name: 'session-list',
    against: 'a bare `node:http` server with prepared statements',
    goal: 2.5,
    floor: new URL('list-floor.ts', import.meta.url),
    path: '/api/chat/sessions',
    wrap: (page) => page,
  });
}
