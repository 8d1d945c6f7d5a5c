import { errorCode, someCause } from '../statement-error.ts';

/** By the first two parts of a result code: `SQLITE_IOERR_READ` is `SQLITE_IOERR`. */
const problems = new Map([
  ['SQLITE_BUSY', 'another process is using it'],
  ['SQLITE_CANTOPEN', 'it, or the log beside it, cannot be opened; may its directory be written to?'],
  ['SQLITE_CORRUPT', 'it is damaged; put a backup in its place'],
  ['SQLITE_FULL', 'the disk is full'],
  ['SQLITE_IOERR', 'the disk cannot be read or written; is it full, or failing?'],
  ['SQLITE_NOTADB', 'it is not a SQLite database'],
  ['SQLITE_READONLY', 'it may not be written to'],
]);

/** What is wrong with a database file, in words and with SQLite's code; undefined where SQLite did not blame the file. */
export function fileProblem(error: unknown): string | undefined {
  let found: string | undefined;
  someCause(error, (cause) => {
    const code = errorCode(cause) ?? '';
    const words = problems.get(code.split('_').slice(0, 2).join('_'));
    if (words !== undefined) found = `${words} (${code})`;
    return words !== undefined;
  });
  return found;
}
