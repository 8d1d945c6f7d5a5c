import {
  accessSync,
  closeSync,
  constants,
  existsSync,
  mkdirSync,
  openSync,
  realpathSync,
  statfsSync,
  statSync,
} from 'node:fs';
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
    const path = realpathSync(file);
    if (statSync(path).isDirectory()) throw new Error('it is a directory');
    return path;
  } catch (error) {
    throw new Error(`the database file ${file} cannot be made: ${reason(error)}`, { cause: error });
  }
}

/**
 * SQLite opens a file that may only be read, and complains at the first statement that writes.
 *
 * @param access for tests as root, whom nothing is refused
 * @throws Error in words
 */
export function assertWritable(path: string, access: (path: string, mode: number) => void = accessSync): void {
  try {
    access(path, constants.W_OK);
  } catch (error) {
    throw new Error(`the database file ${path} cannot be written to: ${reason(error)}`, { cause: error });
  }
}

/** Of the disk that a file is on, for whom is not its administrator; infinite where the file system does not tell. */
export function freeBytesAt(path: string): number {
  try {
    const { bavail, bsize } = statfsSync(dirname(path));
    return bavail * bsize;
  } catch {
    return Infinity;
  }
}

function reason(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown reason';
  const code = errorCode(error);
  if (code === 'EACCES' || code === 'EPERM') return 'permission denied';
  if (code === 'EROFS') return 'the file system is read-only';
  if (code === 'ENOTDIR' || code === 'EEXIST') return 'a part of its path is not a directory';
  if (code === 'ENOSPC') return 'the disk is full';
  return code ?? error.message;
}
