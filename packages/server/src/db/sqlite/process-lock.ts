import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import BetterSqlite3 from 'better-sqlite3';
import { delay, type Clock } from '../../platform/clock.ts';
import { errorCode } from '../statement-error.ts';
import { prepareDatabaseFile } from './files.ts';

export interface ProcessLockOptions {
  /** How long to wait for another process to let go of the file. */
  waitMilliseconds: number;
  clock: Clock;
  /** Of this process, for the message that another one gets. @default not told */
  processId?: number;
  /** Told once, in words, that another process holds the file and is waited for. */
  onWait?: (message: string) => void;
}

/** Milliseconds between two attempts. */
const retryInterval = 100;

/**
 * Makes this process the only server of a SQLite file, until it is disposed or the process ends, however it ends. What
 * holds the lock is the operating system: an exclusive SQLite lock on `<file>.lock`, which only servers ask for, so that
 * a shell or a backup can still open the database.
 *
 * @throws Error in words when another process still holds the file after the wait.
 */
export async function acquireProcessLock(
  file: string,
  { waitMilliseconds, clock, processId, onWait }: ProcessLockOptions,
): Promise<AsyncDisposable> {
  const path = prepareDatabaseFile(file);
  const lockFile = prepareDatabaseFile(`${path}.lock`);
  // Apart from the lock file: closing any descriptor of that one would drop its POSIX locks.
  const ownerFile = `${path}.lock.pid`;
  const deadline = clock.now() + waitMilliseconds;
  // The clock's timers keep no process alive, and at start nothing else may.
  const keepAlive = setInterval(() => {}, 2 ** 30);
  try {
    for (let waiting = false; ; waiting = true) {
      const connection = tryLock(lockFile);
      if (connection !== undefined) {
        // Also over the name that a killed process left behind.
        asCourtesy(() => writeFileSync(ownerFile, `${processId ?? ''}\n`, { mode: 0o600 }));
        return disposable(connection, ownerFile);
      }
      if (clock.now() >= deadline) throw new Error(heldMessage(path, ownerFile));
      if (!waiting) onWait?.(`waiting for another server${ownerOf(ownerFile)} to let go of ${path}`);
      await delay(clock, retryInterval);
    }
  } finally {
    clearInterval(keepAlive);
  }
}

function tryLock(lockFile: string): BetterSqlite3.Database | undefined {
  const connection = new BetterSqlite3(lockFile, { timeout: 0 });
  try {
    connection.pragma('locking_mode = EXCLUSIVE');
    // Nothing is ever written: no journal to leave behind.
    connection.pragma('journal_mode = MEMORY');
    connection.exec('begin exclusive');
    return connection;
  } catch (error) {
    connection.close();
    if (error instanceof Error && errorCode(error)?.startsWith('SQLITE_BUSY') === true) return undefined;
    throw new Error(`the lock file ${lockFile} cannot be locked`, { cause: error });
  }
}

/** A disk that is full is no reason not to serve, or not to end: the name is for messages alone. */
function asCourtesy(work: () => void): void {
  try {
    work();
  } catch {
    return;
  }
}

function disposable(connection: BetterSqlite3.Database, ownerFile: string): AsyncDisposable {
  return {
    async [Symbol.asyncDispose]() {
      if (!connection.open) return;
      // While the lock is still held, or the next owner's file would go.
      asCourtesy(() => rmSync(ownerFile, { force: true }));
      connection.close();
    },
  };
}

function heldMessage(path: string, ownerFile: string): string {
  return (
    `the database file ${path} is in use by another server${ownerOf(ownerFile)}. ` +
    'Only one server may use a SQLite file: stop the other one, or give this one another DATABASE_URL.'
  );
}

function ownerOf(ownerFile: string): string {
  try {
    const pid = readFileSync(ownerFile, 'utf8').trim();
    return /^\d+$/u.test(pid) ? ` (process ${pid})` : '';
  } catch {
    return '';
  }
}
