import { systemClock, type Clock } from '@chat-service/server/platform/clock';

/** The system's clock with its hands moved forward; timers that run already are not touched. */
export interface ShiftedClock extends Clock {
  shift(seconds: number): void;
}

export function createShiftedClock(): ShiftedClock {
  let offset = 0;
  return {
    now: () => systemClock.now() + offset,
    after: systemClock.after,
    shift(seconds) {
      offset += seconds * 1_000;
    },
  };
}
