import { and, asc, desc, eq, gt, sql } from 'drizzle-orm';
import type { Message } from '@chat-service/shared/objects';
import type { Database, Queryable, Tables } from '../../db/database.ts';
import type { SessionRow } from './generations-store.ts';
import type { MessageRow } from './message-row.ts';

/** The writing of message rows: user messages and the answers to them change here and nowhere else. */
export type MessageStore = ReturnType<typeof createMessageStore>;

type NewMessage = Tables['messages']['$inferInsert'];

export function createMessageStore({ tables }: Pick<Database, 'tables'>) {
  const { messages, sessions } = tables;
  return {
    async find(tx: Queryable, id: string): Promise<MessageRow | null> {
      const [row] = await tx.select().from(messages).where(eq(messages.id, id));
      return row ?? null;
    },

    /** Adds messages at the end of a session, which the caller has locked, and keeps its counters. */
    async append(
      tx: Queryable,
      session: SessionRow,
      added: readonly Omit<NewMessage, 'sessionId' | 'sequence' | 'updatedAt'>[],
      changes: Partial<Pick<SessionRow, 'title' | 'activeGenerationId'>>,
      now: Date,
    ): Promise<MessageRow[]> {
      const rows = added.map((message, index) => ({
        ...message,
        sessionId: session.id,
        sequence: session.nextSequence + index,
        updatedAt: message.createdAt,
      }));
      const stored = await tx.insert(messages).values(rows).returning();
      await tx
        .update(sessions)
        .set({
          ...changes,
          nextSequence: sql`${sessions.nextSequence} + ${added.length}`,
          messageCount: sql`${sessions.messageCount} + ${added.length}`,
          lastMessageAt: now,
          sortAt: now,
          updatedAt: now,
        })
        .where(eq(sessions.id, session.id));
      return stored.toSorted((a, b) => a.sequence - b.sequence);
    },

    /** Writes the end of an answer. */
    async finish(
      tx: Queryable,
      id: string,
      values: Pick<
        MessageRow,
        | 'content'
        | 'status'
        | 'modelId'
        | 'fallbackFrom'
        | 'stoppedBy'
        | 'usage'
        | 'finishReason'
        | 'errorCode'
        | 'updatedAt'
      >,
    ): Promise<MessageRow | null> {
      const [row] = await tx.update(messages).set(values).where(eq(messages.id, id)).returning();
      return row ?? null;
    },

    async findNewestUserMessage(tx: Queryable, sessionId: string): Promise<MessageRow | null> {
      const [row] = await tx
        .select()
        .from(messages)
        .where(and(eq(messages.sessionId, sessionId), eq(messages.role, 'user')))
        .orderBy(desc(messages.sequence))
        .limit(1);
      return row ?? null;
    },

    async findOldestUserMessage(tx: Queryable, sessionId: string): Promise<MessageRow | null> {
      const [row] = await tx
        .select()
        .from(messages)
        .where(and(eq(messages.sessionId, sessionId), eq(messages.role, 'user')))
        .orderBy(asc(messages.sequence))
        .limit(1);
      return row ?? null;
    },

    /** Whether something after the message answers it: an answer that runs, is complete, or was stopped with text. */
    async isAnswered(tx: Queryable, { sessionId, sequence }: MessageRow): Promise<boolean> {
      const rows = await tx
        .select({ id: messages.id })
        .from(messages)
        .where(
          and(
            eq(messages.sessionId, sessionId),
            eq(messages.role, 'assistant'),
            gt(messages.sequence, sequence),
            sql`(${messages.status} in ('streaming', 'complete') or (${messages.status} = 'stopped' and ${messages.content} <> ''))`,
          ),
        )
        .limit(1);
      return rows.length > 0;
    },

    /** The newest messages before `before` (a sequence), newest first. */
    async readNewest(
      tx: Queryable,
      sessionId: string,
      before: number,
      limit: number,
    ): Promise<{ sequence: number; role: Message['role']; content: string; status: Message['status'] }[]> {
      return tx
        .select({
          sequence: messages.sequence,
          role: messages.role,
          content: messages.content,
          status: messages.status,
        })
        .from(messages)
        .where(and(eq(messages.sessionId, sessionId), sql`${messages.sequence} < ${before}`))
        .orderBy(desc(messages.sequence))
        .limit(limit);
    },
  };
}
