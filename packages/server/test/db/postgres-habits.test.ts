import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import postgres from 'postgres';
import { describe, expect, it } from 'vitest';
import { openDatabase } from '../../src/db/database.ts';
import { migrate } from '../../src/db/migrate.ts';
import { createTestDatabase, isAvailable, silentLogger } from '../support/databases.ts';
import { openRawSql } from '../support/raw-sql.ts';
import { userRow } from '../support/rows.ts';

const options = { logger: silentLogger };

/** A pooler at the address of `url`, as far as its servers' connections go: those outlive the clients that they served. */
interface Pooler extends AsyncDisposable {
  readonly url: string;
  /** Resolves once a client has left, whose connection to the server is kept. */
  readonly left: Promise<void>;
}

async function startPooler(url: string): Promise<Pooler> {
  const { hostname, port } = new URL(url);
  const { promise: left, resolve: leave } = Promise.withResolvers<void>();
  const sockets = new Set<Socket>();
  const server: Server = createServer((client) => {
    const upstream = connect({ host: hostname, port: Number(port === '' ? 5432 : port) });
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('error', () => {});
    }
    client.on('data', (data) => {
      // `Terminate` is for the pooler alone.
      if (!(data.length === 5 && data[0] === 0x58)) upstream.write(data);
    });
    client.on('close', () => leave());
    upstream.on('data', (data) => client.write(data));
    upstream.on('close', () => client.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = new URL(url);
  address.hostname = '127.0.0.1';
  address.port = String((server.address() as AddressInfo).port);
  return {
    url: address.href,
    left,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

/** Has every connection to the database from now on begin with a setting. */
async function configure(url: string, setting: string): Promise<void> {
  const client = postgres(url, { max: 1, onnotice: () => {} });
  try {
    const name = decodeURIComponent(new URL(url).pathname.slice(1));
    await client.unsafe(`alter database ${name} set ${setting}`);
  } finally {
    await client.end();
  }
}

describe.skipIf(!isAvailable('postgres'))('Postgres with habits of its own', () => {
  it.each([
    'datestyle to German',
    "datestyle to 'SQL, DMY'",
    "timezone to 'Asia/Kathmandu'",
    'intervalstyle to iso_8601',
  ])('has the same times with %s', async (setting) => {
    await using home = await createTestDatabase('postgres');
    await migrate(home.url, options);
    await configure(home.url, setting);
    await using database = await openDatabase(home.url, options);
    const { query, dialect, tables } = database;
    // Another day where day and month change places.
    const at = new Date('2026-05-01T03:04:05.678Z');
    await query.insert(tables.users).values({ ...userRow('user'), createdAt: at });
    const [row] = await query.select({ at: tables.users.createdAt, now: dialect.now() }).from(tables.users);
    expect(row?.at).toEqual(at);
    expect(row?.now.getTime()).not.toBeNaN();
  });

  it('is migrated through a pooler, which keeps the connections, without leaving anything locked', async () => {
    await using home = await createTestDatabase('postgres');
    await using pooler = await startPooler(home.url);
    await migrate(pooler.url, options);
    await pooler.left;
    await using raw = openRawSql(home.url);
    expect(
      await raw.number(
        `select count(*) from pg_locks where locktype = 'advisory'
          and database = (select oid from pg_database where datname = current_database())`,
      ),
    ).toBe(0);
    await using database = await openDatabase(home.url, options);
    expect(await database.query.$count(database.tables.users)).toBe(0);
  });
});
