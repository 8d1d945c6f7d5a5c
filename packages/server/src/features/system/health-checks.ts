import type { Database } from '../../db/database.ts';
import type { Models } from '../models/models.ts';
import type { HealthCheck } from './check-health.ts';

export interface HealthChecksOptions {
  readonly database: Pick<Database, 'ping'>;
  readonly models: Pick<Models, 'catalogue' | 'unavailableReason'>;
  /** The Accounting Service; null where there is none to be away. */
  readonly accounting: { reachability(): 'ok' | 'degraded' } | null;
}

/** What the service depends on, by the names under which its health is told. */
export function createHealthChecks(options: HealthChecksOptions): Readonly<Record<string, HealthCheck>> {
  const { database, models, accounting } = options;
  return {
    async database() {
      await database.ping();
      return 'ok';
    },
    models() {
      const reason = models.unavailableReason(models.catalogue.default);
      return Promise.resolve(reason === null ? 'ok' : 'degraded');
    },
    ...(accounting !== null && { accounting: () => Promise.resolve(accounting.reachability()) }),
  };
}
