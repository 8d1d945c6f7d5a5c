import { describe, expect, it } from 'vitest';
import { postgresDialect } from '../../src/db/postgres/dialect.ts';
import { DatabaseClosedError } from '../../src/db/statement-error.ts';
import { sqliteDialect } from '../../src/db/sqlite/dialect.ts';

/** As it arrives: the driver's error beneath others. */
function wrapped(code: string): Error {
  return new Error('outer', { cause: new Error('inner', { cause: Object.assign(new Error('driver'), { code }) }) });
}

const cases = [
  {
    dialect: sqliteDialect,
    unavailable: ['SQLITE_BUSY', 'SQLITE_BUSY_SNAPSHOT', 'SQLITE_IOERR_READ', 'SQLITE_FULL', 'SQLITE_READONLY_DBMOVED'],
    unique: ['SQLITE_CONSTRAINT_UNIQUE', 'SQLITE_CONSTRAINT_PRIMARYKEY'],
    neither: ['SQLITE_ERROR', 'SQLITE_CONSTRAINT_FOREIGNKEY', 'SQLITE_MISMATCH', 'ENOENT'],
  },
  {
    dialect: postgresDialect,
    unavailable: ['ECONNREFUSED', 'ECONNRESET', '08006', '57P01', '53300', '57014', '25006'],
    unique: ['23505'],
    neither: ['42601', '23503', '22P02', '25P02', 'EPERM', 'ENOENT'],
  },
];

describe.each(cases)('what an error means', ({ dialect, unavailable, unique, neither }) => {
  it.each(unavailable)('%s: unavailable', (code) => {
    expect(dialect.isUnavailable(wrapped(code))).toBe(true);
    expect(dialect.isUniqueViolation(wrapped(code))).toBe(false);
  });
  it.each(unique)('%s: a unique violation', (code) => {
    expect(dialect.isUniqueViolation(wrapped(code))).toBe(true);
    expect(dialect.isUnavailable(wrapped(code))).toBe(false);
  });
  it.each(neither)('%s: neither', (code) => {
    expect(dialect.isUniqueViolation(wrapped(code))).toBe(false);
    expect(dialect.isUnavailable(wrapped(code))).toBe(false);
  });
  it('says nothing of what is no error of a database', () => {
    const loop = new Error('loop');
    loop.cause = loop;
    for (const value of [loop, new Error('x'), 'ECONNREFUSED', undefined]) {
      expect(dialect.isUniqueViolation(value)).toBe(false);
      expect(dialect.isUnavailable(value)).toBe(false);
    }
  });
});

it('calls a closed SQLite file unavailable', () => {
  expect(sqliteDialect.isUnavailable(new Error('x', { cause: new DatabaseClosedError('closed') }))).toBe(true);
});
