import { z } from 'zod';
import type { ListSessionsInput, ListSessionsOutput } from '@chat-service/shared/session-api';
import type { Database } from '../../db/database.ts';
import { pageRead, paginate } from '../../platform/paging.ts';
import type { ShowSessions } from './session-row.ts';
import type { SessionsStore } from './sessions-store.ts';

/** The user's sessions, newest activity first; temporary ones are not listed. */
export type ListSessions = (request: ListSessionsInput & { userId: string }) => Promise<ListSessionsOutput>;

export interface ListSessionsDependencies {
  readonly database: Database;
  readonly store: SessionsStore;
  readonly showSessions: ShowSessions;
}

/** The end of the year 9999: later times are written in a form that not every database reads. */
const latestTime = 253_402_300_799_999;
const sessionCursor = z
  .tuple([z.int().min(0).max(latestTime), z.uuid()])
  .transform(([sortAt, id]) => ({ sortAt: new Date(sortAt), id }));

export function createListSessions({ database, store, showSessions }: ListSessionsDependencies): ListSessions {
  return async function listSessions({ userId, ...request }) {
    const total = await store.sessionCountOf(database.query, userId);
    const { start, fetch } = pageRead(sessionCursor, request);
    const beyond = start.after === null && start.offset >= total;
    const found = beyond ? [] : await store.list(database.query, userId, start, fetch);
    const { rows, pagination } = paginate(found, request, total, ({ sortAt, id }) => [sortAt.getTime(), id]);
    return { sessions: await showSessions(database.query, rows), pagination };
  };
}
