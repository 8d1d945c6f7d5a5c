import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import postgres from 'postgres';
import { afterAll, beforeAll, describe, inject } from 'vitest';
import { openDatabase, type Database } from '../../src/db/database.ts';
import { migrate } from '../../src/db/migrate.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** A server on which databases may be created; null where there is none, and its suites are skipped. */
    postgresUrl: string | null;
  }
}

export type DatabaseKind = Database['kind'];

export const databaseKinds: readonly DatabaseKind[] = ['sqlite', 'postgres'];

export const silentLogger = pino({ level: 'silent' });

/** Whether this run has a server for `kind`. */
export function isAvailable(kind: DatabaseKind): boolean {
  return kind === 'sqlite' || inject('postgresUrl') !== null;
}

/** An empty database of its own, not yet migrated; disposing removes it, whoever is still connected. */
export interface TestDatabase extends AsyncDisposable {
  readonly kind: DatabaseKind;
  /** For `DATABASE_URL`. */
  readonly url: string;
}

export async function createTestDatabase(kind: DatabaseKind): Promise<TestDatabase> {
  return kind === 'sqlite' ? createSqliteFile() : createPostgresDatabase();
}

function createSqliteFile(): TestDatabase {
  const directory = mkdtempSync(join(tmpdir(), 'chat-service-sqlite-'));
  return {
    kind: 'sqlite',
    url: `file:${join(directory, 'chat.db')}`,
    async [Symbol.asyncDispose]() {
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

async function createPostgresDatabase(): Promise<TestDatabase> {
  const server = inject('postgresUrl');
  if (server === null) throw new Error('this run has no Postgres: the suite should have been skipped');
  const name = `chat_service_test_${randomBytes(8).toString('hex')}`;
  await administer(server, `create database ${name}`);
  const url = new URL(server);
  url.pathname = `/${name}`;
  return {
    kind: 'postgres',
    url: url.href,
    [Symbol.asyncDispose]: () => administer(server, `drop database if exists ${name} with (force)`),
  };
}

async function administer(url: string, statement: string): Promise<void> {
  const client = postgres(url, { max: 1, onnotice: () => {} });
  try {
    await client.unsafe(statement);
  } finally {
    await client.end({ timeout: 5 });
  }
}

/** The database of one suite, migrated; usable inside hooks and tests. */
export interface DatabaseFixture {
  readonly kind: DatabaseKind;
  readonly url: string;
  /** One handle for the whole suite. */
  readonly database: Database;
  /**
   * A further handle, as another instance of the service has it; the caller disposes it. Not to be used on SQLite while
   * a transaction of another handle is open: one process would wait for itself.
   */
  open(options?: { maxConnections?: number }): Promise<Database>;
  /** Deletes every row. */
  clear(): Promise<void>;
}

/**
 * Runs `suite` once on SQLite and once on Postgres, each time on a new database that is removed afterwards.
 *
 * @example
 * describeEachDatabase('session store', (fixture) => {
 *   beforeEach(() => fixture.clear());
 *   it('…', async () => { const { query, tables } = fixture.database; … });
 * });
 */
export function describeEachDatabase(name: string, suite: (fixture: DatabaseFixture) => void): void {
  for (const kind of databaseKinds) {
    describe.skipIf(!isAvailable(kind))(`${name} (${kind})`, () => {
      let state: { home: TestDatabase; database: Database } | undefined;
      const current = () => {
        if (state === undefined) throw new Error('the database is there in hooks and tests only');
        return state;
      };
      beforeAll(async () => {
        const home = await createTestDatabase(kind);
        try {
          await migrate(home.url, { logger: silentLogger });
          state = { home, database: await openDatabase(home.url, { logger: silentLogger }) };
        } catch (error) {
          await home[Symbol.asyncDispose]();
          throw error;
        }
      });
      afterAll(async () => {
        await state?.database[Symbol.asyncDispose]();
        await state?.home[Symbol.asyncDispose]();
      });
      suite({
        kind,
        get url() {
          return current().home.url;
        },
        get database() {
          return current().database;
        },
        open: (options = {}) => openDatabase(current().home.url, { logger: silentLogger, ...options }),
        clear: () => clearDatabase(current().database),
      });
    });
  }
}

/** Deletes every row of `database`. */
export async function clearDatabase({ transaction, tables }: Database): Promise<void> {
  await transaction(async (tx) => {
    await tx.delete(tables.idempotencyKeys);
    await tx.delete(tables.generationSegments);
    await tx.delete(tables.generations);
    await tx.delete(tables.messages);
    await tx.delete(tables.sessions);
    await tx.delete(tables.users);
    await tx.delete(tables.serviceKeys);
  });
}
