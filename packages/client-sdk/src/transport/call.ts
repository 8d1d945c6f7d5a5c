import { type ChatError, ConnectionError, RateLimitError, TimeoutError } from '../errors.ts';
import { toChatError } from '../read-error.ts';
import { sleep, type RetryDelay } from './back-off.ts';

/** For one call, its repeats included. */
export interface RequestOptions {
  /** Ends the waiting, with the signal's reason. What was asked for may happen all the same: the server owns it. */
  signal?: AbortSignal;
  /** For the whole call with its repeats, in milliseconds. @default the client's `timeoutMs` */
  timeoutMs?: number;
  /** @default the client's `maxRetries` */
  maxRetries?: number;
}

export interface CallDefaults {
  readonly timeoutMs: number;
  readonly maxRetries: number;
  readonly retryDelayMs: RetryDelay;
}

/** A server that asks for a longer pause is not waited for: the caller gets the error with its `retryAfter`. */
const maxRetryAfterSeconds = 30;
/** `MODEL_UNAVAILABLE` is none of them: a model comes back in half a minute, or never, and it may end an admitted answer. */
const passingCodes = new Set(['SHUTTING_DOWN', 'UNAVAILABLE', 'AUTH_UNAVAILABLE', 'ACCOUNTING_UNAVAILABLE']);

/** Request time-out, too early, too many requests. */
const passingStatuses: ReadonlySet<number> = new Set([408, 425, 429]);

/**
 * Whether the same request may be sent again by itself. A rate limit is told before anything is done; after a lost
 * connection or a 503 the first attempt may have been carried out, so only repeatable requests go again: reads, what carries
 * an idempotency key, and what is the same done twice. Spent credits and quotas do not come back in a moment.
 */
export function mayRepeat(error: ChatError, repeatable: boolean): boolean {
  if (error.retryAfter !== null && error.retryAfter > maxRetryAfterSeconds) return false;
  if (error instanceof RateLimitError) return true;
  return repeatable && (error instanceof ConnectionError ? isPassing(error) : passingCodes.has(error.code));
}

/** What answered in the place of the service, as a proxy, may say itself that asking again is of no use. */
function isPassing({ status }: ConnectionError): boolean {
  const clientsFault = status !== null && status >= 400 && status < 500;
  return !clientsFault || passingStatuses.has(status);
}

/**
 * Milliseconds to wait after `error`: what the server asks for, and the back-off on top, whose random part keeps those who
 * were refused together from coming back together.
 */
export function delayAfter(error: ChatError, attempt: number, retryDelayMs: RetryDelay): number {
  return (error.retryAfter ?? 0) * 1000 + retryDelayMs(attempt);
}

/**
 * Carries out one call with its time-out, its signal and its repeats. A pause that would outlast the time-out is not begun:
 * the caller is told at once what went wrong.
 *
 * @throws {ChatError} what went wrong, or the signal's reason
 */
export async function call<Output>(
  attempt: (signal: AbortSignal) => Promise<Output>,
  { repeatable, options = {}, defaults }: { repeatable: boolean; options?: RequestOptions; defaults: CallDefaults },
): Promise<Output> {
  const timeoutMs = options.timeoutMs ?? defaults.timeoutMs;
  const maxRetries = options.maxRetries ?? defaults.maxRetries;
  const deadline = AbortSignal.timeout(timeoutMs);
  const endsAt = performance.now() + timeoutMs;
  const signal = options.signal === undefined ? deadline : AbortSignal.any([options.signal, deadline]);
  for (let repeats = 0; ; repeats += 1) {
    try {
      return await settledOrAborted(attempt, signal);
    } catch (cause) {
      options.signal?.throwIfAborted();
      if (deadline.aborted) throw new TimeoutError(timeoutMs);
      const error = toChatError(cause);
      if (repeats >= maxRetries || !mayRepeat(error, repeatable)) throw error;
      const pauseMs = delayAfter(error, repeats, defaults.retryDelayMs);
      if (performance.now() + pauseMs >= endsAt) throw error;
      await sleep(pauseMs, signal).catch((reason: unknown) => {
        options.signal?.throwIfAborted();
        throw deadline.aborted ? new TimeoutError(timeoutMs) : reason;
      });
    }
  }
}

/** A batch is aborted only when all its calls are, so a call that is to end must not wait for it. */
function settledOrAborted<Output>(
  attempt: (signal: AbortSignal) => Promise<Output>,
  signal: AbortSignal,
): Promise<Output> {
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    const stop = () => reject(new Error('aborted'));
    signal.addEventListener('abort', stop, { once: true });
    attempt(signal)
      .then(resolve, reject)
      .finally(() => signal.removeEventListener('abort', stop));
  });
}
