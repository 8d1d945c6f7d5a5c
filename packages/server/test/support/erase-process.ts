import { openSync } from 'node:fs';
import { connectSqlite } from '../../src/db/sqlite/connect.ts';
import { SqliteGate } from '../../src/db/sqlite/gate.ts';
import { TransactionScopes } from '../../src/db/transaction-scope.ts';

/*
 * A process of its own that erases what was deleted from the SQLite file named by its first argument, and tells what
 * came of it: the outcome, or the code of the error. With `no-files` it can open no further file by then. It ends
 * without closing the database, as a process does that is killed.
 */
const [file = '', state] = process.argv.slice(2);
const connection = connectSqlite(file);
const gate = new SqliteGate(connection, new TransactionScopes());
connection.exec('select count(*) from sqlite_schema');

/** Takes every descriptor that this process may have. */
function openAll(): void {
  try {
    for (;;) openSync('/dev/null', 'r');
  } catch {
    return;
  }
}

// Loads what the last lines need while files can still be read.
process.stdout.write('');
if (state === 'no-files') openAll();
const outcome = await gate
  .eraseDeleted()
  .catch((error: unknown) => (error instanceof Error && 'code' in error ? error.code : error));
process.stdout.write(`${String(outcome)}\n`, () => process.kill(process.pid, 'SIGKILL'));
