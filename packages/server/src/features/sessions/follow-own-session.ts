import type { ObservedEvent } from '@chat-service/shared/events';
import type { Database } from '../../db/database.ts';
import { ServiceError } from '../../platform/service-error.ts';
import type { FollowSession, IdentifiedSessionEvent } from '../generations/follow-session.ts';
import type { ObservedNotices } from '../generations/reader-notices.ts';
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
  /** What is told of observers; null for nothing. */
  readonly observedNotices: ObservedNotices | null;
}

export function createFollowOwnSession(deps: FollowOwnSessionDependencies): FollowOwnSession {
  const { database, store, followSession, observedNotices } = deps;
  return async function followOwnSession({ userId, sessionId, lastEventId }, signal) {
    if ((await store.find(database.query, userId, sessionId)) === null) throw new ServiceError('NOT_FOUND');
    const request = { sessionId, lastEventId: lastEventId ?? null };
    if (observedNotices === null) return followSession(request, signal);
    const notices = observedNotices(sessionId, lastEventId != null);
    // `observed` is one of those types that watchers need not know.
    return followSession<ObservedEvent>({ ...request, notices }, signal) as AsyncGenerator<IdentifiedSessionEvent>;
  };
}
