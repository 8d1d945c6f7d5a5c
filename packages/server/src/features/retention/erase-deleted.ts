import type { Database, Erasure } from '../../db/database.ts';
import type { Clock } from '../../platform/clock.ts';
import type { Logger } from '../../platform/logger.ts';

/** Sees to it that what was deleted leaves the database's files as well, not only its tables. */
export interface EraseDeleted {
  /** To be called once a deletion is committed. */
  readonly deleted: () => void;
  /** Erases what was deleted, within five seconds of it; to be called every second. */
  readonly eraseDue: () => Promise<void>;
  /** Erases at once what is left, as the service ends. */
  readonly finish: () => Promise<void>;
}

export interface EraseDeletedDependencies {
  readonly database: Database;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Milliseconds without a deletion that are waited for: many in a row are erased together. */
const quietMs = 2_000;
/** Milliseconds after which there is no more waiting. */
const longestWaitMs = 3_000;
/** Milliseconds until the next try after a failure, which says that the disk is full or worse. */
const afterFailureMs = 60_000;
/** After so many tries in vain somebody should know: a read that was left open keeps what users have deleted. */
const triesUntilWarning = 60;
/** Milliseconds of erasing that somebody should know of: the process does nothing else meanwhile. */
const longMs = 1_000;

/** What of `Erasure` is an end: nothing is left, or nothing that another try would be rid of. */
const final = new Set<Erasure | null>(['erased', 'too-large']);

export function createEraseDeleted({ database, clock, logger }: EraseDeletedDependencies): EraseDeleted {
  // A process that died may not have come to it.
  let pending: { readonly since: number; newest: number } | null = { since: -Infinity, newest: -Infinity };
  let failedAt = -Infinity;
  let tries = 0;
  const told = new Set<string>();

  /** Of a clock that was set back nobody knows how long it is: long enough. */
  function passedSince(time: number): number {
    const passed = clock.now() - time;
    return passed < 0 ? Infinity : passed;
  }

  function isDue(): boolean {
    if (pending === null || passedSince(failedAt) < afterFailureMs) return false;
    return passedSince(pending.newest) >= quietMs || passedSince(pending.since) >= longestWaitMs;
  }

  async function erase(): Promise<void> {
    const erasing = pending;
    // What is deleted meanwhile is due by itself.
    pending = null;
    const startedAt = clock.now();
    let outcome: Erasure | null = null;
    try {
      outcome = await database.eraseDeleted();
    } finally {
      failedAt = outcome === null || outcome === 'no-room' ? clock.now() : -Infinity;
      if (!final.has(outcome)) pending = erasing;
    }
    tries = outcome === 'being-read' ? tries + 1 : 0;
    tell(outcome, clock.now() - startedAt);
  }

  function tell(outcome: Erasure, milliseconds: number): void {
    if (tries > 0) logger.debug({ tries }, 'deleted rows stay in the database file for now: it is being read');
    if (tries === triesUntilWarning) {
      logger.warn('deleted rows stay in the database file: another process has been reading it for a minute');
    }
    if (outcome === 'no-room') {
      logger.warn('copies of deleted rows may stay in the database file: the disk has no room to write it anew');
    }
    if (outcome === 'too-large') {
      warnOnce(
        'copies of deleted rows may stay in the database file, which is too large to be written anew: run VACUUM',
      );
    }
    if (milliseconds > longMs) {
      warnOnce('erasing what was deleted took long, and nothing else was done meanwhile', { milliseconds });
    }
  }

  function warnOnce(message: string, facts: object = {}): void {
    if (told.has(message)) return;
    told.add(message);
    logger.warn(facts, message);
  }

  return {
    deleted() {
      const now = clock.now();
      pending ??= { since: now, newest: now };
      pending.newest = now;
    },
    async eraseDue() {
      if (isDue()) await erase();
    },
    async finish() {
      if (pending === null) return;
      try {
        await erase();
      } catch (error) {
        logger.error({ err: error }, 'could not erase what was deleted');
      }
    },
  };
}
