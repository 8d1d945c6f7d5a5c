import { ServiceError } from '../../platform/service-error.ts';
import type { MessagesStore, OwnedSession } from './messages-store.ts';

/** The session, if it is the user's. @throws ServiceError `NOT_FOUND`, the same for one that does not exist */
export type RequireSession = (userId: string, sessionId: string) => Promise<OwnedSession>;

export function createRequireSession(store: MessagesStore): RequireSession {
  return async function requireSession(userId, sessionId) {
    const session = await store.findSession(userId, sessionId);
    if (session === null) throw new ServiceError('NOT_FOUND');
    return session;
  };
}
