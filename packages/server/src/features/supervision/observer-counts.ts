import type { Session } from '@chat-service/shared/objects';
import type { Database, Queryable } from '../../db/database.ts';
import type { Clock } from '../../platform/clock.ts';
import type { Logger } from '../../platform/logger.ts';
import { createObservationsStore } from './observations-store.ts';

/** How many supervisors watch which session, on all instances. */
export interface ObserverCounts {
  /** By session; those that nobody watches are left out. */
  read(tx: Queryable, sessionIds: readonly string[]): Promise<Map<string, number>>;
  /** The sessions as users see them where they are shown how many watch. */
  show(tx: Queryable, sessions: readonly Session[]): Promise<Session[]>;
  /** Calls `changed` with the count soon, and whenever it may have changed; returns the end of it. */
  watch(sessionId: string, changed: (observers: number) => void): () => void;
  /** To be called when somebody has come or gone here: those who watch the count hear of it at once. */
  recount(sessionId: string): void;
  stop(): Promise<void>;
}

export interface ObserverCountsOptions {
  readonly database: Database;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Between two looks at what other instances did. */
const pollMs = 1000;

/** One query a process for all counts that are watched, and never two at once. */
export function createObserverCounts({ database, clock, logger }: ObserverCountsOptions): ObserverCounts {
  const store = createObservationsStore(database);
  const watched = new Map<string, Set<(observers: number) => void>>();
  const due = new Set<string>();
  let counting: Promise<void> | null = null;
  let cancelNext: (() => void) | null = null;
  let stopped = false;

  async function count(): Promise<void> {
    while (due.size > 0 && !stopped) {
      const ids = [...due];
      due.clear();
      try {
        const counts = await store.countBySession(database.query, ids);
        for (const id of ids) for (const changed of watched.get(id) ?? []) changed(counts.get(id) ?? 0);
      } catch (error) {
        logger.warn({ err: error, sessions: ids.length }, 'could not count observers');
      }
    }
    counting = null;
  }

  function recount(sessionId: string): void {
    if (!watched.has(sessionId)) return;
    due.add(sessionId);
    // What is due is counted together: a hundred who come at once cost one query.
    counting ??= Promise.resolve().then(count);
  }

  function schedule(): void {
    cancelNext = clock.after(pollMs, () => {
      cancelNext = null;
      for (const id of watched.keys()) recount(id);
      if (!stopped && watched.size > 0) schedule();
    });
  }

  const read: ObserverCounts['read'] = (tx, ids) =>
    ids.length === 0 ? Promise.resolve(new Map<string, number>()) : store.countBySession(tx, ids);

  return {
    read,
    async show(tx, sessions) {
      const counts = await read(
        tx,
        sessions.map(({ id }) => id),
      );
      return sessions.map((session) => ({ ...session, observers: counts.get(session.id) ?? 0 }));
    },
    watch(sessionId, changed) {
      const listeners = watched.get(sessionId) ?? new Set();
      watched.set(sessionId, listeners);
      listeners.add(changed);
      recount(sessionId);
      if (cancelNext === null && !stopped) schedule();
      return () => {
        listeners.delete(changed);
        if (listeners.size === 0 && watched.get(sessionId) === listeners) watched.delete(sessionId);
      };
    },
    recount,
    async stop() {
      stopped = true;
      cancelNext?.();
      await counting;
    },
  };
}
