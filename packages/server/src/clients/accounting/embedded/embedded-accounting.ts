import type { Database } from '../../../db/database.ts';
import type { NewId } from '../../../platform/ids.ts';
import type { Logger } from '../../../platform/logger.ts';
import type { Accounting } from '../accounting.ts';
import { createOutboxStore } from '../http/outbox-store.ts';
import { createSettleByOutbox } from '../http/settle-by-outbox.ts';
import { createCheckCredit } from './check-credit.ts';
import { createCountSession } from './count-session.ts';
import { createGrantPlan } from './grant-plan.ts';
import { createLedgerStore } from './ledger-store.ts';
import type { Plans } from './plans.ts';
import { createQuotaStore } from './quota-store.ts';
import { createReadBalance } from './read-balance.ts';
import { createSettleHold } from './settle-hold.ts';

export interface EmbeddedAccountingOptions {
  readonly database: Database;
  readonly plans: Plans;
  readonly logger: Logger;
  readonly newId: NewId;
}

/**
 * The ledger in the service's own database. An account changes only while its row is locked, so that at every commit
 * `granted = available + held + spent` and nothing is spent twice; months and days are those of the database's clock.
 */
export function createEmbeddedAccounting({ database, plans, logger, newId }: EmbeddedAccountingOptions): Accounting {
  const service = createSettleByOutbox({ database, outbox: createOutboxStore(database), newId });
  const ledger = createLedgerStore(database);
  const quotas = createQuotaStore(database);
  const grantPlan = createGrantPlan({ ledger });
  return {
    kind: 'embedded',
    check: createCheckCredit({ database, ledger, quotas, grantPlan, plans }),
    ...createCountSession({ database, ledger, quotas, plans }),
    ...createSettleHold({ ledger, quotas, service, logger }),
    balance: createReadBalance({ database, ledger, quotas, grantPlan, plans }),
  };
}
