import { and, eq, isNull, sql } from 'drizzle-orm';
import { isTombstone } from '../../db/conditions.ts';
import type { Database, Queryable, Tables } from '../../db/database.ts';
import type { SessionRow } from './session-row.ts';

export type SessionsStore = ReturnType<typeof createSessionsStore>;

export function createSessionsStore({ tables, dialect }: Pick<Database, 'tables' | 'dialect'>) {
  const { messages, sessions, users } = tables;
  const owned = (userId: string, sessionId: string) =>
    and(eq(sessions.id, sessionId), eq(sessions.userId, userId), isNull(sessions.deletedAt));

  return {
    async lockAccount(tx: Queryable, userId: string): Promise<void> {
      await dialect.forUpdate(tx.select({ id: users.id }).from(users).where(eq(users.id, userId)));
    },

    async insert(tx: Queryable, row: Tables['sessions']['$inferInsert']): Promise<SessionRow> {
      const [stored] = await tx.insert(sessions).values(row).returning();
      if (stored === undefined) throw new Error('An inserted session was not returned.');
      return stored;
    },

    async insertFirstMessage(tx: Queryable, row: Tables['messages']['$inferInsert']): Promise<void> {
      await tx.insert(messages).values(row);
    },

    async countListed(tx: Queryable, userId: string, difference: 1 | -1): Promise<void> {
      await tx
        .update(users)
        .set({ sessionCount: sql`${users.sessionCount} + ${difference}` })
        .where(eq(users.id, userId));
    },

    async find(tx: Queryable, userId: string, sessionId: string): Promise<SessionRow | null> {
      const [row] = await tx.select().from(sessions).where(owned(userId, sessionId));
      return row ?? null;
    },

    async lock(tx: Queryable, userId: string, sessionId: string): Promise<SessionRow | null> {
      const [row] = await dialect.forUpdate(tx.select().from(sessions).where(owned(userId, sessionId)));
      return row ?? null;
    },

    async update(
      tx: Queryable,
      sessionId: string,
      changes: Partial<Tables['sessions']['$inferInsert']>,
    ): Promise<SessionRow | null> {
      const [row] = await tx.update(sessions).set(changes).where(eq(sessions.id, sessionId)).returning();
      return row ?? null;
    },

    /** Makes the session unreachable for every caller from the commit on. */
    async bury(tx: Queryable, sessionId: string, now: Date): Promise<void> {
      await tx
        .update(sessions)
        .set({ deletedAt: now, fence: sql`${sessions.fence} + 1` })
        .where(eq(sessions.id, sessionId));
    },

    async listTombstones(tx: Queryable, limit: number): Promise<{ id: string }[]> {
      return tx.select({ id: sessions.id }).from(sessions).where(isTombstone(sessions)).limit(limit);
    },

    /** Removes the session and everything below it; its last fence, null where it was gone. */
    async remove(tx: Queryable, sessionId: string): Promise<number | null> {
      const [row] = await tx.delete(sessions).where(eq(sessions.id, sessionId)).returning({ fence: sessions.fence });
      return row?.fence ?? null;
    },
  };
}
