import { closeSync, existsSync, mkdirSync, openSync, realpathSync } from 'node:fs';
import { dirname } from 'node:path';
import { errorCode } from '../statement-error.ts';

/**
 * Makes the database file and its directories where they do not exist, readable to their owner alone, and returns the
 * file's one true path: two names of one file must not become two locks.
 *
 * @throws Error in words when it cannot be made.
 */
export function prepareDatabaseFile(file: string): string {
  try {
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
    if (!existsSync(file)) closeSync(openSync(file, 'a', 0o600));
    return realpathSync(file);
  } catch (error) {
    throw new Error(`the database file ${file} cannot be made: ${reason(error)}`, { cause: error });
  }
}

function reason(error: unknown): string {
  const code = error instanceof Error ? errorCode(error) : undefined;
  if (code === 'EACCES' || code === 'EPERM') return 'permission denied';
  if (code === 'EROFS') return 'the file system is read-only';
  if (code === 'ENOTDIR' || code === 'EEXIST') return 'a part of its path is not a directory';
  if (code === 'ENOSPC') return 'the disk is full';
  return code ?? 'unknown reason';
}
