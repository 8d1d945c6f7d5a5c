import { PgDialect, type PgPreparedQuery, type PreparedQueryConfig } from 'drizzle-orm/pg-core';
import { drizzle, PostgresJsDatabase, PostgresJsSession } from 'drizzle-orm/postgres-js';
import type postgres from 'postgres';
import type { Database, OpenOptions, Queryable } from '../database.ts';
import { describePostgresUrl } from '../database-url.ts';
import { withoutParameters } from '../statement-error.ts';
import { TransactionScope, TransactionScopes } from '../transaction-scope.ts';
import { createPostgresClient, endPostgresClient, postgresOpenError } from './client.ts';
import { isRetryable, postgresDialect } from './dialect.ts';
import * as tables from './schema.ts';

const defaultMaxConnections = 10;
/** How often a transaction runs again after a deadlock or a serialization failure. */
const maxRetries = 3;

type Session = PostgresJsSession<postgres.Sql, Record<string, never>, Record<string, never>>;
type Unsafe = postgres.Sql['unsafe'];

interface HandleOptions {
  unsafe: Unsafe;
  onError?: (error: unknown) => void;
}

/** Session that keeps what users wrote out of error messages. */
class QuietSession extends PostgresJsSession<postgres.Sql, Record<string, never>, Record<string, never>> {
  readonly #onError: ((error: unknown) => void) | undefined;

  constructor(client: postgres.Sql, dialect: PgDialect, onError?: (error: unknown) => void) {
    super(client, dialect, undefined, {});
    this.#onError = onError;
  }

  override prepareQuery<Config extends PreparedQueryConfig>(
    ...parameters: Parameters<Session['prepareQuery']>
  ): PgPreparedQuery<Config> {
    const query = super.prepareQuery<Config>(...parameters);
    const execute = query.execute.bind(query);
    query.execute = async (values) => {
      try {
        return await execute(values);
      } catch (error) {
        const quiet = withoutParameters(error);
        this.#onError?.(quiet);
        throw quiet;
      }
    };
    return query;
  }
}

/** A handle whose every statement goes through `unsafe`, the only member of the client that Drizzle calls. */
function createHandle(client: postgres.Sql, { unsafe, onError }: HandleOptions): Queryable {
  const guarded = new Proxy(client, {
    get: (target, key): unknown => (key === 'unsafe' ? unsafe : Reflect.get(target, key)),
  });
  const dialect = new PgDialect();
  return new PostgresJsDatabase(dialect, new QuietSession(guarded, dialect, onError), undefined);
}

async function runOnce<Result>(
  client: postgres.Sql,
  scopes: TransactionScopes,
  work: (transaction: Queryable) => Promise<Result>,
): Promise<Result> {
  const scope = new TransactionScope();
  let result: { readonly value: Result } | undefined;
  try {
    await client.begin('isolation level read committed', async (transaction) => {
      const unsafe: Unsafe = (...parameters) => {
        scope.assertUsable();
        return transaction.unsafe(...parameters);
      };
      const handle = createHandle(client, { unsafe, onError: (error) => scope.fail(error) });
      result = { value: await scopes.run(scope, () => work(handle)) };
      scope.throwFailure();
    });
  } finally {
    // When the connection breaks, the driver gives up while `work` still runs.
    scope.close();
  }
  if (result === undefined) throw new Error('the transaction committed without a result');
  return result.value;
}

export async function openPostgres(url: string, options: OpenOptions): Promise<Database> {
  const client = createPostgresClient(url, { maxConnections: options.maxConnections ?? defaultMaxConnections });
  // Tells the client to leave times and JSON to Drizzle's columns.
  drizzle(client);
  const scopes = new TransactionScopes();
  const ping = async () => {
    await client.unsafe('select 1');
  };
  try {
    await ping();
  } catch (error) {
    await endPostgresClient(client);
    throw postgresOpenError(url, error);
  }
  return {
    kind: 'postgres',
    dialect: postgresDialect,
    tables,
    query: createHandle(client, {
      unsafe: (...parameters) => {
        scopes.assertOutside('a lone statement was started');
        return client.unsafe(...parameters);
      },
    }),
    async transaction(work) {
      scopes.assertOutside('a transaction was started');
      for (let attempt = 0; ; attempt += 1) {
        try {
          return await runOnce(client, scopes, work);
        } catch (error) {
          if (attempt >= maxRetries || !isRetryable(error)) throw error;
          options.logger.debug({ database: describePostgresUrl(url), attempt, err: error }, 'transaction runs again');
        }
      }
    },
    ping,
    [Symbol.asyncDispose]: () => endPostgresClient(client),
  };
}
