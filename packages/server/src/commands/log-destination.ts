import { pino } from 'pino';
import type { Clock } from '../platform/clock.ts';

/** Log lines that a reader who has stopped reading may leave waiting; what comes beyond is dropped, not memory. */
const maxWaitingBytes = 8 * 1024 * 1024;
/** Milliseconds that the last lines are waited for: nobody may be there any more to read them. */
const flushMs = 1_000;

export type LogDestination = ReturnType<typeof pino.destination>;

/** Where log lines go that are written without being waited for: 1 is standard output, 2 standard error. */
export function openLogDestination(descriptor: 1 | 2): LogDestination {
  // Without a least length there is no waiting for what was written.
  const destination = pino.destination({ dest: descriptor, sync: false, maxLength: maxWaitingBytes, minLength: 1 });
  // It would try for ever where the reader is gone or has stopped reading, and keep the process from its end.
  destination.flushSync = () => {};
  return destination;
}

/** Resolves when what was logged is written, or cannot be. */
export function flushLog(destination: LogDestination, clock: Clock): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const cancel = clock.after(flushMs, resolve);
  destination.flush(() => resolve());
  return promise.finally(cancel);
}
