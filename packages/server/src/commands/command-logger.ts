import { pino } from 'pino';
import type { LoadedConfig } from '../config/config.ts';
import { createLogger, type Logger } from '../platform/logger.ts';

/** The log of a command that ends by itself: on standard error, since standard output is its answer. */
export function createCommandLogger({ logging }: LoadedConfig): Logger {
  return createLogger({ level: logging.level, destination: pino.destination({ dest: 2, sync: true }) });
}
