import { sql, type SQL } from 'drizzle-orm';
import type { Dialect } from '../database.ts';
import { DatabaseClosedError, errorCode, someCause } from '../statement-error.ts';
import { users } from './schema.ts';

// Rounded, since 'subsec' is a fraction that times 1000 may fall just short of its millisecond.
const now = sql`cast(round(unixepoch('subsec') * 1000) as integer)`;

/** Result codes by their first two parts (`SQLITE_IOERR_READ` is `SQLITE_IOERR`) that no statement is to blame for. */
const unavailable = new Set([
  'SQLITE_BUSY',
  'SQLITE_LOCKED',
  'SQLITE_CANTOPEN',
  'SQLITE_CORRUPT',
  'SQLITE_FULL',
  'SQLITE_IOERR',
  'SQLITE_NOMEM',
  'SQLITE_NOTADB',
  'SQLITE_PERM',
  'SQLITE_PROTOCOL',
  'SQLITE_READONLY',
]);

const uniqueViolations = new Set(['SQLITE_CONSTRAINT_UNIQUE', 'SQLITE_CONSTRAINT_PRIMARYKEY']);

function primaryCode(code: string): string {
  return code.split('_').slice(0, 2).join('_');
}

export const sqliteDialect: Dialect = {
  now: (): SQL<Date> => sql<Date>`${now}`.mapWith(users.createdAt),
  nowPlus: (milliseconds): SQL<Date> =>
    sql<Date>`(${now} + cast(${Math.round(milliseconds)} as integer))`.mapWith(users.createdAt),
  forUpdate: (query) => query,
  searchTextContains: (part) => sql`instr(${users.searchText}, ${part}) > 0`,
  isUniqueViolation: (error) => someCause(error, (cause) => uniqueViolations.has(errorCode(cause) ?? '')),
  isUnavailable: (error) =>
    someCause(
      error,
      (cause) => cause instanceof DatabaseClosedError || unavailable.has(primaryCode(errorCode(cause) ?? '')),
    ),
};
