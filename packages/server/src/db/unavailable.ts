import { postgresDialect } from './postgres/dialect.ts';
import { sqliteDialect } from './sqlite/dialect.ts';

/** Whether an error of either database means that it cannot be used at the moment, rather than that a statement is wrong. */
export function isDatabaseUnavailable(error: unknown): boolean {
  return postgresDialect.isUnavailable(error) || sqliteDialect.isUnavailable(error);
}
