import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { execFile } from 'node:child_process';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import type { Principal } from '../../src/clients/auth/principal.ts';
import { parseDatabaseUrl } from '../../src/db/database-url.ts';
import { openDatabase } from '../../src/db/database.ts';
import { migrate } from '../../src/db/migrate.ts';
import { migratePostgres } from '../../src/db/postgres/migrate.ts';
import { migrateSqlite } from '../../src/db/sqlite/migrate.ts';
import { searchTextOf } from '../../src/features/accounts/search-text.ts';
import { createUserOperations } from '../../src/features/accounts/user-operations.ts';
import {
  createTestDatabase,
  databaseKinds,
  isAvailable,
  silentLogger,
  type TestDatabase,
} from '../support/databases.ts';
import { userRow } from '../support/rows.ts';

const run = promisify(execFile);
const packageDirectory = fileURLToPath(new URL('../..', import.meta.url));
const migrateChild = fileURLToPath(new URL('../support/migrate-process.ts', import.meta.url));

for (const kind of databaseKinds) {
  describe.skipIf(!isAvailable(kind))(`migrations (${kind})`, () => {
    it('are applied once, and find nothing to do the second time', async () => {
      await using home = await createTestDatabase(kind);
      await migrate(home.url, { logger: silentLogger });
      await using database = await openDatabase(home.url, { logger: silentLogger });
      await database.query.insert(database.tables.users).values(userRow('a'));
      await migrate(home.url, { logger: silentLogger });
      expect(await database.query.$count(database.tables.users)).toBe(1);
    });

    it('both succeed when two processes migrate one empty database at once', async ({ signal }) => {
      await using home = await createTestDatabase(kind);
      const child = () =>
        run(process.execPath, ['--conditions=@chat-service/source', migrateChild, home.url], { signal });
      await Promise.all([child(), child()]);
      await using database = await openDatabase(home.url, { logger: silentLogger });
      expect(await database.query.$count(database.tables.users)).toBe(0);
    });

    it('bring what users were searched by before into the form of now', async () => {
      await using home = await createTestDatabase(kind);
      await migrateBefore(home, '0003_user_search_dots');
      const rows = [
        { ...userRow('0-İ'), username: 'İlkay Çiçek', searchText: '\u001fi\u0307lkay çiçek\u001f0-i\u0307' },
        { ...userRow('1'), username: 'ḃob', searchText: '\u001fḃob\u001f1' },
      ];
      {
        await using database = await openDatabase(home.url, { logger: silentLogger });
        await database.query.insert(database.tables.users).values(rows);
      }
      await migrate(home.url, { logger: silentLogger });
      await using database = await openDatabase(home.url, { logger: silentLogger });
      const { users } = database.tables;
      const stored = await database.query.select({ text: users.searchText }).from(users).orderBy(users.id);
      expect(stored.map(({ text }) => text)).toEqual(
        rows.map(({ id, username }) => searchTextOf(principalNamed(id, username))),
      );
      const { searchUsers } = createUserOperations(database);
      for (const query of ['ilkay', 'İLKAY', 'çiç', 'il']) {
        expect((await searchUsers({ query })).users.map(({ id }) => id)).toEqual(['0-İ']);
      }
    });
  });
}

/** The schema and the rows of a version that had neither this migration nor a later one. */
async function migrateBefore({ kind, url }: TestDatabase, tag: string): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'chat-service-migrations-'));
  try {
    cpSync(join(packageDirectory, 'migrations', kind), directory, { recursive: true });
    const file = join(directory, 'meta/_journal.json');
    const journal = JSON.parse(readFileSync(file, 'utf8')) as { entries: { tag: string }[] };
    const entries = journal.entries.filter((entry) => entry.tag < tag);
    writeFileSync(file, JSON.stringify({ ...journal, entries }));
    const location = parseDatabaseUrl(url);
    if (location.kind === 'sqlite') await migrateSqlite(location.file, directory);
    else await migratePostgres(location.url, { migrationsFolder: directory, logger: silentLogger });
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

function principalNamed(userId: string, username: string): Principal {
  return { userId, username, email: null, role: 'enduser', plan: 'free', issuedAt: 1, expiresAt: 2 };
}

it.skipIf(!isAvailable('postgres'))('several connections migrate one empty Postgres at once', async () => {
  await using home = await createTestDatabase('postgres');
  await Promise.all(Array.from({ length: 5 }, () => migrate(home.url, { logger: silentLogger })));
  await using database = await openDatabase(home.url, { logger: silentLogger });
  expect(await database.query.$count(database.tables.users)).toBe(0);
});

describe('generated migrations', () => {
  it.for(databaseKinds)('equal the schema (%s)', async (kind, { signal }) => {
    // drizzle-kit takes the schema and the output relative to where it runs, and writes what is missing.
    const directory = mkdtempSync(join(tmpdir(), 'chat-service-drizzle-'));
    try {
      cpSync(join(packageDirectory, 'migrations', kind), directory, { recursive: true });
      const journal = () => readFileSync(join(directory, 'meta/_journal.json'), 'utf8');
      const before = journal();
      const bin = join(dirname(createRequire(import.meta.url).resolve('drizzle-kit')), 'bin.cjs');
      const { stdout } = await run(
        process.execPath,
        [
          bin,
          'generate',
          `--dialect=${kind === 'sqlite' ? 'sqlite' : 'postgresql'}`,
          `--schema=src/db/${kind}/schema.ts`,
          `--out=${relative(packageDirectory, directory)}`,
        ],
        { cwd: packageDirectory, signal },
      );
      expect(stdout).toContain('No schema changes');
      expect(journal()).toBe(before);
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  });
});
