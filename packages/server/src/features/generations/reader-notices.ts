import type { ObservedEvent } from '@chat-service/shared/events';
import type { Clock } from '../../platform/clock.ts';
import { formatNoticeId, isResumable, noticeOrdinal } from './position.ts';

/** What one reader is told beside the log, between its events. */
export interface Notices<Notice> {
  /** Rings when there may be something to say; the returned function ends it. */
  listen(ring: () => void): () => void;
  /**
   * What is to be said now, once; null for nothing. `running` is whether an answer is being written as far as the reader
   * has been told, null where it has been told nothing of it.
   */
  next(running: boolean | null): Notice | null;
}

/**
 * Tells users how many supervisors watch their session. `resumed`: the stream goes on after an event, and what was told
 * before is not known.
 */
export type ObservedNotices = (sessionId: string, resumed: boolean) => Notices<ObservedEvent>;

/** A notice with the id under which the reader goes on after it. */
export interface IdentifiedNotice<Notice> {
  readonly id: string;
  readonly event: Notice;
}

/** The notices of a reader that is being told events: each gets an id behind the event told last. */
export interface PlacedNotices<Notice> {
  readonly listen: (ring: () => void) => () => void;
  /** Counts an event as told, and gives what is to be said behind it: nothing within a history or behind the end. */
  after(id: string, event: { readonly type: string }): IdentifiedNotice<Notice> | null;
  /** Counts an event as told behind which there is nothing to say. */
  passed(id: string): void;
  /** What is to be said behind the event told last. */
  now(): IdentifiedNotice<Notice> | null;
  /** The history that is being told was read while no answer was being written. */
  wasIdle(): void;
}

export interface PlacedNoticesOptions<Notice> {
  readonly notices: Notices<Notice>;
  /** The id after which the reader goes on; null for one that has been told nothing. */
  readonly resumedAfter: string | null;
  readonly clock: Clock;
}

/** Ordinals are times, so that a notice told later has the higher id also where another instance told the earlier one. */
export function placeNotices<Notice>(options: PlacedNoticesOptions<Notice>): PlacedNotices<Notice> {
  const { notices, resumedAfter, clock } = options;
  let toldLast = resumedAfter !== null && isResumable(resumedAfter) ? resumedAfter : null;
  let ordinal = noticeOrdinal(toldLast ?? '');
  let running: boolean | null = null;
  let silent = false;

  function now(): IdentifiedNotice<Notice> | null {
    if (toldLast === null || silent) return null;
    const event = notices.next(running);
    if (event === null) return null;
    ordinal = Math.max(ordinal + 1, clock.now());
    return { id: formatNoticeId(toldLast, ordinal), event };
  }

  return {
    listen: (ring) => notices.listen(ring),
    after(id, { type }) {
      toldLast = id;
      if (type === 'history-start') silent = true;
      else if (type === 'history-end') silent = false;
      else if (type === 'start') running = true;
      else if (type === 'done' || type === 'error') running = false;
      else if (type === 'session-deleted') silent = true;
      return now();
    },
    passed(id) {
      toldLast = id;
    },
    now,
    wasIdle() {
      running = false;
    },
  };
}
