import type { Database } from '../../../db/database.ts';
import type { Accounting, Balance } from '../accounting.ts';
import type { GrantPlan } from './grant-plan.ts';
import type { LedgerStore } from './ledger-store.ts';
import { periodsAt } from './periods.ts';
import { planFor, type Plans } from './plans.ts';
import type { QuotaStore } from './quota-store.ts';
import { quotaStates } from './quotas.ts';

export interface BalanceDependencies {
  readonly database: Pick<Database, 'transaction'>;
  readonly ledger: LedgerStore;
  readonly quotas: QuotaStore;
  readonly grantPlan: GrantPlan;
  readonly plans: Plans;
}

/** What a user has, the plan's grant included: who looks before the first request sees what that request will find. */
export function createReadBalance(deps: BalanceDependencies): Accounting['balance'] {
  const { database, ledger, quotas, grantPlan, plans } = deps;

  return async function readBalance({ userId, plan: name }) {
    const plan = planFor(plans, name);
    return database.transaction(async (tx): Promise<Balance> => {
      const { available, held, now } = await ledger.lockAccount(tx, userId);
      const given = await grantPlan(tx, userId, plan, now);
      const usage = await quotas.read(tx, userId, periodsAt(now));
      return {
        credits: plan.grant === null ? null : available + given,
        held,
        plan: plan.name,
        quotas: quotaStates(plan, usage, now),
      };
    });
  };
}
