import BetterSqlite3 from 'better-sqlite3';
import {
  SqliteRemoteDatabase,
  SQLiteRemoteSession,
  type PreparedQueryConfig,
  type RemoteCallback,
  type RemotePreparedQuery,
} from 'drizzle-orm/sqlite-proxy';
import { SQLiteAsyncDialect } from 'drizzle-orm/sqlite-core';
import type { Database, Queryable, Tables } from '../database.ts';
import { createRowMapper } from '../row-mapper.ts';
import { errorCode, withoutParameters } from '../statement-error.ts';
import { TransactionScopes } from '../transaction-scope.ts';
import { sqliteDialect } from './dialect.ts';
import { fileProblem } from './file-problem.ts';
import { prepareDatabaseFile } from './files.ts';
import { SqliteGate } from './gate.ts';
import * as schema from './schema.ts';

/** Milliseconds that a statement waits for another process (a backup, a shell) to let go of the file. */
const busyTimeout = 5_000;

type Session = SQLiteRemoteSession<Record<string, never>, Record<string, never>>;

/** Session that keeps what users wrote out of error messages, and maps rows with what it has found out once. */
class QuietSession extends SQLiteRemoteSession<Record<string, never>, Record<string, never>> {
  override prepareQuery<Config extends PreparedQueryConfig>(
    ...parameters: Parameters<Session['prepareQuery']>
  ): RemotePreparedQuery<Config> {
    const query = super.prepareQuery<Config>(...parameters);
    const [, fields] = parameters;
    const mapRows = fields && createRowMapper(fields);
    if (mapRows !== undefined) query.mapAllResult = (rows) => mapRows(rows as unknown[][]);
    // Builders call these four, never `execute`.
    query.run = quietly(query.run.bind(query));
    query.all = quietly(query.all.bind(query));
    query.get = quietly(query.get.bind(query));
    query.values = quietly(query.values.bind(query)) as typeof query.values;
    return query;
  }
}

function quietly<Parameters extends unknown[], Result>(execute: (...parameters: Parameters) => Promise<Result>) {
  return async (...parameters: Parameters): Promise<Result> => {
    try {
      return await execute(...parameters);
    } catch (error) {
      throw withoutParameters(error);
    }
  };
}

export type SqliteHandle = SqliteRemoteDatabase<Record<string, never>>;

export function createSqliteHandle(execute: RemoteCallback): SqliteHandle {
  const dialect = new SQLiteAsyncDialect();
  return new SqliteRemoteDatabase('async', dialect, new QuietSession(execute, dialect, undefined), undefined);
}

/**
 * The one place where SQLite passes for Postgres. What keeps it true: queries use what both dialects of Drizzle share
 * (see `Queryable`), both schemas have equal keys and types, and every store is tested on both databases.
 */
function asPostgres(parts: { query: unknown; tables: unknown }): { query: Queryable; tables: Tables } {
  return parts as { query: Queryable; tables: Tables };
}

/** @throws Error in words when the file cannot be opened as a database. */
export function connectSqlite(file: string): BetterSqlite3.Database {
  const path = prepareDatabaseFile(file);
  let connection: BetterSqlite3.Database | undefined;
  try {
    connection = new BetterSqlite3(path, { timeout: busyTimeout });
    connection.pragma('journal_mode = WAL');
    // In WAL mode a power cut may lose the last commits, never the database; a killed process loses nothing.
    connection.pragma('synchronous = NORMAL');
    connection.pragma('foreign_keys = ON');
    // Deleted text is overwritten, not just unlinked.
    connection.pragma('secure_delete = ON');
    return connection;
  } catch (error) {
    connection?.close();
    const code = error instanceof Error ? errorCode(error) : undefined;
    const problem = fileProblem(error) ?? code ?? 'unknown reason';
    throw new Error(`the database file ${path} cannot be opened: ${problem}`, { cause: error });
  }
}

export function openSqlite(file: string): Database {
  const connection = connectSqlite(file);
  const gate = new SqliteGate(connection, new TransactionScopes());
  const lone = createSqliteHandle((sql, parameters, method) => gate.execute(sql, parameters, method));
  const { query, tables } = asPostgres({ query: lone, tables: schema });
  return {
    kind: 'sqlite',
    dialect: sqliteDialect,
    query,
    tables,
    transaction: (work) =>
      gate.transaction((execute) => {
        const handle = createSqliteHandle(async (sql, parameters, method) => execute(sql, parameters, method));
        return work(asPostgres({ query: handle, tables }).query);
      }),
    eraseDeleted: () => gate.eraseDeleted(),
    async ping() {
      await gate.execute('select 1 from sqlite_schema limit 1', [], 'get');
    },
    [Symbol.asyncDispose]: () => gate.close(),
  };
}
