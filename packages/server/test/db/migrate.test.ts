import { cpSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { execFile } from 'node:child_process';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { openDatabase } from '../../src/db/database.ts';
import { migrate } from '../../src/db/migrate.ts';
import { createTestDatabase, databaseKinds, isAvailable, silentLogger } from '../support/databases.ts';
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
  });
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
