import type { EventEmitter } from 'node:events';
import type { Clock } from '../platform/clock.ts';
import type { Logger } from '../platform/logger.ts';

/** The part of the app that a process runs. */
export interface RunningApp extends AsyncDisposable {
  listen(): Promise<{ url: string }>;
  /** Resolves when every generation's end is stored (`clean`) or the grace is over. */
  drain(): Promise<{ clean: boolean }>;
}

export interface RunOptions {
  start: () => Promise<RunningApp>;
  onListening: (url: string) => Promise<void>;
  /** Told why it did not start. */
  onFailedStart: (error: unknown) => void;
  /** Emits `SIGTERM` and `SIGINT`: the process. */
  signals: EventEmitter;
  graceMs: number;
  clock: Clock;
  logger: Logger;
}

/** Beyond the grace, for stopping what is left, storing it and closing; a little under the 5 s that are promised. */
const closingMs = 4_500;
/** A terminal's ctrl-C reaches the process itself, and again through npm: one key press, two signals. */
const sameKeyPressMs = 500;

/** Starts the app and runs it until a signal. Resolves to the exit code: 0 when every generation's end is stored. */
export async function runUntilStopped(options: RunOptions): Promise<0 | 1> {
  const { start, onListening, onFailedStart, graceMs, clock, logger } = options;
  using signals = watchSignals(options);
  const starting = start().then(async (app) => {
    try {
      const { url } = await app.listen();
      return { app, url };
    } catch (error) {
      await app[Symbol.asyncDispose]();
      throw error;
    }
  });
  // Before it is up nothing runs that could be lost, and a start may wait long for another server's lock.
  const started = await Promise.race([starting, signals.stop]).catch((error: unknown) => {
    logger.fatal({ err: error }, 'could not start');
    onFailedStart(error);
    return null;
  });
  if (started === null) return 1;
  if (typeof started === 'string') return 0;
  const { app, url } = started;
  logger.info({ url }, 'listening');
  await onListening(url);

  const signal = await signals.stop;
  logger.info({ signal, graceMs }, 'shutting down');
  let clean = false;
  const close = async () => {
    ({ clean } = await app.drain());
    await app[Symbol.asyncDispose]();
  };
  const { promise: tooLate, resolve } = Promise.withResolvers<'too late'>();
  const cancel = clock.after(graceMs + closingMs, () => resolve('too late'));
  const end = await Promise.race([close(), tooLate, signals.leaveAtOnce]).catch((error: unknown) => {
    logger.error({ err: error }, 'shutdown failed');
    return 'failed';
  });
  cancel();
  logger.info({ clean, ...(end !== undefined && { end }) }, 'stopped');
  return clean ? 0 : 1;
}

interface Signals extends Disposable {
  /** The first signal. */
  stop: Promise<'SIGTERM' | 'SIGINT'>;
  /** A further SIGINT. */
  leaveAtOnce: Promise<'left at once'>;
}

function watchSignals({ signals, clock }: RunOptions): Signals {
  const stop = Promise.withResolvers<'SIGTERM' | 'SIGINT'>();
  const leave = Promise.withResolvers<'left at once'>();
  let firstAt: number | undefined;
  const onSignal = (signal: 'SIGTERM' | 'SIGINT') => {
    if (firstAt === undefined) {
      firstAt = clock.now();
      stop.resolve(signal);
    } else if (signal === 'SIGINT' && clock.now() - firstAt >= sameKeyPressMs) {
      leave.resolve('left at once');
    }
  };
  signals.on('SIGTERM', onSignal).on('SIGINT', onSignal);
  return {
    stop: stop.promise,
    leaveAtOnce: leave.promise,
    [Symbol.dispose]: () => void signals.off('SIGTERM', onSignal).off('SIGINT', onSignal),
  };
}
