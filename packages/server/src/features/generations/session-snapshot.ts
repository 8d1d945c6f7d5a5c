import type { Message } from '@chat-service/shared/objects';
import { and, desc, eq, inArray, isNull, ne, sql } from 'drizzle-orm';
import type { Database } from '../../db/database.ts';
import type { GenerationsStore, SessionRow } from './generations-store.ts';
import { toMessage } from './message-row.ts';
import type { Position } from './position.ts';

/** A session's history and the place in its log that it stands for. */
export interface SessionSnapshot {
  /** The newest messages without the one that is being written, oldest first. */
  readonly stored: readonly StoredMessage[];
  /** All that are stored, without the one that is being written. */
  readonly total: number;
  /** The end of what the messages contain: what comes after it is told live. */
  readonly position: Position;
  /** The answer that is being written, which is told after them; the message that it answers is among them. */
  readonly activeGenerationId: string | null;
}

/** A message that can be read. */
export interface StoredMessage {
  readonly id: string;
  /** Of its content, as the database counts characters. */
  readonly length: number;
}

/** Where a session stands, for a reader that has missed something. */
export interface SessionState {
  readonly position: Position;
  /** The newest fence given out. */
  readonly fence: number;
  readonly activeGenerationId: string | null;
}

/** Null for a session that is gone. */
export interface ReadSession {
  snapshot(sessionId: string): Promise<SessionSnapshot | null>;
  /** These as they are now, in this order; those that are gone are left out. */
  messages(ids: readonly string[]): Promise<Message[]>;
  state(sessionId: string): Promise<SessionState | null>;
}

const newestMessages = 100;

export function createReadSession(deps: { database: Database; store: GenerationsStore }): ReadSession {
  const { database, store } = deps;
  const { messages, sessions } = database.tables;
  const positionOf = ({ logFence, logNumber }: SessionRow): Position => ({ fence: logFence, number: logNumber });

  return {
    snapshot: (sessionId) =>
      // Admissions, ends and changes lock the session too: nothing happens between these reads.
      database.transaction(async (tx) => {
        const session = await store.lockSessionOf(tx, sessionId);
        if (session === null || session.deletedAt !== null) return null;
        const rows = await tx
          .select({ id: messages.id, length: sql<number>`length(${messages.content})`.mapWith(Number) })
          .from(messages)
          .where(and(eq(messages.sessionId, sessionId), ne(messages.status, 'streaming')))
          .orderBy(desc(messages.sequence))
          .limit(newestMessages);
        return {
          stored: rows.toReversed(),
          total: session.messageCount - (session.activeGenerationId === null ? 0 : 1),
          position: positionOf(session),
          activeGenerationId: session.activeGenerationId,
        };
      }),
    async messages(ids) {
      const rows = await database.query
        .select()
        .from(messages)
        .where(inArray(messages.id, [...ids]));
      const byId = new Map(rows.map((row) => [row.id, row]));
      return ids.flatMap((id) => byId.get(id) ?? []).map(toMessage);
    },
    async state(sessionId) {
      const [session] = await database.query
        .select()
        .from(sessions)
        .where(and(eq(sessions.id, sessionId), isNull(sessions.deletedAt)));
      if (session === undefined) return null;
      const { fence, activeGenerationId } = session;
      return { position: positionOf(session), fence, activeGenerationId };
    },
  };
}
