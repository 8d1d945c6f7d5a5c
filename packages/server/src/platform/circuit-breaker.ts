import type { Clock } from './clock.ts';

/** Leave to make one call. Told of its end exactly once, by `succeeded`, `failed` or `abandoned`. */
export interface Permit {
  /** The answer has begun. Enough to let others call again, not enough to forget the failures before. */
  responded(): void;
  succeeded(): void;
  failed(): void;
  /** The caller left: says nothing about who is called. */
  abandoned(): void;
}

export interface CircuitBreaker {
  /** True while calls are refused. */
  isOpen(): boolean;
  /** True from its opening until a call has succeeded again. */
  isTripped(): boolean;
  /** Null while calls are refused. */
  enter(): Permit | null;
}

export interface CircuitBreakerOptions {
  readonly clock: Clock;
  /** Consecutive failed calls that open the circuit. */
  readonly threshold: number;
  /** Milliseconds without calls, after which a single call tries again. */
  readonly rest: number;
  readonly onOpen: () => void;
}

/**
 * Spares a service that keeps failing, and its callers the wait. Own code, because the resilience library at hand
 * reads the machine's clock and makes callers wait for the outcome of the trial call.
 */
export function createCircuitBreaker({ clock, threshold, rest, onOpen }: CircuitBreakerOptions): CircuitBreaker {
  let failures = 0;
  let restsUntil: number | null = null;
  let trial: object | null = null;

  const isOpen = () => restsUntil !== null && (trial !== null || clock.now() < restsUntil);
  const open = () => {
    restsUntil = clock.now() + rest;
    onOpen();
  };

  function createPermit(): Permit {
    const self = {};
    if (restsUntil !== null) trial = self;
    const isTrial = () => trial === self;
    const close = (remembered: number) => {
      trial = null;
      restsUntil = null;
      failures = remembered;
    };
    return {
      responded() {
        if (isTrial()) close(threshold - 1);
      },
      succeeded() {
        // A call from before the circuit opened says nothing about now.
        if (isTrial() || restsUntil === null) close(0);
      },
      failed() {
        if (isTrial()) {
          trial = null;
          open();
        } else if (restsUntil === null) {
          failures += 1;
          if (failures >= threshold) open();
        }
      },
      abandoned() {
        if (isTrial()) trial = null;
      },
    };
  }

  return { isOpen, isTripped: () => restsUntil !== null, enter: () => (isOpen() ? null : createPermit()) };
}
