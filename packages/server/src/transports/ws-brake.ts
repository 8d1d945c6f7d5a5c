import type { Clock } from '../platform/clock.ts';

/** So many refusals, about as many as a frame may hold calls, before a client is read more slowly. */
const refusalsAtOnce = 20;
/** Milliseconds. */
const pauseMs = 100;

export interface WsBrakeOptions {
  readonly clock: Clock;
  /** Told when `isOn` has changed. */
  readonly onChange: () => void;
}

/**
 * Slows down who goes on calling over the limit: each of their calls is still refused one by one, which costs as much as a
 * call, so that one socket could keep everybody else waiting.
 */
export interface WsBrake {
  /** Whether the client is not to be read now. */
  readonly isOn: boolean;
  /** A call was too much. */
  refused(): void;
  stop(): void;
}

export function createWsBrake({ clock, onChange }: WsBrakeOptions): WsBrake {
  let refusals = 0;
  let cancel: (() => void) | null = null;
  return {
    get isOn() {
      return cancel !== null;
    },
    refused() {
      refusals += 1;
      if (refusals < refusalsAtOnce || cancel !== null) return;
      refusals = 0;
      cancel = clock.after(pauseMs, () => {
        cancel = null;
        onChange();
      });
      onChange();
    },
    stop() {
      cancel?.();
    },
  };
}
