import { setTimeout as wait } from 'node:timers/promises';
import type { Database as Connection, Statement } from 'better-sqlite3';
import { LRUCache } from 'lru-cache';
import type { Erasure } from '../database.ts';
import { DatabaseClosedError, errorCode } from '../statement-error.ts';
import { TransactionScope, type TransactionScopes } from '../transaction-scope.ts';
import { freeBytesAt } from './files.ts';

/** How Drizzle wants the rows: none, all, or the first. */
export type Method = 'run' | 'all' | 'values' | 'get';

/** Rows are arrays of column values. */
export type Execute = (sql: string, parameters: unknown[], method: Method) => { rows: unknown[] };

/** Enough for every statement of the service; those of varying length (`in (?, ?, …)`) push each other out. */
const maxPreparedStatements = 500;
/** More takes the process longer than a third of a second to write anew, in which it does nothing else. */
const longestRewriteBytes = 64 * 1024 * 1024;
/** Looks for the end of what others read, before it is tried again later. */
const readerTries = 10;
/** Milliseconds between two of them. Meanwhile every statement waits. */
const readerWaitMs = 10;

export interface GateOptions {
  /** Of the disk that the database is on. @default as the file system tells */
  readonly freeBytes?: () => number;
  /** Lets others go on reading for a moment. */
  readonly waitForReaders?: () => Promise<unknown>;
}

/**
 * The one way to a SQLite connection. There is a single connection and no driver below knows who asks, so a statement
 * that arrived between BEGIN and COMMIT of somebody else would become part of that transaction. Therefore everything
 * stands in one queue: a lone statement is one turn, a transaction is one turn from BEGIN to COMMIT.
 */
export class SqliteGate {
  readonly #connection: Connection;
  readonly #scopes: TransactionScopes;
  readonly #statements = new LRUCache<string, Statement<unknown[], unknown>>({ max: maxPreparedStatements });
  #lastTurn: Promise<unknown> = Promise.resolve();
  readonly #freeBytes: () => number;
  readonly #waitForReaders: () => Promise<unknown>;
  #closed = false;

  constructor(connection: Connection, scopes: TransactionScopes, options: GateOptions = {}) {
    this.#connection = connection;
    this.#scopes = scopes;
    this.#freeBytes = options.freeBytes ?? (() => freeBytesAt(connection.name));
    this.#waitForReaders = options.waitForReaders ?? (() => wait(readerWaitMs));
  }

  /** Runs a lone statement when its turn comes. */
  async execute(sql: string, parameters: unknown[], method: Method): Promise<{ rows: unknown[] }> {
    this.#scopes.assertOutside('a lone statement was started');
    return this.#turn(() => this.#executeNow(sql, parameters, method));
  }

  /** Runs `work` between BEGIN IMMEDIATE and COMMIT when its turn comes. */
  async transaction<Result>(work: (execute: Execute) => Promise<Result>): Promise<Result> {
    this.#scopes.assertOutside('a transaction was started');
    return this.#turn(async () => {
      // IMMEDIATE takes the write lock now; a later upgrade could fail with SQLITE_BUSY in the middle.
      this.#connection.exec('begin immediate');
      try {
        const scope = new TransactionScope();
        const result = await this.#scopes.run(scope, () => work(this.#executeIn(scope)));
        scope.throwFailure();
        this.#connection.exec('commit');
        return result;
      } catch (error) {
        // Some errors (disk full) have rolled back already.
        if (this.#connection.inTransaction) this.#connection.exec('rollback');
        throw error;
      }
    });
  }

  /**
   * Takes what was deleted out of the files. Deleted cells are overwritten, but rows that SQLite has moved between pages
   * leave copies behind: only writing the file anew is rid of them. Old pages stay in the write-ahead log until that is
   * emptied.
   */
  async eraseDeleted(): Promise<Erasure> {
    this.#scopes.assertOutside('what was deleted was to be erased');
    return this.#turn(async () => {
      const patience = this.#readNumber('busy_timeout');
      // SQLite's way of waiting for others would stop the whole process.
      this.#connection.pragma('busy_timeout = 0');
      try {
        // While somebody reads, a file written anew would only pile up in the log.
        if (!(await this.#emptyLog())) return 'being-read';
        const pages = this.#readNumber('page_count') - this.#readNumber('freelist_count');
        const bytes = pages * this.#readNumber('page_size');
        if (bytes > longestRewriteBytes) return 'too-large';
        // The log takes as much as the file will have; who else writes to this disk keeps as much.
        if (this.#freeBytes() < 2 * bytes) return 'no-room';
        this.#writeAnew();
        return (await this.#emptyLog()) ? 'erased' : 'being-read';
      } catch (error) {
        if (error instanceof Error && errorCode(error)?.startsWith('SQLITE_BUSY') === true) return 'being-read';
        throw error;
      } finally {
        this.#connection.pragma(`busy_timeout = ${patience}`);
      }
    });
  }

  /**
   * False where others read for longer than is waited. Who begins to read meanwhile is in nobody's way: everything being in
   * the file already, they do without the log, as long as nobody writes.
   */
  async #emptyLog(): Promise<boolean> {
    for (let tries = 1; ; tries += 1) {
      if (this.#readNumber('wal_checkpoint(TRUNCATE)') === 0) return true;
      if (tries === readerTries) return false;
      await this.#waitForReaders();
    }
  }

  #writeAnew(): void {
    // Not in a file of its own, as SQLite does: where those are made there may be no room, or no right to write.
    this.#connection.pragma('temp_store = memory');
    try {
      this.#connection.exec('vacuum');
    } catch (error) {
      // It failed for want of room, most likely: what it had written until then would keep filling the disk.
      this.#connection.pragma('wal_checkpoint(TRUNCATE)');
      throw error;
    }
  }

  /** Of the first row that a pragma answers with, the first column. */
  #readNumber(pragma: string): number {
    return Number(this.#connection.pragma(pragma, { simple: true }));
  }

  /** Lets everything that stands in the queue end, then closes the connection. */
  async close(): Promise<void> {
    if (this.#closed) return;
    const lastTurn = this.#lastTurn;
    this.#closed = true;
    await lastTurn;
    this.#statements.clear();
    this.#connection.close();
  }

  #turn<Result>(work: () => Result | Promise<Result>): Promise<Result> {
    if (this.#closed) throw new DatabaseClosedError('the database is closed');
    const turn = this.#lastTurn.then(work);
    this.#lastTurn = turn.catch(() => {});
    return turn;
  }

  #executeIn(scope: TransactionScope): Execute {
    return (sql, parameters, method) => {
      scope.assertUsable();
      try {
        return this.#executeNow(sql, parameters, method);
      } catch (error) {
        scope.fail(error);
        throw error;
      }
    };
  }

  #executeNow(sql: string, parameters: unknown[], method: Method): { rows: unknown[] } {
    const statement = this.#prepare(sql);
    if (!statement.reader) {
      statement.run(...parameters);
      return { rows: [] };
    }
    statement.raw(true);
    // Drizzle's proxy takes the row itself for `get`, whatever its type says.
    if (method === 'get') return { rows: statement.get(...parameters) as unknown[] };
    return { rows: statement.all(...parameters) };
  }

  #prepare(sql: string): Statement<unknown[], unknown> {
    const known = this.#statements.get(sql);
    if (known !== undefined) return known;
    const statement = this.#connection.prepare<unknown[], unknown>(sql);
    this.#statements.set(sql, statement);
    return statement;
  }
}
