import type { Database } from '../../db/database.ts';
import { ServiceError } from '../../platform/service-error.ts';
import type { FollowSession, IdentifiedSessionEvent } from '../generations/follow-session.ts';
import type { SessionsStore } from './sessions-store.ts';

/**
 * Watches one's own session: its history, then everything that happens in it, also in other tabs. An event id that
 * cannot be served starts over at the history.
 * @throws ServiceError `NOT_FOUND`, before anything is sent
 */
export type FollowOwnSession = (
  request: { userId: string; sessionId: string; lastEventId?: string | null | undefined },
  signal: AbortSignal,
) => Promise<AsyncGenerator<IdentifiedSessionEvent, void, void>>;

export interface FollowOwnSessionDependencies {
  readonly database: Database;
  readonly store: SessionsStore;
  readonly followSession: FollowSession;
}

export function createFollowOwnSession(deps: FollowOwnSessionDependencies): FollowOwnSession {
  const { database, store, followSession } = deps;
  return async function followOwnSession({ userId, sessionId, lastEventId }, signal) {
    if ((await store.find(database.query, userId, sessionId)) === null) throw new ServiceError('NOT_FOUND');
    return followSession({ sessionId, lastEventId: lastEventId ?? null }, signal);
  };
}
