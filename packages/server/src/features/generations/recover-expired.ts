import type { Database } from '../../db/database.ts';
import type { Clock } from '../../platform/clock.ts';
import type { Logger } from '../../platform/logger.ts';
import type { GenerationsStore } from './generations-store.ts';
import type { RecoverGeneration } from './recover-generation.ts';

export interface RecoverExpiredDependencies {
  readonly database: Database;
  readonly store: GenerationsStore;
  readonly recover: RecoverGeneration;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly instanceId: string;
  readonly leaseMilliseconds: number;
}

/** Looks for generations whose owner is gone: at start, and then periodically. */
export interface RecoverExpired {
  /** What a former process left in a database that only one process can use: its owners are dead, whatever their leases say. */
  atStartAlone(): Promise<void>;
  periodically(): Promise<void>;
}

const batch = 100;
/** Refusals are kept for copies of their request that still wait. */
const refusalsKeptMs = 10 * 60_000;

export function createRecoverExpired(deps: RecoverExpiredDependencies): RecoverExpired {
  const { database, store, recover, clock, logger, leaseMilliseconds } = deps;
  let waitUntil = 0;

  /** False when one of them could not be recovered: it is met again, not tried in a circle. */
  async function recoverAll(rows: readonly { id: string }[], force: boolean): Promise<boolean> {
    let complete = true;
    for (const { id } of rows) {
      try {
        await recover(id, { force });
      } catch (error) {
        complete = false;
        logger.error({ err: error, generationId: id }, 'could not recover a generation');
      }
    }
    return complete;
  }

  return {
    async atStartAlone() {
      for (;;) {
        const rows = await store.listLiveOfOthers(database.query, deps.instanceId, batch);
        if (!(await recoverAll(rows, true)) || rows.length < batch) return;
      }
    },
    async periodically() {
      try {
        if (clock.now() < waitUntil) {
          await database.ping();
          return;
        }
        const rows = await store.listExpired(database.query, batch);
        await recoverAll(rows, false);
        await store.deleteRefused(database.query, refusalsKeptMs);
      } catch (error) {
        // Owners elsewhere could not renew either while the database was away: they get a full lease to come back.
        waitUntil = clock.now() + leaseMilliseconds;
        logger.error({ err: error }, 'could not look for generations whose owner is gone');
      }
    },
  };
}
