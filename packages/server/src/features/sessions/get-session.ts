import type { GetSessionInput, GetSessionOutput } from '@chat-service/shared/session-api';
import type { Database } from '../../db/database.ts';
import { ServiceError } from '../../platform/service-error.ts';
import type { ReadNewestMessages } from '../messages/read-newest-messages.ts';
import type { SessionReadsStore } from './session-reads-store.ts';
import { showSession, type ShowSessions } from './session-row.ts';

/**
 * A session with its newest messages, or with the newest before a cursor.
 * @throws ServiceError `NOT_FOUND`, `BAD_REQUEST` for a cursor that cannot be read
 */
export type GetSession = (
  request: GetSessionInput & { userId: string; cursor?: string | undefined },
) => Promise<GetSessionOutput>;

export interface GetSessionDependencies {
  readonly database: Database;
  readonly reads: SessionReadsStore;
  readonly readNewestMessages: ReadNewestMessages;
  readonly showSessions: ShowSessions;
}

const defaultMessageLimit = 100;

export function createGetSession({
  database,
  reads,
  readNewestMessages,
  showSessions,
}: GetSessionDependencies): GetSession {
  return async function getSession({ userId, sessionId, messageLimit = defaultMessageLimit, cursor }) {
    const row = await reads.find(userId, sessionId);
    if (row === null) throw new ServiceError('NOT_FOUND');
    const session = await showSession(showSessions, database.query, row);
    return { session, ...(await readNewestMessages(row, { limit: messageLimit, cursor })) };
  };
}
