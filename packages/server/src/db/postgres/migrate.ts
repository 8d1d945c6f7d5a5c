import { drizzle } from 'drizzle-orm/postgres-js';
import { migrate } from 'drizzle-orm/postgres-js/migrator';
import { createPostgresClient, endPostgresClient, postgresOpenError } from './client.ts';

/** Any number that nothing else in the database locks. */
const migrationLock = 5_184_036_177;

/** @throws Error in words. */
export async function migratePostgres(url: string, migrationsFolder: string): Promise<void> {
  // An advisory lock belongs to its connection, so there is exactly one; ending it lets go of the lock.
  const client = createPostgresClient(url, { maxConnections: 1, forMigrations: true });
  try {
    await client`select pg_advisory_lock(${migrationLock})`;
    await migrate(drizzle(client), { migrationsFolder });
  } catch (error) {
    throw postgresOpenError(url, rootCause(error));
  } finally {
    await endPostgresClient(client);
  }
}

function rootCause(error: unknown): unknown {
  let current = error;
  while (current instanceof Error && current.cause instanceof Error) current = current.cause;
  return current;
}
