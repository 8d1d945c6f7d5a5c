import type { Database as Connection } from 'better-sqlite3';
import { sql } from 'drizzle-orm';
import { migrate } from 'drizzle-orm/sqlite-proxy/migrator';
import { TransactionScopes } from '../transaction-scope.ts';
import { connectSqlite, createSqliteHandle } from './connect.ts';
import { fileProblem } from './file-problem.ts';
import { assertWritable, prepareDatabaseFile } from './files.ts';
import { SqliteGate } from './gate.ts';

/** @throws Error in words. */
export async function migrateSqlite(file: string, migrationsFolder: string): Promise<void> {
  assertWritable(prepareDatabaseFile(file));
  const connection = connectSqlite(file);
  const gate = new SqliteGate(connection, new TransactionScopes());
  try {
    // A table is altered by making it anew and dropping the old one, which would delete what refers to it. Inside a
    // transaction the setting cannot be changed, so the references are checked before the commit instead.
    connection.pragma('foreign_keys = OFF');
    // One transaction from reading which migrations are there to the last of their statements.
    await gate.transaction(async (execute) => {
      const handle = createSqliteHandle(async (text, parameters, method) => execute(text, parameters, method));
      await migrate(
        handle,
        async (statements) => {
          for (const statement of statements) await handle.run(sql.raw(statement));
        },
        { migrationsFolder },
      );
      assertReferences(connection);
    });
  } catch (error) {
    throw new Error(`the database file ${file} cannot be migrated: ${reason(error)}`, { cause: error });
  } finally {
    await gate.close();
  }
}

function assertReferences(connection: Connection): void {
  const broken = connection.pragma('foreign_key_check');
  if (Array.isArray(broken) && broken.length > 0)
    throw new Error(`${broken.length} rows refer to rows that are missing`);
}

function reason(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown reason';
  return fileProblem(error) ?? (error.cause instanceof Error ? error.cause.message : error.message);
}
