import type { Database } from '../../db/database.ts';
import type { Clock } from '../../platform/clock.ts';
import type { Logger } from '../../platform/logger.ts';
import type { SegmentsStore } from './segments-store.ts';

export interface WatchDependencies {
  readonly database: Database;
  readonly segments: SegmentsStore;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Whether this process runs the generation, so that its events come through the log. */
  readonly owns: (generationId: string) => boolean;
}

/**
 * Looks at the rows of generations that are being read, one query for all of them: what other instances do, and the end
 * of an owner that died, are seen here and nowhere else.
 */
export interface GenerationWatch {
  /**
   * Calls `changed` after the first look, and whenever the row or its text is not what it was at the last one; returns the
   * end of it.
   */
  watch(generationId: string, changed: () => void): () => void;
  stop(): Promise<void>;
}

/** Between two looks at generations of other instances. */
const othersMilliseconds = 1000;
/** Looks at those of this process are only for the case that the log has missed something. */
const ownEvery = 5;

interface Listener {
  readonly changed: () => void;
  /** What it knows of: null for one that has just come, which is told in any case what came before it. */
  state: string | null;
}

export function createGenerationWatch(deps: WatchDependencies): GenerationWatch {
  const { database, segments, clock, logger, owns } = deps;
  const watched = new Map<string, Set<Listener>>();
  let turn = 0;
  let stopped = false;
  let looking: Promise<void> = Promise.resolve();
  let cancelNext: (() => void) | null = null;

  async function look(): Promise<void> {
    turn += 1;
    const ids = [...watched.keys()].filter((id) => turn % ownEvery === 0 || !owns(id));
    if (ids.length === 0) return;
    try {
      const states = await segments.readStates(database.query, ids);
      for (const id of ids) {
        const state = states.get(id) ?? 'gone';
        for (const listener of watched.get(id) ?? []) {
          if (listener.state === state) continue;
          listener.state = state;
          listener.changed();
        }
      }
    } catch (error) {
      logger.warn({ err: error, generations: ids.length }, 'could not look at watched generations');
    }
  }

  function schedule(): void {
    cancelNext = clock.after(othersMilliseconds, () => {
      looking = look().finally(() => {
        cancelNext = null;
        if (!stopped && watched.size > 0) schedule();
      });
    });
  }

  return {
    watch(generationId, changed) {
      const listeners = watched.get(generationId) ?? new Set();
      watched.set(generationId, listeners);
      const listener: Listener = { changed, state: null };
      listeners.add(listener);
      if (cancelNext === null && !stopped) schedule();
      return () => {
        listeners.delete(listener);
        if (listeners.size === 0 && watched.get(generationId) === listeners) watched.delete(generationId);
      };
    },
    async stop() {
      stopped = true;
      cancelNext?.();
      await looking;
    },
  };
}
