import { and, desc, eq, isNull, sql, type SQL } from 'drizzle-orm';
import { isListedSession } from '../../db/conditions.ts';
import { unnamed, type Database } from '../../db/database.ts';
import { rowBefore } from '../../db/keyset.ts';
import type { PageStart } from '../../platform/paging.ts';
import { shownColumns, type ShownRow } from './session-row.ts';

/** Where a list of sessions stands: the sort time and the id of the last one shown. */
export interface SessionPosition {
  readonly sortAt: Date;
  readonly id: string;
}

export interface SessionPage {
  readonly rows: readonly ShownRow[];
  /** Of all pages. */
  readonly total: number;
}

/** What clients read all the time, outside transactions: its statements are built once. */
export type SessionReadsStore = ReturnType<typeof createSessionReadsStore>;

export function createSessionReadsStore({ query, tables }: Pick<Database, 'query' | 'tables'>) {
  const { sessions, users } = tables;
  const [userId, id, sortAt] = [sql.placeholder('userId'), sql.placeholder('id'), sql.placeholder('sortAt')];
  const columns = shownColumns(tables);

  const selectTotal = query.select({ total: users.sessionCount }).from(users).where(eq(users.id, userId));
  // With the page: one statement for nearly every list, and a total of the same moment.
  const total = sql<number>`${selectTotal}`;
  const selectPage = (beyond?: SQL) =>
    query
      .select({ ...columns, total })
      .from(sessions)
      .where(and(eq(sessions.userId, userId), isListedSession(sessions), beyond))
      .orderBy(desc(sessions.sortAt), desc(sessions.id))
      .limit(sql.placeholder('fetch'))
      .offset(sql.placeholder('offset'))
      .prepare(unnamed);
  const page = selectPage();
  const pageBeyond = selectPage(
    rowBefore([
      [sessions.sortAt, sortAt],
      [sessions.id, id],
    ]),
  );
  const owned = query
    .select(columns)
    .from(sessions)
    .where(and(eq(sessions.id, id), eq(sessions.userId, userId), isNull(sessions.deletedAt)))
    .prepare(unnamed);
  const totalAlone = selectTotal.prepare(unnamed);

  async function totalOf(user: string): Promise<number> {
    const [row] = await totalAlone.execute({ userId: user });
    return row?.total ?? 0;
  }

  return {
    async find(user: string, sessionId: string): Promise<ShownRow | null> {
      const [row] = await owned.execute({ userId: user, id: sessionId });
      return row ?? null;
    },

    /** Newest activity first. */
    async list(user: string, { after, offset }: PageStart<SessionPosition>, fetch: number): Promise<SessionPage> {
      if (offset > 0) {
        // However far past the end a page is, nothing is passed over to find that out.
        const all = await totalOf(user);
        if (offset >= all) return { rows: [], total: all };
      }
      const asked = { userId: user, fetch, offset };
      const rows = await (after === null ? page.execute(asked) : pageBeyond.execute({ ...asked, ...after }));
      return { rows, total: rows[0]?.total ?? (await totalOf(user)) };
    },
  };
}
