import type { Clock } from '../../platform/clock.ts';
import type { Logger } from '../../platform/logger.ts';

/** What can change about a row, folded into strings: equal means nothing did. */
export interface RowState {
  readonly row: string;
  /** How far the text is; of a row that is changed here, the log tells. */
  readonly text: string;
}

export interface WatchDependencies {
  /** Rows that are gone are left out. */
  readonly readStates: (ids: readonly string[]) => Promise<Map<string, RowState>>;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Whether all that happens to the row goes through this process, so that it is told through the log. */
  readonly isLocal: (id: string) => boolean;
}

/**
 * Looks at the rows that are being read, one query for all of them: what other instances do, and the end
 * of an owner that died, are seen here and nowhere else.
 */
export interface RowWatch {
  /**
   * Calls `changed` after the first look, and whenever the row or its text is not what it was at the last one; returns the
   * end of it.
   */
  watch(id: string, changed: () => void): () => void;
  stop(): Promise<void>;
}

/** Between two looks at rows that other instances change. */
const othersMs = 1000;
/** Looks at those of this process are only for the case that the log has missed something. */
const ownEvery = 5;

const gone: RowState = { row: 'gone', text: '' };

interface Listener {
  readonly changed: () => void;
  /** What it knows of: null for one that has just come, which is told in any case what came before it. */
  state: string | null;
}

export function createRowWatch(deps: WatchDependencies): RowWatch {
  const { readStates, clock, logger, isLocal } = deps;
  const watched = new Map<string, Set<Listener>>();
  let turn = 0;
  let stopped = false;
  let looking: Promise<void> = Promise.resolve();
  let cancelNext: (() => void) | null = null;

  async function look(): Promise<void> {
    turn += 1;
    const ids = [...watched.keys()].filter((id) => turn % ownEvery === 0 || !isLocal(id));
    if (ids.length === 0) return;
    try {
      const states = await readStates(ids);
      for (const id of ids) {
        const found = states.get(id) ?? gone;
        const state = isLocal(id) ? found.row : `${found.row} ${found.text}`;
        for (const listener of watched.get(id) ?? []) {
          if (listener.state === state) continue;
          listener.state = state;
          listener.changed();
        }
      }
    } catch (error) {
      logger.warn({ err: error, rows: ids.length }, 'could not look at watched rows');
    }
  }

  function schedule(): void {
    cancelNext = clock.after(othersMs, () => {
      looking = look().finally(() => {
        cancelNext = null;
        if (!stopped && watched.size > 0) schedule();
      });
    });
  }

  return {
    watch(id, changed) {
      const listeners = watched.get(id) ?? new Set();
      watched.set(id, listeners);
      const listener: Listener = { changed, state: null };
      listeners.add(listener);
      if (cancelNext === null && !stopped) schedule();
      return () => {
        listeners.delete(listener);
        if (listeners.size === 0 && watched.get(id) === listeners) watched.delete(id);
      };
    },
    async stop() {
      stopped = true;
      cancelNext?.();
      await looking;
    },
  };
}
