import type { SQL } from 'drizzle-orm';
import type { PgDatabase, PgQueryResultHKT } from 'drizzle-orm/pg-core';
import type { Logger } from '../platform/logger.ts';
import { parseDatabaseUrl } from './database-url.ts';
import { openPostgres } from './postgres/connect.ts';
import { openSqlite } from './sqlite/connect.ts';

/** The table objects, by their Postgres types; on SQLite they are the tables of `sqlite/schema.ts`. */
export type Tables = typeof import('./postgres/schema.ts');

/**
 * What queries are written against, on both databases. Only what both dialects of Drizzle share is used of it: no
 * `distinct on`, no `ilike`, no arrays, no `for()` (see {@link Dialect.forUpdate}), no `where` beside
 * `onConflictDoNothing` (Drizzle writes wrong SQL of it for SQLite; without a target it covers every unique index, the
 * partial ones too).
 *
 * The number of rows that a statement changed is read through `.returning()`: what an insert, update or delete resolves
 * to without it differs from driver to driver and is `unknown` here.
 *
 * A `Date`, boolean or object reaches the database only through a column (`eq(column, value)`, `values`, `set`,
 * `sql.param(value, column)`); put bare into an `sql` fragment SQLite refuses it. The same goes for the placeholders of a
 * prepared statement, which `eq` and its like leave bare: `sql.param(sql.placeholder('at'), column)`.
 */
export type Queryable = Pick<
  PgDatabase<PgQueryResultHKT>,
  'select' | 'selectDistinct' | 'insert' | 'update' | 'delete' | 'with' | '$with' | '$count'
>;

/**
 * The name of every statement that is prepared: none. What is kept is what Drizzle has built, which costs more than the
 * statement itself. Under a name Postgres would keep it as well, on each connection, with a plan for no values in
 * particular, and a pooler between would not know where.
 */
export const unnamed = '';

/** Stands before each field of `users.searchText` and nowhere else in it. The index of Postgres knows it by its number. */
export const fieldStart = '\u001f';

/** The part of a select that a row lock needs. */
export interface LockableQuery {
  for(strength: 'update'): unknown;
}

/** What the two databases say differently, under one name. */
export interface Dialect {
  /** The database's clock at the moment of the statement, in milliseconds as the time columns hold it. */
  now(): SQL<Date>;
  /** {@link Dialect.now} and `milliseconds` more (or less, when negative). */
  nowPlus(milliseconds: number): SQL<Date>;
  /**
   * Locks the rows that `query` selects until the transaction ends. On SQLite nothing is added: a transaction is the
   * only writer there from its first statement on.
   *
   * @example
   * const [row] = await dialect.forUpdate(tx.select().from(users).where(eq(users.id, id)));
   */
  forUpdate<Query extends LockableQuery>(query: Query): Query;
  /**
   * Whether `users.searchText`, or a part of it, is `part`: character by character, none of them with a meaning of its
   * own. Postgres has an index for parts of three characters and for those that begin with {@link fieldStart} and have
   * two; SQLite has one that it reads from end to end.
   */
  searchTextContains(part: string): SQL;
  /** Whether `error`, or what caused it, is the violation of a unique index or a primary key. */
  isUniqueViolation(error: unknown): boolean;
  /**
   * Whether `error`, or what caused it, means that the database cannot be reached or used at the moment (connection
   * refused or lost, closed, timed out, disk full), rather than that a statement is wrong.
   */
  isUnavailable(error: unknown): boolean;
}

/**
 * What came of {@link Database.eraseDeleted}: nothing deleted is left; or the log alone was emptied, and copies of deleted
 * rows may be left where SQLite has moved rows, since the file holds too much to be written anew while everybody waits,
 * or since the disk has no room for it at the moment; or nothing was done, since another process is reading.
 */
export type Erasure = 'erased' | 'too-large' | 'no-room' | 'being-read';

/** A database that is open. Disposing waits for the transactions that run, then closes every connection. */
export interface Database extends AsyncDisposable {
  readonly kind: 'sqlite' | 'postgres';
  readonly tables: Tables;
  readonly dialect: Dialect;
  /**
   * Statements that each stand alone. Refused while a transaction is open in the same asynchronous context: there its
   * own handle is the only one, on either database.
   */
  readonly query: Queryable;
  /**
   * Runs `work` in one transaction: committed when it resolves, rolled back when it rejects. Statements go through the
   * handle given and nothing else; the handle is refused once `work` has settled, and so is a nested transaction.
   *
   * SQLite: transactions and lone statements queue for the one connection, so nothing in `work` may wait for the network.
   * Postgres: READ COMMITTED; after a deadlock or a serialization failure `work` runs again, up to three more times, so
   * it may have no effect outside the database.
   */
  transaction<Result>(work: (transaction: Queryable) => Promise<Result>): Promise<Result>;
  /**
   * Takes the bytes of deleted rows out of the database's files. Postgres: nothing to do, its pages and its log follow a
   * rhythm of their own.
   */
  eraseDeleted(): Promise<Erasure>;
  /** Resolves when the database answers. */
  ping(): Promise<void>;
}

export interface OpenOptions {
  logger: Logger;
  /** Most connections to Postgres. @default 10 */
  maxConnections?: number;
}

/**
 * Opens the database that `url` names: `file:./path.db` (made where it does not exist, readable to its owner alone) or
 * `postgres://…`. It is not migrated here; see `migrate.ts`.
 *
 * @throws Error that says in words what is wrong, without the password.
 */
export async function openDatabase(url: string, options: OpenOptions): Promise<Database> {
  const location = parseDatabaseUrl(url);
  return location.kind === 'sqlite' ? openSqlite(location.file) : openPostgres(location.url, options);
}
