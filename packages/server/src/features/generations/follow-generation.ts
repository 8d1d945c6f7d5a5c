import { isTerminalEvent, type GenerationEvent } from '@chat-service/shared/events';
import type { Clock } from '../../platform/clock.ts';
import { ConnectionSevered } from '../../platform/connection-severed.ts';
import { createWakeup, type Wakeup } from '../../platform/wakeup.ts';
import { refusalError, terminalEvent } from './generation-events.ts';
import type { GenerationLog, LogEntry } from './generation-log.ts';
import type { GenerationSnapshot, ReadSnapshot } from './generation-snapshot.ts';
import type { GenerationWatch } from './generation-watch.ts';
import { comparePositions, isSamePosition, type Position } from './position.ts';

/** Where a reader stands: before the `start`, after an event it has seen, or where nothing it has seen can be served. */
export type ReaderOrigin = 'start' | 'unknown' | Position;

export interface FollowRequest {
  readonly generationId: string;
  readonly sessionId: string;
  /** The fence under which the generation was claimed: its `start` has number 1 of it. */
  readonly claimFence: number;
  readonly from: ReaderOrigin;
}

export interface PositionedEvent {
  readonly position: Position;
  readonly event: GenerationEvent;
}

/**
 * The events of one generation from a place on, to its terminal event: nothing twice, nothing missing. Ends without
 * one when there is nothing (more) to send or the signal aborts.
 * @throws ServiceError with the refusal of a generation that was never admitted; {@link ConnectionSevered}
 */
export type FollowGeneration = (
  request: FollowRequest,
  signal: AbortSignal,
) => AsyncGenerator<PositionedEvent, void, void>;

export interface FollowDependencies {
  readonly log: GenerationLog;
  readonly watch: GenerationWatch;
  readonly readSnapshot: ReadSnapshot;
  readonly clock: Clock;
}

/** How long a reader waits for a checkpoint to close a gap in the log before it looks again. */
const gapMilliseconds = 250;

/** The reader itself: where it is, and how much text it has been given. */
interface Cursor {
  last: Position;
  started: boolean;
  /** Whether its text is known to be the text at `last`. */
  synced: boolean;
  /** Length of the text it has, null where it brought text along that is not known here. */
  length: number | null;
}

/** Readers pull: one that is slow, or leaves, is felt by nobody. The log is tried first, then the row. */
export function createFollowGeneration({ log, watch, readSnapshot, clock }: FollowDependencies): FollowGeneration {
  async function waitForRow(wakeup: Wakeup, signal: AbortSignal): Promise<void> {
    const cancel = clock.after(gapMilliseconds, wakeup.ring);
    await wakeup.wait(signal);
    cancel();
  }

  /** A database that goes away under a reader is no reason to end its subscription for good. */
  async function readRow(generationId: string, firstLook: boolean): Promise<GenerationSnapshot | null> {
    try {
      return await readSnapshot(generationId);
    } catch (error) {
      throw firstLook ? error : new ConnectionSevered(error);
    }
  }

  return async function* followGeneration({ generationId, sessionId, claimFence, from }, signal) {
    const cursor: Cursor = {
      last: typeof from === 'string' ? { fence: claimFence, number: 0 } : from,
      started: from !== 'start',
      synced: from !== 'unknown',
      length: from === 'start' ? 0 : null,
    };
    const entriesBell = createWakeup();
    const rowBell = createWakeup();
    let severed = false;
    let rowChanged = false;
    const ringRow = () => {
      rowChanged = true;
      rowBell.ring();
      entriesBell.ring();
    };
    const leaveLog = log.subscribe(sessionId, (reason) => {
      if (reason === 'entries') return void entriesBell.ring();
      severed ||= reason === 'severed';
      ringRow();
    });
    const leaveWatch = watch.watch(generationId, ringRow);
    try {
      for (let firstLook = true; !signal.aborted; firstLook = false) {
        entriesBell.clear();
        const entries = cursor.synced ? await log.read(sessionId, cursor.last) : [];
        let gap = false;
        let delivered = 0;
        for (const entry of entries) {
          gap = !continues(cursor, entry, generationId, claimFence);
          if (gap) break;
          advance(cursor, entry);
          delivered += 1;
          yield { position: entry.position, event: entry.event };
          if (isTerminalEvent(entry.event) || signal.aborted) return;
        }
        // There may be more than one read's worth: the next look tells.
        if (delivered > 0 && !gap && !rowChanged) continue;
        if (gap || firstLook || rowChanged || !cursor.synced) {
          if (severed) throw new ConnectionSevered();
          rowChanged = false;
          rowBell.clear();
          const snapshot = await readRow(generationId, firstLook);
          if (snapshot === null || signal.aborted) return;
          if (snapshot.row.refusal !== null) throw refusalError(snapshot.row.refusal);
          // While the row was read the log may have come to hold what follows: from there nothing is told in one piece or anew.
          if (cursor.synced && isBehind(cursor, snapshot)) {
            const [next] = await log.read(sessionId, cursor.last);
            if (next !== undefined && continues(cursor, next, generationId, claimFence)) {
              // Should the log end before the row does, the row is looked at again.
              rowChanged = true;
              continue;
            }
          }
          const before = cursor.last;
          for (const event of fromSnapshot(snapshot, cursor)) {
            yield event;
            if (signal.aborted) return;
          }
          if (snapshot.endPosition !== null) return;
          if (!isSamePosition(before, cursor.last)) continue;
          if (gap) {
            await waitForRow(rowBell, signal);
            continue;
          }
        }
        await entriesBell.wait(signal);
      }
    } finally {
      leaveLog();
      leaveWatch();
    }
  };
}

/** Whether the entry is the very next one for this reader. */
function continues(cursor: Cursor, { event, previous }: LogEntry, generationId: string, claimFence: number): boolean {
  if (event.streamId !== generationId) return false;
  // Whoever has nothing yet gets its `start` first, from the row where the log begins with a take-over.
  if (event.type === 'resync') return cursor.started;
  if (!cursor.started) return event.type === 'start' && cursor.last.fence === claimFence;
  return isSamePosition(previous, cursor.last);
}

/** Whether the row knows of something that this reader has not been given. */
function isBehind({ started, last }: Cursor, { textPosition, endPosition }: GenerationSnapshot): boolean {
  return !started || comparePositions(last, endPosition ?? textPosition) < 0;
}

function advance(cursor: Cursor, { position, event }: LogEntry): void {
  cursor.last = position;
  cursor.started = true;
  cursor.synced = true;
  if (event.type === 'chunk' && cursor.length !== null) cursor.length += event.text.length;
  if (event.type === 'resync') cursor.length = event.message.content.length;
}

/** What the row can tell this reader: what it has missed in one piece, and the end where there is one. */
function* fromSnapshot(snapshot: GenerationSnapshot, cursor: Cursor): Generator<PositionedEvent, void, void> {
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
