import type { Database } from '../../db/database.ts';
import type { GenerationsStore } from './generations-store.ts';

/** Id of the newest admitted generation of a session, null where there is none. */
export type FindLatestGeneration = (sessionId: string) => Promise<string | null>;

export function createFindLatestGeneration(deps: {
  database: Database;
  store: GenerationsStore;
}): FindLatestGeneration {
  const { database, store } = deps;
  return async (sessionId) => (await store.findLatest(database.query, sessionId))?.id ?? null;
}
