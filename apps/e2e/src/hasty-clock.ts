import { systemClock, type Clock } from '@chat-service/server/platform/clock';

/**
 * The system's clock for a server whose rhythms and pauses of up to a second pass ten times as fast, and whose limit of
 * 2 s for a call to the Accounting Service is passed by hand alone: no machine is too slow for it.
 */
export interface HastyClock extends Clock {
  /** Passes every wait of 2 s that is under way. */
  passTwoSeconds(): void;
  /** Lets no rhythm and no pause pass any more, until `thaw`: the server has no heartbeat, as if it was gone. */
  freeze(): void;
  thaw(): void;
  /** Moves the hands forward; timers that run already are not touched. */
  shift(seconds: number): void;
}

const limit = 2_000;
const longestPause = 1_000;
const haste = 10;

export function createHastyClock(): HastyClock {
  let offset = 0;
  let isFrozen = false;
  const limits = new Set<() => void>();
  const frozen = new Set<() => void>();

  /** The callback, put off where it would come while nothing passes; and what takes it back. */
  function unlessFrozen(callback: () => void) {
    const call = () => {
      frozen.delete(call);
      if (isFrozen) frozen.add(call);
      else callback();
    };
    return { call, cancel: () => void frozen.delete(call) };
  }

  return {
    now: () => systemClock.now() + offset,
    after(milliseconds, callback) {
      if (milliseconds <= longestPause) {
        const { call, cancel } = unlessFrozen(callback);
        const stop = systemClock.after(milliseconds / haste, call);
        return () => {
          stop();
          cancel();
        };
      }
      if (milliseconds !== limit) return systemClock.after(milliseconds, callback);
      const pass = () => {
        if (limits.delete(pass)) callback();
      };
      limits.add(pass);
      return () => void limits.delete(pass);
    },
    passTwoSeconds() {
      for (const pass of [...limits]) pass();
    },
    freeze() {
      isFrozen = true;
    },
    thaw() {
      isFrozen = false;
      for (const call of [...frozen]) call();
    },
    shift(seconds) {
      offset += seconds * 1_000;
    },
  };
}
