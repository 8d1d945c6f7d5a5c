import type { DeleteSessionInput } from '@chat-service/shared/session-api';
import type { Database } from '../../db/database.ts';
import type { Clock } from '../../platform/clock.ts';
import { ServiceError } from '../../platform/service-error.ts';
import type { RemoveSession } from './remove-session.ts';
import type { SessionsStore } from './sessions-store.ts';

/** Deletes a session and everything in it; a running generation is ended first. @throws ServiceError `NOT_FOUND` */
export type DeleteSession = (request: DeleteSessionInput & { userId: string }) => Promise<void>;

export interface DeleteSessionDependencies {
  readonly database: Database;
  readonly store: SessionsStore;
  readonly removeSession: RemoveSession;
  readonly clock: Clock;
}

export function createDeleteSession({
  database,
  store,
  removeSession,
  clock,
}: DeleteSessionDependencies): DeleteSession {
  return async function deleteSession({ userId, sessionId }) {
    await database.transaction(async (tx) => {
      await store.lockAccount(tx, userId);
      const session = await store.lock(tx, userId, sessionId);
      if (session === null) throw new ServiceError('NOT_FOUND');
      await store.bury(tx, sessionId, new Date(clock.now()));
      if (!session.temporary) await store.countListed(tx, userId, -1);
    });
    await removeSession(sessionId);
  };
}
