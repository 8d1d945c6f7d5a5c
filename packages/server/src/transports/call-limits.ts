import { errorTable } from '@chat-service/shared/errors';
import { ServiceError } from '../platform/service-error.ts';
import type { Authentication } from '../trpc/context.ts';

/** What counting calls has found: which of them may go on, and the window that they were counted in. */
export interface CountedCalls {
  /** The first so many of those that were counted together may go on. */
  readonly allowed: number;
  /** A name for what is limited. */
  readonly policy: string;
  readonly limit: number;
  readonly windowSeconds: number;
  /** What may still be called in this window. */
  readonly remaining: number;
  /** Until the window ends and there is room again. */
  readonly resetSeconds: number;
}

/** What the doors count calls with. */
export interface CallLimits {
  take(userId: string, calls: number): Promise<CountedCalls>;
  takeUnauthenticated(address: string, calls: number): Promise<CountedCalls>;
  /** Waits for room; rejects with the signal's reason when that aborts first. */
  waitForResumption(userId: string, signal: AbortSignal): Promise<CountedCalls>;
}

export interface Caller {
  readonly authentication: Authentication;
  readonly clientAddress: string;
}

/** Counts calls against whom they belong to: the user, or the address where there is none. Null where nothing is counted. */
export async function countCalls(
  limits: CallLimits,
  { authentication, clientAddress }: Caller,
  calls: number,
): Promise<CountedCalls | null> {
  if (calls === 0) return null;
  if (authentication.status === 'verified') return limits.take(authentication.principal.userId, calls);
  // That a token could not be judged is no fault of who sent it.
  if (errorTable[authentication.error.code].status >= 500) return null;
  return limits.takeUnauthenticated(clientAddress, calls);
}

/** Whether an input names the event to go on after. */
export function isResumingInput(input: unknown): boolean {
  if (typeof input !== 'object' || input === null || !('lastEventId' in input)) return false;
  return typeof input.lastEventId === 'string' && input.lastEventId !== '';
}

/** The error of a call that is too much. */
export function rateLimited({ limit, windowSeconds, resetSeconds }: CountedCalls): ServiceError {
  return new ServiceError('RATE_LIMITED', {
    detail: `There may be ${limit} calls in ${windowSeconds} seconds.`,
    retryAfter: resetSeconds,
  });
}

/** The fields of draft-ietf-httpapi-ratelimit-headers; none where nothing was counted. */
export function rateLimitHeaders(counted: CountedCalls | null): Record<string, string> {
  if (counted === null) return {};
  const { policy, limit, windowSeconds, remaining, resetSeconds } = counted;
  return {
    'RateLimit-Policy': `"${policy}";q=${limit};w=${windowSeconds}`,
    RateLimit: `"${policy}";r=${remaining};t=${resetSeconds}`,
  };
}
