import type { Database } from '../../../db/database.ts';
import type { Logger } from '../../../platform/logger.ts';
import { createOutboxStore } from './outbox-store.ts';

/** Tells what was left for an Accounting Service where none is configured any more. @throws what the database throws */
export async function warnOfUndelivered(database: Database, logger: Logger): Promise<void> {
  const { pending, parked, oldestAgeMs } = await createOutboxStore(database).stats();
  if (pending + parked === 0) return;
  const fields = { pending, parked, oldestSeconds: Math.floor(oldestAgeMs / 1000) };
  logger.warn(fields, 'Deliveries wait for an Accounting Service, and nobody makes them: ACCOUNTING_URL is not set.');
}
