import { sql, type SQL } from 'drizzle-orm';
import type { Dialect } from '../database.ts';
import { DatabaseClosedError, errorCode, someCause } from '../statement-error.ts';
import { users } from './schema.ts';

// clock_timestamp() goes on inside a transaction, now() does not. Cut, since a cast would round into the future.
const now = sql`date_trunc('milliseconds', clock_timestamp())`;

/** SQLSTATE classes: connection exceptions, insufficient resources, operator intervention, system errors. */
const unavailableClasses = new Set(['08', '53', '57', '58']);

/** Single codes: of SQLSTATE and of Node's sockets. */
const unavailableCodes = new Set([
  '25006', // read_only_sql_transaction: the primary has become a standby
  '25P03', // idle_in_transaction_session_timeout
  '28000', // invalid_authorization_specification
  '28P01', // invalid_password
  '3D000', // the database does not exist
  '40001', // serialization_failure, after the last retry
  '40P01', // deadlock_detected, after the last retry
  '55P03', // lock_not_available
  'EAI_AGAIN',
  'ECONNREFUSED',
  'ECONNRESET',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOTFOUND',
  'EPIPE',
  'ETIMEDOUT',
]);

/** What the driver says without a code. */
const unavailableMessages = new Set([
  'Client has encountered a connection error and is not queryable',
  'Client was closed and is not queryable',
  'Connection terminated',
  'Connection terminated due to connection timeout',
  'Connection terminated unexpectedly',
  'Query read timeout',
  'The server does not support SSL connections',
  'timeout exceeded when trying to connect',
  'timeout expired',
]);

function isSqlState(code: string): boolean {
  return /^[0-9A-Z]{5}$/u.test(code);
}

export const postgresDialect: Dialect = {
  now: (): SQL<Date> => sql<Date>`${now}`.mapWith(users.createdAt),
  nowPlus: (milliseconds): SQL<Date> =>
    sql<Date>`(${now} + ${Math.round(milliseconds)}::double precision * interval '1 millisecond')`.mapWith(
      users.createdAt,
    ),
  forUpdate(query) {
    // The builder changes itself; what it returns is the same object under a narrower type.
    query.for('update');
    return query;
  },
  // The first half is the index's, whose grams may stand anywhere in the text; the second one is exact.
  searchTextContains: (part) =>
    sql`(search_grams(${users.searchText}) @> search_grams(${part}) and position(${part} in ${users.searchText}) > 0)`,
  isUniqueViolation: (error) => someCause(error, (cause) => errorCode(cause) === '23505'),
  isUnavailable: (error) =>
    someCause(error, (cause) => {
      if (cause instanceof DatabaseClosedError) return true;
      const code = errorCode(cause) ?? '';
      if (code === '') return unavailableMessages.has(cause.message);
      return unavailableCodes.has(code) || (isSqlState(code) && unavailableClasses.has(code.slice(0, 2)));
    }),
};

/** Whether the whole transaction may simply run again. */
export function isRetryable(error: unknown): boolean {
  return someCause(error, (cause) => ['40001', '40P01'].includes(errorCode(cause) ?? ''));
}
