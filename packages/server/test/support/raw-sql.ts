import BetterSqlite3 from 'better-sqlite3';
import postgres from 'postgres';
import { parseDatabaseUrl } from '../../src/db/database-url.ts';

/** A connection for statements that the service itself never sends. */
export interface RawSql extends AsyncDisposable {
  run(statement: string): Promise<void>;
  /** The first column of the first row, as a number. */
  number(query: string): Promise<number>;
}

export function openRawSql(url: string): RawSql {
  const location = parseDatabaseUrl(url);
  if (location.kind === 'sqlite') {
    const connection = new BetterSqlite3(location.file);
    return {
      async run(statement) {
        connection.exec(statement);
      },
      number: async (query) => Number(connection.prepare(query).pluck().get()),
      async [Symbol.asyncDispose]() {
        connection.close();
      },
    };
  }
  const client = postgres(location.url, { max: 1, onnotice: () => {} });
  return {
    async run(statement) {
      await client.unsafe(statement);
    },
    async number(query) {
      const [row] = await client.unsafe<Record<string, unknown>[]>(query);
      return Number(Object.values(row ?? {})[0]);
    },
    [Symbol.asyncDispose]: () => client.end({ timeout: 5 }),
  };
}
