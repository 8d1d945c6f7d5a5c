import type { Database } from '../../db/database.ts';
import { delay, type Clock } from '../../platform/clock.ts';
import type { AwaitGeneration } from './await-generation.ts';
import type { GenerationOwner } from './generation-owner.ts';
import type { GenerationsStore } from './generations-store.ts';
import type { RecoverGeneration } from './recover-generation.ts';

/** Ends what runs in a session that is being deleted: by its owner within 2 s, from what is stored otherwise. */
export type EndForDeletion = (sessionId: string) => Promise<void>;

export interface EndForDeletionDependencies {
  readonly database: Database;
  readonly store: GenerationsStore;
  readonly owner: GenerationOwner;
  readonly awaitGeneration: AwaitGeneration;
  readonly recover: RecoverGeneration;
  readonly clock: Clock;
}

const ownerMs = 2000;

export function createEndForDeletion(deps: EndForDeletionDependencies): EndForDeletion {
  const { database, store, owner, awaitGeneration, recover, clock } = deps;

  return async function endForDeletion(sessionId) {
    const live = await store.findLive(database.query, sessionId);
    if (live === null) return;
    const { row } = live;
    await store.requestStop(database.query, row.id, 'deletion');
    owner.cancel(row.id, 'deletion');
    const over = new AbortController();
    const ended = awaitGeneration(row, 'ended', over.signal).catch(() => undefined);
    await Promise.race([ended, delay(clock, ownerMs, over.signal).catch(() => undefined)]);
    over.abort();
    await recover(row.id, { force: true });
  };
}
