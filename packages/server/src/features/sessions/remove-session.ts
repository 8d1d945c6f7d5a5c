import type { Database } from '../../db/database.ts';
import type { EndForDeletion } from '../generations/end-for-deletion.ts';
import type { GenerationLog } from '../generations/generation-log.ts';
import type { SessionsStore } from './sessions-store.ts';

/** Removes what a tombstone still holds; may be called again for one that was left half done. */
export type RemoveSession = (sessionId: string) => Promise<void>;

export interface RemoveSessionDependencies {
  readonly database: Database;
  readonly store: SessionsStore;
  readonly endForDeletion: EndForDeletion;
  readonly log: GenerationLog;
  /** Told when something has been deleted. */
  readonly deleted: () => void;
}

export function createRemoveSession({
  database,
  store,
  endForDeletion,
  log,
  deleted,
}: RemoveSessionDependencies): RemoveSession {
  return async function removeSession(sessionId) {
    await endForDeletion(sessionId);
    const fence = await database.transaction((tx) => store.remove(tx, sessionId));
    // Gone already: whoever removed it has told it.
    if (fence === null) return;
    deleted();
    await log.replace(sessionId, {
      position: { fence, number: 1 },
      previous: { fence, number: 0 },
      event: { type: 'session-deleted', sessionId },
    });
  };
}
