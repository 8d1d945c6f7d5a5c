import type { Clock } from '../../platform/clock.ts';
import { ProviderError, type ProviderTimeouts } from './provider.ts';

export interface Watchdog {
  /** Something came from the provider. */
  heard(): void;
  /** The first token came: from now on the idle limit counts. */
  firstToken(): void;
  /** Everything that matters came: what is left may take this many milliseconds. */
  ending(within: number): void;
  /** While the consumer has the floor, silence is not the provider's. */
  hold(): void;
  release(): void;
  /** Milliseconds until the first token is late. */
  firstTokenLeft(): number;
  stop(): void;
}

/**
 * The three time limits of a call on one timer. Events only move a deadline, and the timer is set anew when it fires
 * too early: arming a timer for each token would cost more than reading it.
 */
export function startWatchdog(
  clock: Clock,
  timeouts: ProviderTimeouts,
  onExpired: (error: ProviderError) => void,
): Watchdog {
  const start = clock.now();
  const end = start + timeouts.total;
  let silence: 'firstToken' | 'idle' = 'firstToken';
  let silentUntil = start + timeouts.firstToken;
  let idle = timeouts.idle;
  let held = false;
  let firesAt = Infinity;
  let cancel = () => {};

  const deadline = () => (held ? end : Math.min(end, silentUntil));
  const arm = () => {
    cancel();
    firesAt = deadline();
    cancel = clock.after(Math.max(0, firesAt - clock.now()), () => {
      if (clock.now() < deadline()) return arm();
      const limit = clock.now() >= end ? 'total' : silence;
      onExpired(new ProviderError('MODEL_TIMEOUT', `the ${limit} limit of ${timeouts[limit]} ms has passed`));
    });
  };
  const heard = () => {
    if (silence === 'idle') silentUntil = clock.now() + idle;
    if (deadline() < firesAt) arm();
  };
  arm();

  return {
    heard,
    firstToken() {
      silence = 'idle';
      heard();
    },
    ending(within) {
      silence = 'idle';
      idle = Math.min(idle, within);
      heard();
    },
    hold() {
      held = true;
    },
    release() {
      held = false;
      heard();
    },
    firstTokenLeft: () => start + timeouts.firstToken - clock.now(),
    stop: () => cancel(),
  };
}
