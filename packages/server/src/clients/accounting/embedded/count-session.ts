import type { Database, Queryable } from '../../../db/database.ts';
import type { Accounting, SessionCheck } from '../accounting.ts';
import type { LedgerStore } from './ledger-store.ts';
import { periodsAt } from './periods.ts';
import { limitsAny, planFor, type Plans } from './plans.ts';
import type { QuotaStore } from './quota-store.ts';
import { exceededQuota } from './quotas.ts';

export interface CountSessionDependencies {
  readonly database: Pick<Database, 'query'>;
  readonly ledger: LedgerStore;
  readonly quotas: QuotaStore;
  readonly plans: Plans;
}

/** The quota of sessions: asked without counting, and counted with the session, since it may have been used up meanwhile. */
export function createCountSession(deps: CountSessionDependencies): Pick<Accounting, 'checkSession' | 'countSession'> {
  const { database, ledger, quotas, plans } = deps;
  const isLimited = ({ plan }: SessionCheck) => limitsAny(planFor(plans, plan), ['sessions']);

  async function findRefusal(tx: Queryable, { userId, plan }: SessionCheck, now: Date) {
    return exceededQuota(planFor(plans, plan), await quotas.read(tx, userId, periodsAt(now)), { sessions: 1 }, now);
  }

  return {
    async checkSession(request) {
      const { query } = database;
      const refusal = isLimited(request) ? await findRefusal(query, request, await ledger.now(query)) : null;
      return refusal ?? { kind: 'granted' };
    },

    async countSession(tx, request) {
      const { now } = await ledger.lockAccount(tx, request.userId);
      const refusal = isLimited(request) ? await findRefusal(tx, request, now) : null;
      if (refusal !== null) return refusal;
      await quotas.count(tx, request.userId, periodsAt(now), { sessions: 1 });
      return { kind: 'granted' };
    },
  };
}
