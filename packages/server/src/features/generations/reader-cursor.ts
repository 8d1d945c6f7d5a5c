import type { GenerationEvent } from '@chat-service/shared/events';
import { terminalEvent } from './generation-events.ts';
import type { LogEntry } from './generation-log.ts';
import type { GenerationSnapshot } from './generation-snapshot.ts';
import { comparePositions, type Position } from './position.ts';

export interface PositionedEvent<Notice = never> {
  readonly position: Position;
  readonly event: GenerationEvent | Notice;
  /** Of a notice, which has no position of its own. */
  readonly id?: string;
}

/** A reader of a generation: where it is, and how much text it has been given. */
export interface Cursor {
  last: Position;
  started: boolean;
  /** Whether its text is known to be the text at `last`. */
  synced: boolean;
  /** Length of the text it has, null where it brought text along that is not known here. */
  length: number | null;
}

/** Takes an entry that is the very next one for this reader. */
export function advance(cursor: Cursor, { position, event }: LogEntry): void {
  cursor.last = position;
  cursor.started = true;
  cursor.synced = true;
  if (event.type === 'chunk' && cursor.length !== null) cursor.length += event.text.length;
  if (event.type === 'resync') cursor.length = event.message.content.length;
}

/** Whether the row knows of something that this reader has not been given. */
export function isBehind({ started, last }: Cursor, { textPosition, endPosition }: GenerationSnapshot): boolean {
  return !started || comparePositions(last, endPosition ?? textPosition) < 0;
}

/** What the row can tell this reader: what it has missed in one piece, and the end where there is one. */
export function* fromSnapshot(snapshot: GenerationSnapshot, cursor: Cursor): Generator<PositionedEvent, void, void> {
  const { row, message, userMessage, title, textPosition, endPosition } = snapshot;
  if (message === null) return;
  const streamId = row.id;
  if (!cursor.started) {
    const position: Position = { fence: row.claimFence, number: 1 };
    Object.assign(cursor, { last: position, started: true, synced: true, length: 0 });
    const { sessionId, modelId } = row;
    yield { position, event: { type: 'start', streamId, sessionId, userMessage, title, modelId } };
  }
  // Nobody was ever given an event beyond the end: where such an id comes from, the text is not known either.
  if (endPosition !== null && comparePositions(cursor.last, endPosition) > 0) cursor.synced = false;
  if (!cursor.synced || comparePositions(cursor.last, textPosition) < 0) {
    const { content } = message;
    // After a take-over stored text may be shorter than what was shown, so only a reader without text is given a piece.
    const known = cursor.synced && cursor.length !== null && (cursor.length === 0 || row.fence === row.claimFence);
    const text = known ? content.slice(cursor.length ?? 0) : null;
    Object.assign(cursor, { last: textPosition, synced: true, length: content.length });
    if (text === null) yield { position: textPosition, event: { type: 'resync', streamId, message } };
    else if (text !== '') yield { position: textPosition, event: { type: 'chunk', streamId, text } };
  }
  if (endPosition !== null && comparePositions(cursor.last, endPosition) < 0) {
    cursor.last = endPosition;
    yield { position: endPosition, event: terminalEvent(message) };
  }
}
