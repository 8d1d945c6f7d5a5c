import type { LogEntry } from './generation-log.ts';
import { isSamePosition, type Position } from './position.ts';
import type { PlacedNotices } from './reader-notices.ts';

/** The reader: its place in the session's log, and what it has of the answer there. */
export interface SessionCursor {
  last: Position;
  /** The answer whose text it has from the beginning, and how much of it; null where that is not known. */
  answer: { readonly id: string; length: number } | null;
  /** Whether the message of the answer that is still to begin here was told, with the history. */
  isAmidAnswer: boolean;
}

/** One who is told a session. */
export interface SessionReader<Notice> {
  readonly sessionId: string;
  readonly cursor: SessionCursor;
  readonly notices: PlacedNotices<Notice> | null;
}

/** Whether the entry is the very next one for this reader; a resync is, too, for one that is in the answer it corrects. */
export function continues(
  { last, answer }: SessionCursor,
  position: Position,
  previous: Position,
  event: LogEntry['event'],
): boolean {
  if (event.type === 'resync') return answer?.id === event.streamId;
  if (event.type === 'start' && isSamePosition(last, { fence: position.fence, number: 0 })) return true;
  return isSamePosition(previous, last);
}

/** Counts the text of an event that the reader is told. */
export function countText(cursor: SessionCursor, event: LogEntry['event']): void {
  if (event.type === 'start') cursor.answer = { id: event.streamId, length: 0 };
  if (event.type === 'chunk' && cursor.answer?.id === event.streamId) cursor.answer.length += event.text.length;
  if (event.type === 'resync') cursor.answer = { id: event.streamId, length: event.message.content.length };
}
