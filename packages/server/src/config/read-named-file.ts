import { errorCode } from '../platform/error-code.ts';
import type { VariableName } from './env.ts';

/** Reads a whole text file; throws what `node:fs` throws. */
export type ReadTextFile = (path: string) => string;

export type NamedFileReading =
  | { readonly ok: true; readonly text: string }
  | { readonly ok: false; readonly problems: readonly string[] };

/** The text of the file at the path that a variable holds. */
export function readNamedFile(variable: VariableName, path: string, readTextFile: ReadTextFile): NamedFileReading {
  try {
    return { ok: true, text: readTextFile(path) };
  } catch (error) {
    const code = errorCode(error) ?? 'unknown reason';
    return { ok: false, problems: [`${variable}: the file cannot be read (${code})`] };
  }
}
