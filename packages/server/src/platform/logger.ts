import { pino, type DestinationStream, type Logger as PinoLogger } from 'pino';
import { describeError, redact, redactText } from './redaction.ts';

/** The part of the logger that the service uses: structured fields first, then one sentence. */
export type Logger = Pick<PinoLogger, 'debug' | 'info' | 'warn' | 'error' | 'fatal'>;

export const logLevels = ['debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;
export type LogLevel = (typeof logLevels)[number];

export const payloadModes = ['none', 'redacted', 'full'] as const;
export type PayloadMode = (typeof payloadModes)[number];

export interface LoggerOptions {
  /** The lowest level that is written; `silent` writes nothing. */
  level: LogLevel;
  /** Takes whole lines, each with its line feed. */
  destination: DestinationStream;
}

/** A logger of one JSON line a call (`time` in ISO 8601 UTC) that lets no credential through, wherever it stands. */
export function createLogger({ level, destination }: LoggerOptions): Logger {
  return pino(
    {
      level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      // Errors arrive here already described; pino's own serializer would look for what is no longer there.
      serializers: { err: (value: unknown) => value },
      formatters: {
        level: (label) => ({ level: label }),
        log: (fields) => redact(fields) as Record<string, unknown>,
      },
      hooks: {
        // An error logged alone would lend its raw message to the line, with the values that drivers put into it.
        logMethod(args, method) {
          const [first, ...rest] = args as unknown[];
          if (!(first instanceof Error) || rest.length > 0) return method.apply(this, args);
          return method.apply(this, [{ err: first }, String(describeError(first)['message'])]);
        },
        // Second net, under the field names: the sentence itself, and anything a field name did not give away.
        streamWrite: redactText,
      },
    },
    destination,
  );
}

/**
 * A payload as the log may hold it: `undefined` for `none`; for `redacted` its structure, every string replaced by its
 * length (`"text(12)"`); for `full` as it is. Credentials are replaced in every mode.
 */
export function payloadForLog(value: unknown, mode: PayloadMode): unknown {
  switch (mode) {
    case 'none':
      return undefined;
    case 'redacted':
      return redact(value, (text) => `text(${text.length})`);
    case 'full':
      return redact(value);
  }
}
