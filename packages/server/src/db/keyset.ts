import { sql, type Column, type SQL, type SQLWrapper } from 'drizzle-orm';

/** A row's place in an order: its columns from the most significant to the one that makes it unique. */
export type Keyset = readonly (readonly [column: Column, value: unknown])[];

function compareRows(keyset: Keyset, operator: SQL): SQL {
  const columns = keyset.map(([column]): SQLWrapper => column);
  // Through its column each value is written as that database stores it.
  const values = keyset.map(([column, value]) => sql.param(value, column));
  return sql`(${sql.join(columns, sql`, `)}) ${operator} (${sql.join(values, sql`, `)})`;
}

/**
 * Rows before the one at `keyset`, itself excluded: the next page of a list in descending order.
 *
 * @example
 * rowBefore([[sessions.sortAt, cursor.sortAt], [sessions.id, cursor.id]])
 */
export function rowBefore(keyset: Keyset): SQL {
  return compareRows(keyset, sql`<`);
}

/** Rows after the one at `keyset`, itself excluded: the next page of a list in ascending order. */
export function rowAfter(keyset: Keyset): SQL {
  return compareRows(keyset, sql`>`);
}
