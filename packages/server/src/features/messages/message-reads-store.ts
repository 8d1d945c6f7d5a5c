import { and, asc, desc, eq, getTableColumns, gt, isNull, lt, sql, type SQL } from 'drizzle-orm';
import type { Message } from '@chat-service/shared/objects';
import { unnamed, type Database } from '../../db/database.ts';
import type { PageStart } from '../../platform/paging.ts';
import { contentSoFar } from '../generations/content-so-far.ts';
import { toMessage } from '../generations/message-row.ts';

export interface OwnedSession {
  readonly id: string;
  readonly messageCount: number;
}

/** A message with its place in the session. */
export interface PlacedMessage {
  readonly sequence: number;
  readonly message: Message;
}

export type MessageOrder = 'asc' | 'desc';

/** What clients read all the time, outside transactions: its statements are built once. */
export type MessageReadsStore = ReturnType<typeof createMessageReadsStore>;

export function createMessageReadsStore({ query, tables }: Pick<Database, 'query' | 'tables'>) {
  const { messages, sessions } = tables;
  const [userId, sessionId, after] = [
    sql.placeholder('userId'),
    sql.placeholder('sessionId'),
    sql.placeholder('after'),
  ];

  const ownedSession = query
    .select({ id: sessions.id, messageCount: sessions.messageCount })
    .from(sessions)
    .where(and(eq(sessions.id, sessionId), eq(sessions.userId, userId), isNull(sessions.deletedAt)))
    .prepare(unnamed);

  const selectPage = (order: typeof asc, beyond?: SQL) =>
    query
      .select({ ...getTableColumns(messages), content: contentSoFar(tables) })
      .from(messages)
      .where(and(eq(messages.sessionId, sessionId), beyond))
      .orderBy(order(messages.sequence))
      .limit(sql.placeholder('fetch'))
      .offset(sql.placeholder('offset'))
      .prepare(unnamed);
  const pages = {
    asc: { fromStart: selectPage(asc), beyond: selectPage(asc, gt(messages.sequence, after)) },
    desc: { fromStart: selectPage(desc), beyond: selectPage(desc, lt(messages.sequence, after)) },
  };

  return {
    async findSession(user: string, session: string): Promise<OwnedSession | null> {
      const [row] = await ownedSession.execute({ userId: user, sessionId: session });
      return row ?? null;
    },

    /** Messages in order, a streaming one with its text up to the last checkpoint. */
    async list(
      session: string,
      order: MessageOrder,
      start: PageStart<number>,
      fetch: number,
    ): Promise<PlacedMessage[]> {
      const { fromStart, beyond } = pages[order];
      const asked = { sessionId: session, fetch, ...start };
      const rows = await (start.after === null ? fromStart : beyond).execute(asked);
      return rows.map((row) => ({ sequence: row.sequence, message: toMessage(row) }));
    },
  };
}
