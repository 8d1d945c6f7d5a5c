import { drizzle } from 'drizzle-orm/node-postgres';
import { migrate } from 'drizzle-orm/node-postgres/migrator';
import type { Logger } from '../../platform/logger.ts';
import { endPool, openPool, postgresOpenError } from './pool.ts';

/** Any number that nothing else in the database locks. */
const migrationLock = 5_184_036_177;

/** @throws Error in words. */
export async function migratePostgres(
  url: string,
  { migrationsFolder, logger }: { migrationsFolder: string; logger: Logger },
): Promise<void> {
  const pool = await openPool(url, { maxConnections: 1, logger, forMigrations: true });
  try {
    // An advisory lock belongs to its connection, so everything runs on this one; ending it lets go of the lock.
    const client = await pool.connect();
    try {
      await client.query('select pg_advisory_lock($1)', [migrationLock]);
      await migrate(drizzle(client), { migrationsFolder });
    } finally {
      client.release(true);
    }
  } catch (error) {
    throw postgresOpenError(url, rootCause(error));
  } finally {
    await endPool(pool);
  }
}

function rootCause(error: unknown): unknown {
  let current = error;
  while (current instanceof Error && current.cause instanceof Error) current = current.cause;
  return current;
}
