/** Counts what is under way, so that a shutdown can wait for it. */
export interface InFlight {
  readonly size: number;
  /** Counts one in; the returned function, once, counts it out. */
  enter(): () => void;
  /** Resolves when nothing is under way, or when the signal aborts. */
  idle(signal: AbortSignal): Promise<void>;
}

export function createInFlight(): InFlight {
  let size = 0;
  let waiting: (() => void)[] = [];
  return {
    get size() {
      return size;
    },
    enter() {
      size += 1;
      let left = false;
      return () => {
        if (left) return;
        left = true;
        size -= 1;
        if (size > 0) return;
        for (const resolve of waiting) resolve();
        waiting = [];
      };
    },
    idle(signal) {
      if (size === 0 || signal.aborted) return Promise.resolve();
      return new Promise((resolve) => {
        waiting.push(resolve);
        signal.addEventListener('abort', () => resolve(), { once: true });
      });
    },
  };
}
