import { existsSync } from 'node:fs';
import type { Logger } from '../platform/logger.ts';
import { parseDatabaseUrl } from '../db/database-url.ts';
import { openDatabase, type Database } from '../db/database.ts';

/**
 * Opens the database of a service, which may be running: it is neither made nor migrated here. On SQLite a second
 * process may write between the server's transactions; only a second server may not use the file.
 *
 * @throws Error in words when it cannot be opened, or does not have the schema of this version.
 */
export async function openMigratedDatabase(url: string, { logger }: { logger: Logger }): Promise<Database> {
  const location = parseDatabaseUrl(url);
  if (location.kind === 'sqlite' && !existsSync(location.file)) {
    throw new Error(`there is no database file ${location.file}; \`chat-service migrate\` makes it`);
  }
  const database = await openDatabase(url, { logger, maxConnections: 1 });
  try {
    const { creditAccounts } = database.tables;
    await database.query.select({ userId: creditAccounts.userId }).from(creditAccounts).limit(1);
    return database;
  } catch (error) {
    await database[Symbol.asyncDispose]();
    if (database.dialect.isUnavailable(error)) throw error;
    throw new Error('the database does not have the schema of this version; run `chat-service migrate` first', {
      cause: error,
    });
  }
}
