import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import BetterSqlite3 from 'better-sqlite3';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { connectSqlite } from '../../src/db/sqlite/connect.ts';
import { SqliteGate, type GateOptions } from '../../src/db/sqlite/gate.ts';
import { TransactionScopes } from '../../src/db/transaction-scope.ts';

const eraseChild = fileURLToPath(new URL('../support/erase-process.ts', import.meta.url));
const mebibyte = 1024 * 1024;

let directory: string;
let file: string;
let connection: BetterSqlite3.Database;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'chat-service-erase-'));
  file = join(directory, 'chat.db');
  connection = connectSqlite(file);
  connection.exec('create table messages (id integer primary key, content blob not null)');
});
afterEach(() => {
  connection.close();
  rmSync(directory, { recursive: true, force: true });
});

const createGate = (options?: GateOptions) => new SqliteGate(connection, new TransactionScopes(), options);

/** Adds rows of a mebibyte, and has them in the file. */
function fill(mebibytes: number): void {
  const insert = connection.prepare(`insert into messages (content) values (randomblob(${mebibyte}))`);
  for (let row = 0; row < mebibytes; row += 1) insert.run();
  connection.pragma('wal_checkpoint(TRUNCATE)');
}

const sizeOf = (path: string) => statSync(path).size / mebibyte;

describe('a file that has become large', () => {
  it('is written anew once it holds little', async () => {
    fill(70);
    connection.exec('delete from messages where id > 2');
    expect(sizeOf(file)).toBeGreaterThan(70);
    expect(await createGate().eraseDeleted()).toBe('erased');
    expect(sizeOf(file)).toBeLessThan(3);
    expect(connection.prepare('select count(*) from messages').pluck().get()).toBe(2);
  });

  it('is left as it is while it holds much, but for its log', async () => {
    fill(70);
    connection.exec('delete from messages where id > 66');
    expect(await createGate().eraseDeleted()).toBe('too-large');
    expect(sizeOf(file)).toBeGreaterThan(70);
    expect(sizeOf(`${file}-wal`)).toBe(0);
  });
});

describe('a disk that is nearly full', () => {
  it('is not filled: as much stays free as is written', async () => {
    fill(4);
    connection.exec('delete from messages where id > 3');
    let free = 5 * mebibyte;
    const gate = createGate({ freeBytes: () => free });
    expect(await gate.eraseDeleted()).toBe('no-room');
    expect([sizeOf(file) > 4, sizeOf(`${file}-wal`)]).toEqual([true, 0]);
    free = 7 * mebibyte;
    expect(await gate.eraseDeleted()).toBe('erased');
    expect(sizeOf(file)).toBeLessThan(4);
  });
});

/** What the child process says, started by a shell that has set limits first. */
function eraseInChild(limits: string, ...args: string[]): Promise<string> {
  const script = `${limits}; exec "$@"`;
  const command = [process.execPath, '--conditions=@chat-service/source', eraseChild, file, ...args];
  return new Promise((resolve) => {
    // It ends by a signal in any case: what it said is what counts.
    execFile('sh', ['-c', script, 'sh', ...command], (_, stdout, stderr) => resolve(`${stdout}${stderr}`.trim()));
  });
}

describe.skipIf(process.platform === 'win32')('another process', () => {
  it('gives back what it has written where the disk becomes full meanwhile', async () => {
    fill(16);
    connection.exec('delete from messages where id > 12');
    // Blocks of 512 bytes: the log can have 4 MiB.
    expect(await eraseInChild("trap '' XFSZ; ulimit -f 8192")).toMatch(/^SQLITE_(?:FULL|IOERR)/u);
    expect(sizeOf(`${file}-wal`)).toBe(0);
    expect(connection.pragma('integrity_check', { simple: true })).toBe('ok');
    expect(await createGate().eraseDeleted()).toBe('erased');
    expect(sizeOf(file)).toBeLessThan(13);
  });

  it('needs no file beside the database, whose disk may be the only one that it may write to', async () => {
    // More than SQLite keeps in memory of any file by itself.
    fill(40);
    connection.exec('delete from messages where id > 36');
    expect(await eraseInChild('ulimit -n 200', 'no-files')).toBe('erased');
    expect(sizeOf(file)).toBeLessThan(37);
  });
});

describe('somebody who reads', () => {
  let reader: BetterSqlite3.Database;
  const read = () => {
    reader.exec('begin');
    reader.prepare('select count(*) from messages').get();
  };
  beforeEach(() => {
    fill(1);
    reader = new BetterSqlite3(file, { readonly: true });
    connection.exec('delete from messages');
  });
  afterEach(() => reader.close());

  it('is waited for, if that does not take long, and one who comes meanwhile as well', async () => {
    read();
    const waits: string[] = [];
    const gate = createGate({
      async waitForReaders() {
        waits.push(connection.prepare('select 1').pluck().get() === 1 ? 'waited' : '');
        reader.exec('commit');
        if (waits.length === 1) read();
      },
    });
    expect(await gate.eraseDeleted()).toBe('erased');
    expect(waits.length).toBeGreaterThan(0);
    expect(sizeOf(file)).toBeLessThan(1);
  });

  it('is not waited for in vain, and holds nobody up for long', async () => {
    read();
    let waits = 0;
    const gate = createGate({
      waitForReaders() {
        waits += 1;
        return Promise.resolve();
      },
    });
    const erasing = gate.eraseDeleted();
    const written = gate.execute('insert into messages (content) values (?)', ['later'], 'run');
    expect(await erasing).toBe('being-read');
    await written;
    expect(waits).toBeLessThanOrEqual(20);
    reader.exec('commit');
    expect(await gate.eraseDeleted()).toBe('erased');
    expect(connection.pragma('busy_timeout', { simple: true })).toBe(5000);
  });
});
