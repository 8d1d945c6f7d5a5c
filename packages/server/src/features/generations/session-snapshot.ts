import type { Message } from '@chat-service/shared/objects';
import { and, desc, eq, isNull, ne } from 'drizzle-orm';
import type { Database } from '../../db/database.ts';
import type { GenerationsStore, SessionRow } from './generations-store.ts';
import { toMessage } from './message-row.ts';
import type { Position } from './position.ts';

/** A session's history and the place in its log that it stands for. */
export interface SessionSnapshot {
  /** The newest messages without the one that is being written, oldest first. */
  readonly messages: readonly Message[];
  /** All that are stored, without the one that is being written. */
  readonly total: number;
  /** The end of what the messages contain: what comes after it is told live. */
  readonly position: Position;
  /** The answer that is being written, which is told after them; the message that it answers is among them. */
  readonly activeGenerationId: string | null;
}

/** Where a session stands, for a reader that has missed something. */
export interface SessionState {
  readonly position: Position;
  /** The newest fence given out. */
  readonly fence: number;
  readonly activeGenerationId: string | null;
}

/** Each of them null for a session that is gone. */
export interface ReadSession {
  snapshot(sessionId: string): Promise<SessionSnapshot | null>;
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
          .select()
          .from(messages)
          .where(and(eq(messages.sessionId, sessionId), ne(messages.status, 'streaming')))
          .orderBy(desc(messages.sequence))
          .limit(newestMessages);
        return {
          messages: rows.toReversed().map(toMessage),
          total: session.messageCount - (session.activeGenerationId === null ? 0 : 1),
          position: positionOf(session),
          activeGenerationId: session.activeGenerationId,
        };
      }),
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
