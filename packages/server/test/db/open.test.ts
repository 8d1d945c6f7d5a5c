import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import postgres from 'postgres';
import { afterEach, beforeEach, describe, expect, inject, it } from 'vitest';
import { holdClosedPort } from '../../../shared/test/support/closed-port.ts';
import { openDatabase } from '../../src/db/database.ts';
import { parseDatabaseUrl } from '../../src/db/database-url.ts';
import { migrate } from '../../src/db/migrate.ts';
import { readConnectionOptions } from '../../src/db/postgres/connection-options.ts';
import { postgresDialect } from '../../src/db/postgres/dialect.ts';
import { createTestDatabase, isAvailable, silentLogger } from '../support/databases.ts';
import { userRow } from '../support/rows.ts';
import { eventually } from '../support/eventually.ts';

const options = { logger: silentLogger };

/** Ends every other connection to the database at `url`, as a restart of the server does. */
async function cutConnections(url: string): Promise<void> {
  const client = postgres(url, { max: 1 });
  await client`
    select pg_terminate_backend(pid) from pg_stat_activity
    where datname = current_database() and pid <> pg_backend_pid()`;
  await client.end();
}

describe('DATABASE_URL', () => {
  it('names a file or a Postgres server', () => {
    expect(parseDatabaseUrl('file:./data/chat.db')).toEqual({ kind: 'sqlite', file: resolve('data/chat.db') });
    expect(parseDatabaseUrl('file:/data/chat.db')).toEqual({ kind: 'sqlite', file: '/data/chat.db' });
    expect(parseDatabaseUrl('file:///data/a%20b.db')).toEqual({ kind: 'sqlite', file: '/data/a b.db' });
    const url = 'postgresql://u:p@h/d';
    expect(parseDatabaseUrl(url)).toEqual({ kind: 'postgres', url });
  });

  it.each(['mysql://u:geheim@h/d', 'file:', 'file::memory:', 'file:./x.db?mode=ro', 'postgres://u:geheim@h:x/d', ''])(
    'refuses %j without repeating it',
    (url) => {
      expect(() => parseDatabaseUrl(url)).toThrow(/^DATABASE_URL: (?!.*geheim)/u);
    },
  );
});

describe('TLS of Postgres', () => {
  const read = (query: string) => readConnectionOptions(`postgres://u:p@h/d${query}`);

  it('follows sslmode', () => {
    const unchecked = { rejectUnauthorized: false };
    expect(read('').tls).toEqual([false]);
    expect(read('?sslmode=disable').tls).toEqual([false]);
    expect(read('?sslmode=require').tls).toMatchObject([unchecked]);
    expect(read('?sslmode=prefer').tls).toMatchObject([unchecked, false]);
    expect(read('?sslmode=allow').tls).toMatchObject([false, unchecked]);
    expect(read('?sslmode=verify-full').tls).toEqual([{ rejectUnauthorized: true }]);
    expect(read('?sslmode=verify-ca').tls).toMatchObject([{ rejectUnauthorized: true }]);
    expect(read('?sslrootcert=system').tls).toEqual([{ rejectUnauthorized: true }]);
  });

  it('reads what is meant for the client, and leaves the rest', () => {
    const { url, connectTimeout, settings } = read('?sslmode=require&connect_timeout=3&options=-c%20a%3Db&other=x');
    expect({ url, connectTimeout, settings }).toEqual({
      url: 'postgres://u:p@h/d?other=x',
      connectTimeout: 3,
      settings: '-c jit=off -c a=b -c TimeZone=UTC -c DateStyle=ISO',
    });
  });

  it('refuses a mode that does not exist and a certificate that cannot be read', () => {
    expect(() => read('?sslmode=on')).toThrow('sslmode must be one of');
    expect(() => read('?sslmode=verify-full&sslrootcert=/missing.pem')).toThrow('/missing.pem cannot be read');
  });
});

describe('opening a SQLite file', () => {
  let directory: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'chat-service-open-'));
  });
  afterEach(() => rmSync(directory, { recursive: true, force: true }));

  it('makes directory and file, readable to their owner alone', async () => {
    const file = join(directory, 'a/b/chat.db');
    await migrate(`file:${file}`, options);
    await using database = await openDatabase(`file:${file}`, options);
    await database.ping();
    if (process.platform === 'win32') return;
    expect(statSync(join(directory, 'a')).mode & 0o777).toBe(0o700);
    for (const name of [file, `${file}-wal`]) expect(statSync(name).mode & 0o777).toBe(0o600);
  });

  it('says what is wrong', async () => {
    const notDatabase = join(directory, 'text');
    writeFileSync(notDatabase, 'this is not a database'.repeat(100));
    await expect(openDatabase(`file:${notDatabase}`, options)).rejects.toThrow('it is not a SQLite database');
    await expect(openDatabase(`file:${notDatabase}/chat.db`, options)).rejects.toThrow('is not a directory');
  });
});

describe('opening Postgres', () => {
  it('says that nobody listens, without the password', async () => {
    await using nobody = await holdClosedPort();
    const { port } = nobody;
    const url = `postgres://someone:geheim@127.0.0.1:${port}/chat`;
    for (const attempt of [openDatabase(url, options), migrate(url, options)]) {
      const error: unknown = await attempt.catch((thrown: unknown) => thrown);
      expect(String(error)).toBe(
        `Error: Postgres at 127.0.0.1:${port}/chat: connection refused; is it running, and are host and port right?`,
      );
      expect(postgresDialect.isUnavailable(error)).toBe(true);
    }
  });

  it.skipIf(!isAvailable('postgres'))('says that the database or the password is wrong', async () => {
    const url = new URL(inject('postgresUrl') ?? '');
    url.pathname = '/missing';
    await expect(openDatabase(url.href, options)).rejects.toThrow('there is no database of this name');
  });

  it.skipIf(!isAvailable('postgres'))('does without TLS where it is only preferred', async () => {
    const url = inject('postgresUrl') ?? '';
    await using database = await openDatabase(`${url}?sslmode=prefer`, options);
    await database.ping();
    if (process.env['TEST_DATABASE_URL'] !== undefined) return;
    await expect(openDatabase(`${url}?sslmode=require`, options)).rejects.toThrow('does not support SSL');
  });

  it.skipIf(!isAvailable('postgres'))('survives that its connections are cut, and calls it unavailable', async () => {
    await using home = await createTestDatabase('postgres');
    await migrate(home.url, options);
    await using database = await openDatabase(home.url, { ...options, maxConnections: 1 });
    const { users } = database.tables;
    const cut: unknown = await database
      .transaction(async (tx) => {
        await tx.select().from(users);
        await cutConnections(home.url);
        await tx.select().from(users);
      })
      .catch((error: unknown) => error);
    expect(database.dialect.isUnavailable(cut)).toBe(true);
    expect(await database.query.$count(users)).toBe(0);
  });

  it.skipIf(!isAvailable('postgres'))(
    'keeps transactions whole while connections are cut again and again',
    async () => {
      await using home = await createTestDatabase('postgres');
      await migrate(home.url, options);
      await using database = await openDatabase(home.url, { ...options, maxConnections: 3 });
      const { users } = database.tables;
      const committed = new Set<string>();
      const insertPair = (name: string) =>
        database.transaction(async (tx) => {
          await tx.insert(users).values(userRow(`${name}-1`));
          await new Promise((next) => setImmediate(next));
          await tx.insert(users).values(userRow(`${name}-2`));
        });
      for (let round = 0; round < 10; round += 1) {
        const names = Array.from({ length: 8 }, (_, index) => `${round}-${index}`);
        const pairs = names.map(async (name) => insertPair(name).then(() => committed.add(name)));
        const [cut, ...settled] = await Promise.allSettled([cutConnections(home.url), ...pairs]);
        expect(cut.status).toBe('fulfilled');
        for (const result of settled) {
          if (result.status === 'rejected') expect(database.dialect.isUnavailable(result.reason)).toBe(true);
        }
      }
      // The last cut may reach a connection only when it is used again.
      const rows = await eventually(() => database.query.select({ id: users.id }).from(users));
      const perPair = Map.groupBy(rows, ({ id }) => id.slice(0, -2));
      expect([...perPair.values()].filter((pair) => pair.length !== 2)).toEqual([]);
      // A commit whose answer was lost may be there all the same.
      expect([...committed].filter((name) => !perPair.has(name))).toEqual([]);
      expect(committed.size).toBeGreaterThan(0);
    },
  );
});
