import {
  chmodSync,
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  rmSync,
  statSync,
  truncateSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import BetterSqlite3 from 'better-sqlite3';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openDatabase } from '../../src/db/database.ts';
import { migrate } from '../../src/db/migrate.ts';
import { assertWritable } from '../../src/db/sqlite/files.ts';
import { acquireProcessLock } from '../../src/db/sqlite/process-lock.ts';
import { systemClock } from '../../src/platform/clock.ts';
import { silentLogger } from '../support/databases.ts';

const options = { logger: silentLogger };
const pageBytes = 4096;
/** Nothing is refused to root, so that the refusal itself has to be played. */
const isRoot = process.getuid?.() === 0;
const refuse = () => {
  throw Object.assign(new Error('permission denied'), { code: 'EACCES' });
};

let directory: string;
let file: string;
beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'chat-service-faults-'));
  file = join(directory, 'chat.db');
  await migrate(`file:${file}`, options);
  const connection = new BetterSqlite3(file);
  const insert = connection.prepare("insert into service_keys values (?, 'value', 0)");
  for (let row = 0; row < 2000; row += 1) insert.run(`key ${row}`);
  connection.close();
});
afterEach(() => {
  chmodSync(file, 0o600);
  rmSync(directory, { recursive: true, force: true });
});

/** Writes nonsense over `pages` of the file, counted from 0. */
function damage(first: number, pages: number): void {
  const descriptor = openSync(file, 'r+');
  writeSync(descriptor, Buffer.alloc(pages * pageBytes, 0x5a), 0, pages * pageBytes, first * pageBytes);
  closeSync(descriptor);
}

/** What an operator is told who starts the service. */
async function complaint(): Promise<string> {
  return migrate(`file:${file}`, options).then(
    () => 'none',
    (error: unknown) => (error instanceof Error ? error.message : String(error)),
  );
}

const damaged = 'it is damaged; put a backup in its place (SQLITE_CORRUPT)';

describe('a SQLite file that cannot be used is told in words', () => {
  it('where its end is missing', async () => {
    truncateSync(file, 10 * pageBytes);
    expect(await complaint()).toBe(`the database file ${file} cannot be opened: ${damaged}`);
  });

  it('where its tables are damaged', async () => {
    damage(1, statSync(file).size / pageBytes - 1);
    expect(await complaint()).toContain(damaged);
  });

  it('where it is a directory', async () => {
    rmSync(file);
    mkdirSync(file);
    expect(await complaint()).toBe(`the database file ${file} cannot be made: it is a directory`);
  });

  it('where it may only be read', () => {
    chmodSync(file, 0o400);
    expect(() => assertWritable(file, isRoot ? refuse : undefined)).toThrow(
      `the database file ${file} cannot be written to: permission denied`,
    );
  });
});

describe('what may be missing', () => {
  it('is the file with the name of the owner: the lock holds without', async () => {
    // Nothing can be written there.
    mkdirSync(`${file}.lock.pid`);
    const take = () => acquireProcessLock(file, { waitMilliseconds: 0, clock: systemClock, processId: 1 });
    {
      await using lock = await take();
      expect(lock).toBeDefined();
      await expect(take()).rejects.toThrow('in use by another server.');
    }
    await using again = await take();
    expect(again).toBeDefined();
    await using database = await openDatabase(`file:${file}`, options);
    await database.ping();
  });
});
