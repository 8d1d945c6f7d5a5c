import type { ListSessionsInput, ListSessionsOutput } from '@chat-service/shared/session-api';
import type { Database } from '../../db/database.ts';
import { pageRead, paginate, timeAndId } from '../../platform/paging.ts';
import type { ShowSessions } from './session-row.ts';
import type { SessionReadsStore } from './session-reads-store.ts';

/** The user's sessions, newest activity first; temporary ones are not listed. */
export type ListSessions = (request: ListSessionsInput & { userId: string }) => Promise<ListSessionsOutput>;

export interface ListSessionsDependencies {
  readonly database: Database;
  readonly reads: SessionReadsStore;
  readonly showSessions: ShowSessions;
}

const sessionCursor = timeAndId.transform(([sortAt, id]) => ({ sortAt, id }));

export function createListSessions({ database, reads, showSessions }: ListSessionsDependencies): ListSessions {
  return async function listSessions({ userId, ...request }) {
    const { start, fetch } = pageRead(sessionCursor, request);
    const { rows: found, total } = await reads.list(userId, start, fetch);
    const { rows, pagination } = paginate(found, request, total, ({ sortAt, id }) => [sortAt.getTime(), id]);
    return { sessions: await showSessions(database.query, rows), pagination };
  };
}
