import { and, asc, desc, eq, getTableColumns, gt, isNull, lt, sql } from 'drizzle-orm';
import type { Message } from '@chat-service/shared/objects';
import type { Database, Queryable } from '../../db/database.ts';
import type { PageStart } from '../../platform/paging.ts';
import { toMessage } from '../generations/message-row.ts';
import { automaticTitle } from '../generations/automatic-title.ts';
import { contentSoFar } from '../generations/content-so-far.ts';

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

/** Reading and removing messages; they are written where answers are generated. */
export type MessagesStore = ReturnType<typeof createMessagesStore>;

export function createMessagesStore({ query, tables, dialect }: Database) {
  const { generations, messages, sessions } = tables;
  const owned = (userId: string, sessionId: string) =>
    and(eq(sessions.id, sessionId), eq(sessions.userId, userId), isNull(sessions.deletedAt));

  return {
    async findSession(userId: string, sessionId: string): Promise<OwnedSession | null> {
      const [row] = await query
        .select({ id: sessions.id, messageCount: sessions.messageCount })
        .from(sessions)
        .where(owned(userId, sessionId));
      return row ?? null;
    },

    /** Messages in order, a streaming one with its text up to the last checkpoint. */
    async list(
      sessionId: string,
      order: MessageOrder,
      start: PageStart<number>,
      fetch: number,
    ): Promise<PlacedMessage[]> {
      const beyond = order === 'asc' ? gt : lt;
      const rows = await query
        .select({ ...getTableColumns(messages), content: contentSoFar(tables) })
        .from(messages)
        .where(
          and(
            eq(messages.sessionId, sessionId),
            start.after === null ? undefined : beyond(messages.sequence, start.after),
          ),
        )
        .orderBy((order === 'asc' ? asc : desc)(messages.sequence))
        .limit(fetch)
        .offset(start.offset);
      return rows.map((row) => ({ sequence: row.sequence, message: toMessage(row) }));
    },

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

    /** Makes an automatic title anew: the words of a deleted message must not stay in it. */
    async renewAutomaticTitle(tx: Queryable, sessionId: string): Promise<void> {
      const [oldest] = await tx
        .select({ content: messages.content })
        .from(messages)
        .where(and(eq(messages.sessionId, sessionId), eq(messages.role, 'user')))
        .orderBy(asc(messages.sequence))
        .limit(1);
      await tx
        .update(sessions)
        .set({ title: oldest === undefined ? null : automaticTitle(oldest.content) })
        .where(and(eq(sessions.id, sessionId), eq(sessions.titleIsAutomatic, true)));
    },
  };
}
