import { systemClock, type Clock } from '@chat-service/server/platform/clock';
import { expect, vi } from 'vitest';
import { patience } from './call-for.ts';

/** The system's clock, but for timers of certain lengths: those pass when the test says so. */
export interface HandClock extends Clock {
  /**
   * Passes the timers that are held now, the first to end first. Each finds the hands where it waited for; for everybody
   * else they stay where they are.
   * @param most No more than so many of them.
   */
  pass(isMeant?: (milliseconds: number) => boolean, most?: number): void;
  /** Passes those that are held, and what comes of them, until the promise has settled; settles as it does. */
  passUntil<Value>(settled: Promise<Value>, isMeant?: (milliseconds: number) => boolean): Promise<Value>;
  /** Moves the hands forward for everybody; timers that run already are not touched. */
  shift(seconds: number): void;
}

interface HeldTimer {
  readonly milliseconds: number;
  readonly end: number;
  readonly callback: () => void;
}

export function createHandClock(isHeld: (milliseconds: number) => boolean): HandClock {
  let hands: number | null = null;
  let offset = 0;
  const held = new Set<HeldTimer>();
  const now = () => hands ?? systemClock.now() + offset;
  const pass: HandClock['pass'] = (isMeant = () => true, most = Infinity) => {
    const meant = [...held].filter(({ milliseconds }) => isMeant(milliseconds)).toSorted((a, b) => a.end - b.end);
    for (const timer of meant.slice(0, most)) {
      if (!held.delete(timer)) continue;
      hands = timer.end;
      try {
        timer.callback();
      } finally {
        hands = null;
      }
    }
  };
  return {
    now,
    after(milliseconds, callback) {
      if (!isHeld(milliseconds)) return systemClock.after(milliseconds, callback);
      const timer = { milliseconds, end: now() + milliseconds, callback };
      held.add(timer);
      return () => void held.delete(timer);
    },
    pass,
    async passUntil(settled, isMeant) {
      let isSettled = false;
      const settle = () => {
        isSettled = true;
      };
      settled.then(settle, settle);
      // Whoever finds itself too early waits anew.
      await vi.waitFor(
        () => {
          pass(isMeant);
          expect(isSettled).toBe(true);
        },
        { ...patience, interval: 5 },
      );
      return settled;
    },
    shift(seconds) {
      offset += seconds * 1000;
    },
  };
}
