import { isTerminalEvent, type GenerationEvent } from '@chat-service/shared/events';
import type { Clock } from '../../platform/clock.ts';
import { ConnectionSevered } from '../../platform/connection-severed.ts';
import { refusalError } from './generation-events.ts';
import { isOfGeneration, type GenerationLog, type LogEntry } from './generation-log.ts';
import type { GenerationSnapshot, ReadSnapshot } from './generation-snapshot.ts';
import { formatEventId, isSamePosition, type Position } from './position.ts';
import { listen } from './reader-bells.ts';
import { advance, fromSnapshot, isBehind, type Cursor, type PositionedEvent } from './reader-cursor.ts';
import { placeNotices, type Notices } from './reader-notices.ts';
import type { RowWatch } from './row-watch.ts';

/** Where a reader stands: before the `start`, after an event it has seen, or where nothing it has seen can be served. */
export type ReaderOrigin = 'start' | 'unknown' | Position;

export interface FollowRequest {
  readonly generationId: string;
  readonly sessionId: string;
  /** The fence under which the generation was claimed: its `start` has number 1 of it. */
  readonly claimFence: number;
  readonly from: ReaderOrigin;
}

/** What a reader is told beside the log. */
export interface FollowNotices<Notice> {
  readonly notices: Notices<Notice>;
  /** The id after which the reader goes on; null for one that begins. */
  readonly resumedAfter: string | null;
}

/**
 * The events of one generation from a place on, to its terminal event: nothing twice, nothing missing. Ends without
 * one when there is nothing (more) to send or the signal aborts.
 * @throws ServiceError with the refusal of a generation that was never admitted; {@link ConnectionSevered}
 */
export type FollowGeneration = <Notice = never>(
  request: FollowRequest,
  signal: AbortSignal,
  notices?: FollowNotices<Notice> | null,
) => AsyncGenerator<PositionedEvent<Notice>, void, void>;

export interface FollowDependencies {
  readonly log: GenerationLog;
  readonly watch: RowWatch;
  readonly readSnapshot: ReadSnapshot;
  readonly clock: Clock;
}

/** Readers pull: one that is slow, or leaves, is felt by nobody. The log is tried first, then the row. */
export function createFollowGeneration({ log, watch, readSnapshot, clock }: FollowDependencies): FollowGeneration {
  /** A database that goes away under a reader is no reason to end its subscription for good. */
  async function readRow(generationId: string, firstLook: boolean): Promise<GenerationSnapshot | null> {
    try {
      return await readSnapshot(generationId);
    } catch (error) {
      throw firstLook ? error : new ConnectionSevered(error);
    }
  }

  return async function* followGeneration({ generationId, sessionId, claimFence, from }, signal, told = null) {
    const notices = told === null ? null : placeNotices({ ...told, clock });
    const cursor: Cursor = {
      last: typeof from === 'string' ? { fence: claimFence, number: 0 } : from,
      started: from !== 'start',
      synced: from !== 'unknown',
      length: from === 'start' ? 0 : null,
    };
    using bells = listen({ log, sessionId, watch, watched: generationId, listenToNotices: notices?.listen });
    const noticeAfter = (position: Position, event: GenerationEvent) =>
      notices === null || isTerminalEvent(event) ? null : notices.after(formatEventId(sessionId, position), event);
    for (let firstLook = true; !signal.aborted; firstLook = false) {
      bells.entries.clear();
      const notice = bells.takeNotice() ? notices?.now() : null;
      if (notice != null) yield { position: cursor.last, ...notice };
      const entries = cursor.synced ? await log.read(sessionId, cursor.last) : [];
      let gap = false;
      let delivered = 0;
      for (const entry of entries) {
        gap = !continues(cursor, entry, generationId, claimFence);
        if (gap) break;
        advance(cursor, entry);
        delivered += 1;
        const { position, event } = entry;
        // What happens to the session meanwhile has a place in its log, and is not part of the answer.
        if (!isOfGeneration(event)) continue;
        yield { position, event };
        const behind = noticeAfter(position, event);
        if (behind !== null) yield { position, ...behind };
        if (isTerminalEvent(event) || signal.aborted) return;
      }
      // There may be more than one read's worth: the next look tells.
      if (delivered > 0 && !gap && !bells.rowChanged) continue;
      if (gap || firstLook || bells.rowChanged || !cursor.synced) {
        if (bells.severed) throw new ConnectionSevered();
        bells.lookAtRow();
        const snapshot = await readRow(generationId, firstLook);
        if (snapshot === null || signal.aborted) return;
        if (snapshot.row.refusal !== null) throw refusalError(snapshot.row.refusal);
        // While the row was read the log may have come to hold what follows: from there nothing is told in one piece or anew.
        if (cursor.synced && isBehind(cursor, snapshot)) {
          const [next] = await log.read(sessionId, cursor.last);
          if (next !== undefined && continues(cursor, next, generationId, claimFence)) {
            bells.lookAtRowAgain();
            continue;
          }
        }
        const before = cursor.last;
        for (const positioned of fromSnapshot(snapshot, cursor)) {
          yield positioned;
          const behind = noticeAfter(positioned.position, positioned.event);
          if (behind !== null) yield { position: positioned.position, ...behind };
          if (signal.aborted) return;
        }
        if (snapshot.endPosition !== null) return;
        if (!isSamePosition(before, cursor.last)) continue;
        if (gap) {
          await bells.waitForRow(clock, signal);
          continue;
        }
      }
      await bells.entries.wait(signal);
    }
  };
}

/** Whether the entry is the very next one for this reader. */
function continues(cursor: Cursor, { event, previous }: LogEntry, generationId: string, claimFence: number): boolean {
  if (!isOfGeneration(event)) return cursor.started && isSamePosition(previous, cursor.last);
  if (event.streamId !== generationId) return false;
  // Whoever has nothing yet gets its `start` first, from the row where the log begins with a take-over.
  if (event.type === 'resync') return cursor.started;
  if (!cursor.started) return event.type === 'start' && cursor.last.fence === claimFence;
  return isSamePosition(previous, cursor.last);
}
