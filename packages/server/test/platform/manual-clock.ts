import type { Clock } from '../../src/platform/clock.ts';

export interface ManualClock extends Clock {
  /** Moves the hands, runs what falls due in its order, and lets what that started settle. */
  advance(milliseconds: number): Promise<void>;
}

export function createManualClock(start = Date.UTC(2026, 0, 1)): ManualClock {
  let now = start;
  const timers = new Set<{ at: number; callback: () => void }>();
  // A message to a socket of this process and the reply to it take a few turns of the event loop.
  const settle = async () => {
    for (let turn = 0; turn < 5; turn += 1) await new Promise<void>((resolve) => void setImmediate(resolve));
  };
  return {
    now: () => now,
    after(milliseconds, callback) {
      const timer = { at: now + milliseconds, callback };
      timers.add(timer);
      return () => void timers.delete(timer);
    },
    async advance(milliseconds) {
      const end = now + milliseconds;
      for (;;) {
        await settle();
        const due = [...timers].filter(({ at }) => at <= end).toSorted((a, b) => a.at - b.at)[0];
        if (due === undefined) break;
        timers.delete(due);
        now = Math.max(now, due.at);
        due.callback();
      }
      now = end;
      await settle();
    },
  };
}
