import { drizzle } from 'drizzle-orm/pg-proxy';
import { migrate } from 'drizzle-orm/pg-proxy/migrator';
import type pg from 'pg';
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
    const client = await pool.connect();
    try {
      // One transaction from reading which migrations are there to the last of their statements.
      await client.query('begin isolation level read committed');
      await takeLock(client, logger);
      const handle = drizzle((text, parameters) => client.query(text, parameters));
      await migrate(
        handle,
        async (statements) => {
          for (const statement of statements) await client.query(statement);
        },
        { migrationsFolder },
      );
      await client.query('commit');
    } finally {
      client.release(true);
    }
  } catch (error) {
    throw postgresOpenError(url, rootCause(error));
  } finally {
    await endPool(pool);
  }
}

/** Of the transaction, not of the connection: a pooler keeps that one, and the lock with it. */
async function takeLock(client: pg.PoolClient, logger: Logger): Promise<void> {
  const { rows } = await client.query<{ taken: boolean }>('select pg_try_advisory_xact_lock($1) as taken', [
    migrationLock,
  ]);
  if (rows[0]?.taken === true) return;
  logger.info('waiting for another process that migrates the database');
  await client.query('select pg_advisory_xact_lock($1)', [migrationLock]);
}

function rootCause(error: unknown): unknown {
  let current = error;
  while (current instanceof Error && current.cause instanceof Error) current = current.cause;
  return current;
}
