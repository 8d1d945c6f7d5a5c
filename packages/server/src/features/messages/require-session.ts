import { ServiceError } from '../../platform/service-error.ts';
import type { MessageReadsStore, OwnedSession } from './message-reads-store.ts';

/** The session, if it is the user's. @throws ServiceError `NOT_FOUND`, the same for one that does not exist */
export type RequireSession = (userId: string, sessionId: string) => Promise<OwnedSession>;

export function createRequireSession(reads: MessageReadsStore): RequireSession {
  return async function requireSession(userId, sessionId) {
    const session = await reads.findSession(userId, sessionId);
    if (session === null) throw new ServiceError('NOT_FOUND');
    return session;
  };
}
