import postgres from 'postgres';
import { describePostgresUrl } from '../database-url.ts';
import { errorCode } from '../statement-error.ts';
import { readConnectionOptions } from './connection-options.ts';

/** Milliseconds that a statement may take. */
const statementTimeout = 30_000;
/** Milliseconds after which the server ends a transaction whose owner is silent, so that a frozen process holds no lock. */
const idleTransactionTimeout = 10_000;

export interface ClientOptions {
  maxConnections: number;
  /** Migrations may take long, and must keep the connection that holds their lock. @default false */
  forMigrations?: boolean;
}

/** A pool that connects when it is first used. */
export function createPostgresClient(
  url: string,
  { maxConnections, forMigrations = false }: ClientOptions,
): postgres.Sql {
  const connection = readConnectionOptions(url);
  return postgres(connection.url, {
    ...connection.options,
    max: maxConnections,
    // Notices are for people at a terminal; the driver's default prints them.
    onnotice: () => {},
    connection: {
      application_name: 'chat-service',
      TimeZone: 'UTC',
      ...(forMigrations
        ? {}
        : { statement_timeout: statementTimeout, idle_in_transaction_session_timeout: idleTransactionTimeout }),
    },
    ...(forMigrations ? { max_lifetime: null } : {}),
  });
}

/** Seconds that connections are given to end by themselves. */
const endTimeout = 5;

export async function endPostgresClient(client: postgres.Sql): Promise<void> {
  await client.end({ timeout: endTimeout });
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
    case 'CONNECT_TIMEOUT':
    case 'ETIMEDOUT':
      return 'no answer in time';
    case 'CONNECTION_CLOSED':
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
