import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { apiVersion, type VersionOutput } from '@chat-service/shared/system-api';

/** The package's own version, read beside the code: the same path from `src` and from `dist`. */
export function readPackageVersion(): string {
  const text = readFileSync(new URL('../../../package.json', import.meta.url), 'utf8');
  return z.object({ version: z.string() }).parse(JSON.parse(text)).version;
}

/** What is running. `commit` comes from the configuration, null where nobody told it. */
export function createVersion({ version, commit }: { version: string; commit: string | null }): VersionOutput {
  return { version, commit, apiVersion };
}
