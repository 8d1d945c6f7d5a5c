import type { Database } from '../../db/database.ts';
import type { Logger } from '../../platform/logger.ts';
import type { RemoveSession } from './remove-session.ts';
import type { SessionsStore } from './sessions-store.ts';

export interface SweepDependencies {
  readonly database: Database;
  readonly store: SessionsStore;
  readonly removeSession: RemoveSession;
  readonly logger: Logger;
}

const batch = 100;

/** Finishes deletions that a crash, or a database that went away, has left half done. */
export function createSweepTombstones({
  database,
  store,
  removeSession,
  logger,
}: SweepDependencies): () => Promise<void> {
  return async function sweepTombstones() {
    for (const { id } of await store.listTombstones(database.query, batch)) {
      try {
        await removeSession(id);
      } catch (error) {
        logger.error({ err: error, sessionId: id }, 'could not finish a deletion');
      }
    }
  };
}
