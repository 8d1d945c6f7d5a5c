import { DrizzleQueryError } from 'drizzle-orm';
import { TransactionMisuseError } from './transaction-scope.ts';

/** A statement failed. It names the statement and not its parameters, which hold what users wrote; `cause` is the driver's error. */
export class StatementError extends Error {
  override readonly name = 'StatementError';
  readonly statement: string;

  constructor(statement: string, cause: unknown) {
    super(`a statement failed: ${statement}`, { cause });
    this.statement = statement;
  }
}

/** The connection was closed; nothing can be asked of it any more. */
export class DatabaseClosedError extends Error {
  override readonly name = 'DatabaseClosedError';
}

/** Postgres repeats whole rows in these members of its errors. */
const memberWithRows = ['detail', 'where', 'internalQuery'];

/** Drizzle writes the parameters of a failed statement into the message: what is thrown instead of its error. */
export function withoutParameters(error: unknown): unknown {
  if (!(error instanceof DrizzleQueryError)) return error;
  const cause: unknown = error.cause;
  if (cause instanceof TransactionMisuseError || cause instanceof StatementError) return cause;
  if (cause instanceof Error) for (const member of memberWithRows) Reflect.deleteProperty(cause, member);
  return new StatementError(error.query, cause);
}

/** Whether `matches` holds for `error` or for anything in its chain of causes. */
export function someCause(error: unknown, matches: (error: Error) => boolean): boolean {
  const seen = new Set<unknown>();
  for (let current = error; current instanceof Error && !seen.has(current); current = current.cause) {
    if (matches(current)) return true;
    seen.add(current);
  }
  return false;
}

/** The `code` of a driver's or of Node's error. */
export function errorCode(error: Error): string | undefined {
  return 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}
