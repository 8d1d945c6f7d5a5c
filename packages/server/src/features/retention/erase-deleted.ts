import type { Database } from '../../db/database.ts';
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

export function createEraseDeleted({ database, clock, logger }: EraseDeletedDependencies): EraseDeleted {
  // A process that died may not have come to it.
  let pending: { readonly since: number; newest: number } | null = { since: -Infinity, newest: -Infinity };
  let notBefore = -Infinity;
  let tries = 0;

  function isDue(now: number): boolean {
    if (pending === null || now < notBefore) return false;
    return now - pending.newest >= quietMs || now - pending.since >= longestWaitMs;
  }

  async function erase(): Promise<void> {
    const erasing = pending;
    // What is deleted meanwhile is due by itself.
    pending = null;
    let isErased = false;
    try {
      isErased = await database.eraseDeleted();
    } catch (error) {
      notBefore = clock.now() + afterFailureMs;
      throw error;
    } finally {
      if (!isErased) pending = erasing;
    }
    tries = isErased ? 0 : tries + 1;
    if (tries > 0) logger.debug({ tries }, 'deleted rows stay in the database file for now: it is being read');
    if (tries === triesUntilWarning) {
      logger.warn('deleted rows stay in the database file: another process has been reading it for a minute');
    }
  }

  return {
    deleted() {
      const now = clock.now();
      pending ??= { since: now, newest: now };
      pending.newest = now;
    },
    async eraseDue() {
      if (isDue(clock.now())) await erase();
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
