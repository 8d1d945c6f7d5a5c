import { PgDialect, type PgPreparedQuery, type PreparedQueryConfig } from 'drizzle-orm/pg-core';
import { NodePgDatabase, NodePgSession } from 'drizzle-orm/node-postgres';
import type pg from 'pg';
import type { Database, OpenOptions, Queryable } from '../database.ts';
import { createRowMapper } from '../row-mapper.ts';
import { DatabaseClosedError, withoutParameters } from '../statement-error.ts';
import { TransactionScope, TransactionScopes } from '../transaction-scope.ts';
import { isRetryable, postgresDialect } from './dialect.ts';
import { endPool, openPool } from './pool.ts';
import * as tables from './schema.ts';

const defaultMaxConnections = 10;
/** How often a transaction runs again after a deadlock or a serialization failure. */
const maxRetries = 3;

type Session = NodePgSession<Record<string, never>, Record<string, never>>;

/** Sends one statement, in whichever of the driver's forms. */
type Send = (...parameters: unknown[]) => Promise<unknown>;

/** Session that keeps what users wrote out of error messages, and maps rows with what it has found out once. */
class QuietSession extends NodePgSession<Record<string, never>, Record<string, never>> {
  readonly #onError: ((error: unknown) => void) | undefined;

  constructor(client: pg.Pool, dialect: PgDialect, onError?: (error: unknown) => void) {
    super(client, dialect, undefined, {});
    this.#onError = onError;
  }

  override prepareQuery<Config extends PreparedQueryConfig>(
    ...[query, fields, name, inArrays, mapRows = fields && createRowMapper(fields), ...rest]: Parameters<
      Session['prepareQuery']
    >
  ): PgPreparedQuery<Config> {
    const prepared = super.prepareQuery<Config>(query, fields, name, inArrays, mapRows, ...rest);
    const execute = prepared.execute.bind(prepared);
    prepared.execute = async (values) => {
      try {
        return await execute(values);
      } catch (error) {
        const quiet = withoutParameters(error);
        this.#onError?.(quiet);
        throw quiet;
      }
    };
    return prepared;
  }
}

/** A handle whose every statement goes through `send`, in place of the only member of the pool that Drizzle calls. */
function createHandle(pool: pg.Pool, send: Send, onError?: (error: unknown) => void): Queryable {
  const guarded = new Proxy(pool, {
    get: (target, key): unknown => (key === 'query' ? send : Reflect.get(target, key)),
  });
  const dialect = new PgDialect();
  return new NodePgDatabase(dialect, new QuietSession(guarded, dialect, onError), undefined);
}

async function runOnce<Result>(
  pool: pg.Pool,
  scopes: TransactionScopes,
  work: (transaction: Queryable) => Promise<Result>,
): Promise<Result> {
  const client = await pool.connect();
  let usable = true;
  try {
    await client.query('begin isolation level read committed');
    const result = await runInside(client, pool, scopes, work);
    const { command } = await client.query('commit');
    // Postgres answers a commit so when a statement had failed, and calls it no error.
    if (command === 'ROLLBACK') throw new Error('the transaction was rolled back, since a statement in it failed');
    return result;
  } catch (error) {
    usable = await rollBack(client);
    throw error;
  } finally {
    client.release(!usable);
  }
}

async function runInside<Result>(
  client: pg.PoolClient,
  pool: pg.Pool,
  scopes: TransactionScopes,
  work: (transaction: Queryable) => Promise<Result>,
): Promise<Result> {
  const scope = new TransactionScope();
  // One after the other: statements that the work started together wait here, not in the driver.
  let last: Promise<unknown> = Promise.resolve();
  const send: Send = (...parameters) => {
    scope.assertUsable();
    const sent = last.then((): unknown => Reflect.apply(client.query, client, parameters));
    last = sent.catch(() => {});
    return sent;
  };
  const handle = createHandle(pool, send, (error) => scope.fail(error));
  try {
    const result = await scopes.run(scope, () => work(handle));
    scope.throwFailure();
    return result;
  } finally {
    // What the work started and did not wait for is part of the transaction as well.
    await last;
  }
}

/** False where the connection can no longer be used. */
async function rollBack(client: pg.PoolClient): Promise<boolean> {
  try {
    await client.query('rollback');
    return true;
  } catch {
    return false;
  }
}

export async function openPostgres(url: string, { logger, maxConnections }: OpenOptions): Promise<Database> {
  const pool = await openPool(url, { logger, maxConnections: maxConnections ?? defaultMaxConnections });
  const scopes = new TransactionScopes();
  const running = new Set<Promise<unknown>>();
  let closed = false;
  const run = async <Result>(work: () => Promise<Result>): Promise<Result> => {
    if (closed) throw new DatabaseClosedError('the database is closed');
    const result = work();
    running.add(result);
    try {
      return await result;
    } finally {
      running.delete(result);
    }
  };
  const runWithRetries = async <Result>(work: (transaction: Queryable) => Promise<Result>): Promise<Result> => {
    for (let attempt = 0; ; attempt += 1) {
      try {
        return await runOnce(pool, scopes, work);
      } catch (error) {
        if (attempt >= maxRetries || !isRetryable(error)) throw error;
        logger.debug({ attempt, err: error }, 'a transaction runs again');
      }
    }
  };
  return {
    kind: 'postgres',
    dialect: postgresDialect,
    tables,
    query: createHandle(pool, async (...parameters) => {
      scopes.assertOutside('a lone statement was started');
      return run(async (): Promise<unknown> => Reflect.apply(pool.query, pool, parameters));
    }),
    async transaction(work) {
      scopes.assertOutside('a transaction was started');
      return run(() => runWithRetries(work));
    },
    eraseDeleted: () => Promise.resolve('erased'),
    async ping() {
      await run(() => pool.query('select 1'));
    },
    async [Symbol.asyncDispose]() {
      if (closed) return;
      closed = true;
      await endPool(pool, running);
    },
  };
}
