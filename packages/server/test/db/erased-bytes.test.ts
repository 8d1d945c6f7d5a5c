import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { connectSqlite } from '../../src/db/sqlite/connect.ts';
import { SqliteGate } from '../../src/db/sqlite/gate.ts';
import { TransactionScopes } from '../../src/db/transaction-scope.ts';

let directory: string;
let file: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'chat-service-erased-'));
  file = join(directory, 'chat.db');
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

/**
 * The texts that stand anywhere in the files. Read by another process: to open and close the file in this one would let go
 * of the locks that SQLite has on it.
 */
function readTexts(): Set<string> {
  const paths = ['', '-wal'].map((suffix) => file + suffix).filter((path) => existsSync(path));
  const bytes = execFileSync('cat', paths, { maxBuffer: 1024 ** 3 }).toString('latin1');
  return new Set(bytes.match(/ROW-\d+-x*\./gu));
}

const textOf = (row: number) => `ROW-${row}-${'x'.repeat((row * 7919) % 120)}.`;

/** The same numbers in each run, evenly spread from 0 to 1. */
function createNumbers(): () => number {
  let state = 1;
  return () => {
    state = (state * 1_103_515_245 + 12_345) & 0x7f_ff_ff_ff;
    return state / 0x7f_ff_ff_ff;
  };
}

it('leaves no copy of deleted rows where SQLite has moved them between pages', async () => {
  const connection = connectSqlite(file);
  const gate = new SqliteGate(connection, new TransactionScopes());
  connection.exec('create table messages (id text primary key, content text not null)');
  const insert = connection.prepare("insert into messages values (?, '')");
  const fill = connection.prepare('update messages set content = ? where id = ?');
  const remove = connection.prepare('delete from messages where id = ?');
  const next = createNumbers();
  const rows = Array.from({ length: 8000 }, (_, row) => ({ row, id: String(next()), text: textOf(row) }));
  const [deleted, kept]: [typeof rows, typeof rows] = [[], []];
  connection.transaction(() => {
    // As answers are: begun empty and full later, with others between.
    for (const [index, { id }] of rows.entries()) {
      insert.run(id);
      const earlier = rows[index - 20];
      if (earlier !== undefined) fill.run(earlier.text, earlier.id);
    }
    for (const { id, text } of rows.slice(-20)) fill.run(text, id);
  })();
  connection.transaction(() => {
    for (const one of rows) {
      if (next() < 0.1) kept.push(one);
      else {
        remove.run(one.id);
        deleted.push(one);
      }
    }
  })();

  connection.pragma('wal_checkpoint(TRUNCATE)');
  const before = readTexts();
  // Overwriting what is deleted is not enough.
  expect(deleted.filter(({ text }) => before.has(text))).not.toEqual([]);
  expect(await gate.eraseDeleted()).toBe('erased');
  const after = readTexts();
  expect(deleted.filter(({ text }) => after.has(text))).toEqual([]);
  expect(kept.filter(({ text }) => !after.has(text))).toEqual([]);
  expect(connection.pragma('busy_timeout', { simple: true })).toBe(5000);
  await gate.close();
});
