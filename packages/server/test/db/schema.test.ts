import { getTableColumns, getTableName, is, type Table } from 'drizzle-orm';
import { getTableConfig as getPostgresConfig, PgTable } from 'drizzle-orm/pg-core';
import { getTableConfig as getSqliteConfig, SQLiteTable } from 'drizzle-orm/sqlite-core';
import { expect, expectTypeOf, it } from 'vitest';
import * as postgresSchema from '../../src/db/postgres/schema.ts';
import * as sqliteSchema from '../../src/db/sqlite/schema.ts';

type Rows<Schema> = {
  [Name in keyof Schema]: Schema[Name] extends Table
    ? { select: Schema[Name]['$inferSelect']; insert: Schema[Name]['$inferInsert'] }
    : never;
};

it('gives rows the same types on both databases', () => {
  expectTypeOf<Rows<typeof sqliteSchema>>().toEqualTypeOf<Rows<typeof postgresSchema>>();
});

/** Column types of Postgres and what stands for them on SQLite. */
const sqliteTypes: Record<string, string> = {
  text: 'text',
  integer: 'integer',
  bigint: 'integer',
  boolean: 'integer',
  jsonb: 'text',
  'timestamp (3) with time zone': 'integer',
};

interface IndexShape {
  config: { name?: string | undefined; unique?: boolean; columns: unknown[]; where?: unknown };
}

function columnName(column: unknown): unknown {
  return typeof column === 'object' && column !== null && 'name' in column ? column.name : column;
}

function describeIndexes(indexes: IndexShape[]) {
  return indexes
    .map(({ config }) => ({
      name: config.name,
      unique: config.unique === true,
      columns: config.columns.map(columnName),
      partial: config.where !== undefined,
    }))
    .toSorted((a, b) => String(a.name).localeCompare(String(b.name)));
}

function describeKeys(config: ReturnType<typeof getPostgresConfig> | ReturnType<typeof getSqliteConfig>) {
  return {
    primaryKeys: config.primaryKeys.map((key) => key.columns.map((column) => column.name)),
    checks: config.checks.map(({ name }) => name),
    foreignKeys: config.foreignKeys.map((key) => {
      const reference = key.reference();
      return {
        columns: reference.columns.map((column) => column.name),
        foreign: [getTableName(reference.foreignTable), ...reference.foreignColumns.map((column) => column.name)],
        // Left out means this, and only one of the dialects says so.
        onDelete: key.onDelete ?? 'no action',
      };
    }),
  };
}

function describeTable(table: Table, typeOf: (type: string) => string | undefined) {
  return {
    name: getTableName(table),
    columns: Object.entries(getTableColumns(table)).map(([key, column]) => ({
      key,
      name: column.name,
      type: typeOf(column.getSQLType()),
      dataType: column.dataType,
      notNull: column.notNull,
      primary: column.primary,
      default: column.default,
    })),
  };
}

it('has the same tables, columns, keys and indexes on both databases', () => {
  expect(Object.keys(sqliteSchema)).toEqual(Object.keys(postgresSchema));
  const sqliteTables: Record<string, unknown> = { ...sqliteSchema };
  let compared = 0;
  for (const [name, postgresTable] of Object.entries(postgresSchema)) {
    const sqliteTable = sqliteTables[name];
    if (!is(postgresTable, PgTable) || !is(sqliteTable, SQLiteTable)) throw new Error(`${name} is not a table`);
    expect(describeTable(sqliteTable, (type) => type)).toEqual(
      describeTable(postgresTable, (type) => sqliteTypes[type]),
    );
    const [sqlite, postgres] = [getSqliteConfig(sqliteTable), getPostgresConfig(postgresTable)];
    expect(describeIndexes(sqlite.indexes)).toEqual(describeIndexes(postgres.indexes));
    expect(describeKeys(sqlite)).toEqual(describeKeys(postgres));
    compared += 1;
  }
  expect(compared).toBe(14);
});
