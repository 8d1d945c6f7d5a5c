/** Milliseconds to wait before a repeat; `attempt` counts from 0. */
export type RetryDelay = (attempt: number) => number;

const firstDelayMs = 250;
/** Short enough that nobody waits long once the network is back, long enough not to crowd a server that restarts. */
const maxDelayMs = 8_000;

/** Doubles from 250 ms up to 8 s, less up to half of it at random, so that clients cut at once do not come back at once. */
export function jitteredDelay(attempt: number): number {
  const full = Math.min(maxDelayMs, firstDelayMs * 2 ** Math.min(attempt, 16));
  return full * (0.5 + Math.random() / 2);
}

/** Waits; rejects with the signal's reason as soon as it aborts. */
export function sleep(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return void reject(asError(signal.reason));
    const stop = () => {
      clearTimeout(timer);
      reject(asError(signal.reason));
    };
    const timer = setTimeout(() => {
      signal.removeEventListener('abort', stop);
      resolve();
    }, milliseconds);
    signal.addEventListener('abort', stop, { once: true });
  });
}

function asError(reason: unknown): Error {
  return reason instanceof Error ? reason : new Error('Aborted', { cause: reason });
}
