import type { Clock } from '../../../src/platform/clock.ts';

/** A clock whose hands are turned by the test; starts at the machine's time, so that tokens look like real ones. */
export interface ManualClock extends Clock {
  /** Moves on and calls what has become due. */
  advance(milliseconds: number): void;
  /** `now()` in whole seconds, as claims have it. */
  seconds(): number;
}

export function createManualClock(start = 1_790_000_000_000): ManualClock {
  let now = start;
  const timers = new Map<symbol, { at: number; callback: () => void }>();
  return {
    now: () => now,
    seconds: () => Math.floor(now / 1_000),
    after(milliseconds, callback) {
      const id = Symbol('timer');
      timers.set(id, { at: now + milliseconds, callback });
      return () => void timers.delete(id);
    },
    advance(milliseconds) {
      now += milliseconds;
      for (const [id, timer] of [...timers]) {
        if (timer.at > now || !timers.delete(id)) continue;
        timer.callback();
      }
    },
  };
}
