import type { Message } from '@chat-service/shared/objects';
import { eq } from 'drizzle-orm';
import type { Database } from '../../db/database.ts';
import type { GenerationRow, GenerationsStore } from './generations-store.ts';
import { toMessage } from './message-row.ts';
import type { MessageStore } from './message-store.ts';
import type { Position } from './position.ts';
import type { SegmentsStore } from './segments-store.ts';

/** A generation as the database has it: the text and the position it stands for belong together. */
export interface GenerationSnapshot {
  readonly row: GenerationRow;
  /** The answer with its text so far; null before admission. */
  readonly message: Message | null;
  readonly userMessage: Message | null;
  readonly title: string | null;
  readonly textPosition: Position;
  /** Null while it is live. */
  readonly endPosition: Position | null;
}

/** Null where there is no such generation (any more). */
export type ReadSnapshot = (generationId: string) => Promise<GenerationSnapshot | null>;

export interface SnapshotDependencies {
  readonly database: Database;
  readonly store: GenerationsStore;
  readonly messages: MessageStore;
  readonly segments: SegmentsStore;
}

export function createReadSnapshot({ database, store, messages, segments }: SnapshotDependencies): ReadSnapshot {
  const { query, tables } = database;
  return async function readSnapshot(generationId) {
    // Text before status: while the status says that it runs, segments are only added, so the text read is a true prefix.
    const soFar = await segments.read(query, generationId);
    const answer = await messages.find(query, generationId);
    const row = await store.find(query, generationId);
    if (row === null) return null;
    const admitted = row.status !== 'reserving' && row.status !== 'refused';
    const ended = row.endFence !== null && row.endNumber !== null;
    // It was admitted, or ended, between the reads above: what counts is in the message now.
    const outdated = answer === null ? admitted : ended && answer.status === 'streaming';
    const stored = outdated ? await messages.find(query, generationId) : answer;
    const message = stored === null ? null : toMessage(stored);
    if (admitted && message === null) return null;
    const userMessage = row.userMessageId === null ? null : await messages.find(query, row.userMessageId);
    const [session] = await query
      .select({ title: tables.sessions.title })
      .from(tables.sessions)
      .where(eq(tables.sessions.id, row.sessionId));
    return {
      row,
      message: message === null || ended ? message : { ...message, content: soFar?.text ?? '' },
      userMessage: userMessage === null ? null : toMessage(userMessage),
      title: session?.title ?? null,
      textPosition: (ended ? null : soFar?.position) ?? { fence: row.textFence, number: row.textNumber },
      endPosition: ended ? { fence: row.endFence ?? 0, number: row.endNumber ?? 0 } : null,
    };
  };
}
