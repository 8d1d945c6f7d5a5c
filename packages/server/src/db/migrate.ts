import { fileURLToPath } from 'node:url';
import type { Logger } from '../platform/logger.ts';
import { parseDatabaseUrl } from './database-url.ts';
import { migratePostgres } from './postgres/migrate.ts';
import { migrateSqlite } from './sqlite/migrate.ts';

/**
 * Brings the database that `url` names up to this version's schema; nothing happens where it is already. Several
 * processes may do so at once: one works, the others wait for it. It uses a connection of its own.
 *
 * @throws Error that says in words what is wrong, without the password.
 */
export async function migrate(url: string, { logger }: { logger: Logger }): Promise<void> {
  const location = parseDatabaseUrl(url);
  const migrationsFolder = fileURLToPath(new URL(`../../migrations/${location.kind}`, import.meta.url));
  if (location.kind === 'sqlite') await migrateSqlite(location.file, migrationsFolder);
  else await migratePostgres(location.url, { migrationsFolder, logger });
  logger.debug({ database: location.kind }, 'the database has the schema of this version');
}
