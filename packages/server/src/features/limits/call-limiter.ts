import { RateLimiterMemory, type RateLimiterAbstract, type RateLimiterRes } from 'rate-limiter-flexible';
import { addressGroup } from '../../platform/address-group.ts';
import { delay, type Clock } from '../../platform/clock.ts';

/** What counting calls has found: which of them may go on, and the window that they were counted in. */
export interface CountedCalls {
  /** Of the calls that were counted together the first so many may go on; the others are too many. */
  readonly allowed: number;
  /** What is limited: a user's calls, their resumptions, or what an address asks without a valid token. */
  readonly policy: 'default' | 'resumption' | 'address';
  readonly limit: number;
  readonly windowSeconds: number;
  /** What may still be called in this window. */
  readonly remaining: number;
  /** Whole seconds, at least 1, until the window ends and there is room again. */
  readonly resetSeconds: number;
}

/** The window of a user's calls that runs now. */
export interface CallWindow {
  readonly limit: number;
  readonly remaining: number;
  readonly resetsAt: Date;
}

/**
 * Counts calls in windows that begin with a first call. It refuses nothing by itself: whoever makes an answer does, since
 * what is too much is told differently on each door. What is too much is counted as well, and makes no window longer.
 */
export interface CallLimiter {
  /** Counts so many calls of a user at once: of two that are counted at the same time, neither sees room twice. */
  take(userId: string, calls: number): Promise<CountedCalls>;
  /** The same for who has no valid token: all clients of one address, or of one IPv6 network (/64), are one. */
  takeUnauthenticated(address: string, calls: number): Promise<CountedCalls>;
  /**
   * Counts one resumption, apart from calls, once there is room for it: whoever comes back to what they were watching
   * loses nothing by it. Rejects with the signal's reason when that aborts first.
   */
  waitForResumption(userId: string, signal: AbortSignal): Promise<CountedCalls>;
  /** Counts nothing. */
  state(userId: string): Promise<CallWindow>;
}

export interface CallLimiterOptions {
  /** Of one user over all doors, and of one address without a valid token. */
  readonly limitPerMinute: number;
  readonly clock: Clock;
  /** @default 60 */
  readonly windowSeconds?: number;
}

/** A client that reconnects sends everything that it watches at once, a few times in a row where the network is bad. */
const resumptionFactor = 5;

/** Each instance counts what it answers. */
export function createCallLimiter({ limitPerMinute, clock, windowSeconds = 60 }: CallLimiterOptions): CallLimiter {
  const duration = windowSeconds;
  const limiters: Readonly<Record<CountedCalls['policy'], RateLimiterAbstract>> = {
    default: new RateLimiterMemory({ keyPrefix: 'calls', points: limitPerMinute, duration }),
    resumption: new RateLimiterMemory({ keyPrefix: 'resumes', points: resumptionFactor * limitPerMinute, duration }),
    address: new RateLimiterMemory({ keyPrefix: 'address', points: limitPerMinute, duration }),
  };

  async function count(policy: CountedCalls['policy'], key: string, calls: number) {
    const { points: limit } = limiters[policy];
    // `consume` takes all or nothing; this tells what was there before, so that a batch gets what is left.
    const window: RateLimiterRes = await limiters[policy].penalty(key, calls);
    const before = window.consumedPoints - calls;
    const counted: CountedCalls = {
      allowed: Math.min(calls, Math.max(0, limit - before)),
      policy,
      limit,
      windowSeconds,
      remaining: Math.max(0, limit - window.consumedPoints),
      resetSeconds: Math.max(1, Math.ceil(window.msBeforeNext / 1000)),
    };
    return { counted, resetMs: Math.max(1, window.msBeforeNext) };
  }

  return {
    take: async (userId, calls) => (await count('default', userId, calls)).counted,
    takeUnauthenticated: async (address, calls) => (await count('address', addressGroup(address), calls)).counted,
    async waitForResumption(userId, signal) {
      for (;;) {
        signal.throwIfAborted();
        const { counted, resetMs } = await count('resumption', userId, 1);
        if (counted.allowed > 0) return counted;
        await delay(clock, resetMs, signal);
      }
    },
    async state(userId) {
      const window = await limiters.default.get(userId);
      const running = window !== null && window.msBeforeNext > 0;
      return {
        limit: limitPerMinute,
        remaining: running ? Math.max(0, limitPerMinute - window.consumedPoints) : limitPerMinute,
        resetsAt: new Date(clock.now() + (running ? window.msBeforeNext : duration * 1000)),
      };
    },
  };
}
