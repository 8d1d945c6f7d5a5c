import { and, eq, isNull, sql } from 'drizzle-orm';
import type { Database, Queryable } from '../../db/database.ts';
import type { OwnedSession } from './message-reads-store.ts';

/** Removing messages; they are written where answers are generated. */
export type MessageRemovalStore = ReturnType<typeof createMessageRemovalStore>;

export function createMessageRemovalStore({ tables, dialect }: Pick<Database, 'tables' | 'dialect'>) {
  const { generations, messages, sessions } = tables;
  const owned = (userId: string, sessionId: string) =>
    and(eq(sessions.id, sessionId), eq(sessions.userId, userId), isNull(sessions.deletedAt));

  return {
    async lockSession(tx: Queryable, userId: string, sessionId: string): Promise<OwnedSession | null> {
      const [row] = await dialect.forUpdate(
        tx
          .select({ id: sessions.id, messageCount: sessions.messageCount })
          .from(sessions)
          .where(owned(userId, sessionId)),
      );
      return row ?? null;
    },

    /** Removes a message, and with an answer the generation that wrote it; false where there is no such message. */
    async remove(tx: Queryable, sessionId: string, messageId: string, now: Date): Promise<boolean> {
      const removed = await tx
        .delete(messages)
        .where(and(eq(messages.id, messageId), eq(messages.sessionId, sessionId)))
        .returning({ id: messages.id });
      if (removed.length === 0) return false;
      await tx.delete(generations).where(eq(generations.id, messageId));
      await tx
        .update(sessions)
        .set({ messageCount: sql`${sessions.messageCount} - 1`, updatedAt: now })
        .where(eq(sessions.id, sessionId));
      return true;
    },

    /** Changes the title of a session that nobody has given one. */
    async setAutomaticTitle(tx: Queryable, sessionId: string, title: string | null): Promise<void> {
      await tx
        .update(sessions)
        .set({ title })
        .where(and(eq(sessions.id, sessionId), eq(sessions.titleIsAutomatic, true)));
    },
  };
}
