import pg from 'pg';
import type { Logger } from '../../platform/logger.ts';
import { describePostgresUrl } from '../database-url.ts';
import { errorCode } from '../statement-error.ts';
import { readConnectionOptions } from './connection-options.ts';

/** Milliseconds that a statement may take. */
const statementTimeout = 30_000;
/** Milliseconds after which a server that does not even report the end of that time is given up. */
const answerTimeout = 35_000;
/** Milliseconds after which the server ends a transaction whose owner is silent, so that a frozen process holds no lock. */
const idleTransactionTimeout = 10_000;
/** Milliseconds that an unused connection stays open. */
const idleTimeout = 60_000;
/** Milliseconds that connections are given to become free and end. */
const endTimeout = 5_000;

export interface PoolOptions {
  maxConnections: number;
  logger: Logger;
  /** Migrations may take long. @default false */
  forMigrations?: boolean;
}

/**
 * Opens a pool and makes sure that the server answers.
 *
 * @throws Error in words when it does not.
 */
export async function openPool(url: string, options: PoolOptions): Promise<pg.Pool> {
  const connection = readConnectionOptions(url);
  const attempts = [...connection.tls];
  for (;;) {
    const pool = createPool(url, attempts.shift() ?? false, options);
    try {
      await pool.query('select 1');
      return pool;
    } catch (error) {
      await endPool(pool);
      const mayTryOther = attempts.length > 0 && error instanceof Error && isAboutTls(error);
      if (!mayTryOther) throw postgresOpenError(url, error);
    }
  }
}

/** The server has no TLS, or demands it. */
function isAboutTls(error: Error): boolean {
  return error.message === 'The server does not support SSL connections' || errorCode(error) === '28000';
}

function createPool(
  url: string,
  ssl: Exclude<pg.PoolConfig['ssl'], undefined>,
  { maxConnections, logger, forMigrations = false }: PoolOptions,
): pg.Pool {
  const { url: connectionString, connectTimeout, settings } = readConnectionOptions(url);
  const pool = new pg.Pool({
    connectionString,
    ssl,
    max: maxConnections,
    application_name: 'chat-service',
    options: settings,
    // Also the longest wait for a connection that is free.
    connectionTimeoutMillis: connectTimeout * 1000,
    idleTimeoutMillis: idleTimeout,
    keepAlive: true,
    ...(forMigrations
      ? {}
      : {
          statement_timeout: statementTimeout,
          query_timeout: answerTimeout,
          idle_in_transaction_session_timeout: idleTransactionTimeout,
        }),
  });
  // A connection that breaks also fails the statement that waits for it, or the next one. The event alone, without a
  // listener, would end the process, also when it comes while the pool gives the connection up.
  pool.on('connect', (client) => void client.on('error', () => {}));
  // A connection that breaks while nobody uses it is replaced; without a listener it would end the process.
  pool.on('error', (error) => logger.warn({ err: error }, 'an unused connection to Postgres broke'));
  return pool;
}

/** Waits for `work` and the connections in use, but not for a server that no longer answers. */
export async function endPool(pool: pg.Pool, work: Iterable<Promise<unknown>> = []): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const tooLate = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, endTimeout);
  });
  // Whoever still waited for a connection when the pool ends would never get one.
  await Promise.race([Promise.allSettled(work), tooLate]);
  await Promise.race([pool.end(), tooLate]);
  clearTimeout(timer);
}

/** What went wrong between here and a Postgres server, in words, without user and password. */
export function postgresOpenError(url: string, error: unknown): Error {
  const code = error instanceof Error ? errorCode(error) : undefined;
  return new Error(`Postgres at ${describePostgresUrl(url)}: ${reason(code, error)}`, { cause: error });
}

function reason(code: string | undefined, error: unknown): string {
  switch (code) {
    case 'ECONNREFUSED':
      return 'connection refused; is it running, and are host and port right?';
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return 'there is no host of this name';
    case 'ETIMEDOUT':
      return 'no answer in time';
    case 'ECONNRESET':
      return 'the connection was closed while it was being opened; does sslmode fit the server?';
    case '28P01':
    case '28000':
      return 'user or password refused';
    case '3D000':
      return 'there is no database of this name';
    case '42501':
      return 'the user may not do this; it needs CREATE on the database and on the schema';
    case '53300':
      return 'too many connections';
    default:
      return error instanceof Error && error.message !== '' ? error.message : (code ?? 'unknown reason');
  }
}
