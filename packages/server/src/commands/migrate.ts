import { pino } from 'pino';
import { describePostgresUrl, parseDatabaseUrl } from '../db/database-url.ts';
import { migrate } from '../db/migrate.ts';
import { createLogger } from '../platform/logger.ts';
import { complain, loadProcessConfiguration } from './configuration.ts';

/** Brings the configured database up to date. Resolves to the exit code. */
export async function migrateDatabase(): Promise<0 | 1> {
  const loaded = loadProcessConfiguration();
  if (loaded === null) return 1;
  for (const warning of loaded.warnings) complain(`warning: ${warning}`);
  const { url } = loaded.config.database;
  const logger = createLogger({
    level: loaded.config.logging.level,
    destination: pino.destination({ dest: 2, sync: true }),
  });
  try {
    await migrate(url, { logger });
    const location = parseDatabaseUrl(url);
    const name =
      location.kind === 'sqlite' ? `SQLite file ${location.file}` : `PostgreSQL database ${describePostgresUrl(url)}`;
    process.stdout.write(`The ${name} has the schema of this version.\n`);
    return 0;
  } catch (error) {
    complain(`not migrated: ${error instanceof Error ? error.message : String(error)}`);
    return 1;
  }
}
