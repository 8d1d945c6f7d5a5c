import type { Logger as PinoLogger } from 'pino';

/** The part of the logger that the service uses: structured fields first, then one sentence. */
export type Logger = Pick<PinoLogger, 'debug' | 'info' | 'warn' | 'error' | 'fatal'>;
