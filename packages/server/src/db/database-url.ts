import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

export type DatabaseLocation =
  | { readonly kind: 'sqlite'; /** Absolute path. */ readonly file: string }
  | { readonly kind: 'postgres'; readonly url: string };

/**
 * Reads `DATABASE_URL`: `file:./path.db`, `file:/path.db`, `file:///path.db`, `postgres://…` or `postgresql://…`.
 * A relative path counts from the working directory.
 *
 * @throws Error that says what is wrong, without repeating the value: it may hold a password.
 */
export function parseDatabaseUrl(url: string): DatabaseLocation {
  if (url.startsWith('file:')) {
    const path = url.startsWith('file://') ? fileUrlPath(url) : url.slice('file:'.length);
    if (path === '' || path.endsWith('/'))
      throw new Error('DATABASE_URL: file: must be followed by the path of a file');
    if (path === ':memory:' || path.includes('?')) {
      throw new Error('DATABASE_URL: file: takes the path of a file alone, without ":memory:" and without "?"');
    }
    return { kind: 'sqlite', file: resolve(path) };
  }
  if (/^postgres(?:ql)?:\/\//u.test(url)) {
    if (!URL.canParse(url))
      throw new Error('DATABASE_URL: the postgres:// address cannot be read (is the password percent-encoded?)');
    return { kind: 'postgres', url };
  }
  throw new Error('DATABASE_URL: must start with file:, postgres:// or postgresql://');
}

function fileUrlPath(url: string): string {
  try {
    return fileURLToPath(url);
  } catch {
    throw new Error('DATABASE_URL: the file:// address cannot be read; for a relative path write file:./path.db');
  }
}

/** Host, port and database of a Postgres address for messages and logs: no user, no password. */
export function describePostgresUrl(url: string): string {
  const { host, pathname } = new URL(url);
  return `${host === '' ? 'localhost' : host}${pathname}`;
}
