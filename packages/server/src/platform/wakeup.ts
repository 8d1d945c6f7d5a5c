/**
 * A bell that is not missed when it rings before one listens. One listener; rings before a wait are folded into one.
 */
export interface Wakeup {
  ring(): void;
  /** Forgets rings so far: called before looking, so that only what comes after the look ends the next wait. */
  clear(): void;
  /** Resolves at the next ring (at once, if one is pending) or when the signal aborts. */
  wait(signal: AbortSignal): Promise<void>;
}

export function createWakeup(): Wakeup {
  let rung = false;
  let release: (() => void) | null = null;
  return {
    ring() {
      rung = true;
      release?.();
    },
    clear() {
      rung = false;
    },
    wait(signal) {
      if (rung || signal.aborted) return Promise.resolve();
      return new Promise((resolve) => {
        const done = () => {
          release = null;
          signal.removeEventListener('abort', done);
          resolve();
        };
        release = done;
        signal.addEventListener('abort', done, { once: true });
      });
    },
  };
}
