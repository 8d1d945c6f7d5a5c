import { describePostgresUrl, parseDatabaseUrl } from '../db/database-url.ts';
import { migrate } from '../db/migrate.ts';
import { createCommandLogger } from './command-logger.ts';
import { complain, loadCommandConfiguration } from './configuration.ts';

/** Brings the configured database up to date. Resolves to the exit code. */
export async function migrateDatabase(): Promise<0 | 1> {
  const config = loadCommandConfiguration();
  if (config === null) return 1;
  const { url } = config.database;
  try {
    await migrate(url, { logger: createCommandLogger(config) });
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
