import type { Database, Queryable } from '../../../db/database.ts';
import { ServiceError } from '../../../platform/service-error.ts';
import type { Accounting, CreditCheck, CreditDecision, Hold } from '../accounting.ts';
import { holdOf, type UsageRecord } from '../usage-record.ts';
import type { GrantPlan } from './grant-plan.ts';
import type { LedgerStore } from './ledger-store.ts';
import { periodsAt } from './periods.ts';
import { limitsAny, planFor, type Plans } from './plans.ts';
import type { QuotaStore } from './quota-store.ts';
import { exceededQuota } from './quotas.ts';

export interface CheckDependencies {
  readonly database: Pick<Database, 'transaction'>;
  readonly ledger: LedgerStore;
  readonly quotas: QuotaStore;
  readonly grantPlan: GrantPlan;
  readonly plans: Plans;
}

/**
 * Holds credit and counts quotas in one transaction, in which the account is locked: of any number of checks at once no
 * two see the same credit.
 * @throws ServiceError `UNAVAILABLE` where the hold was given back or charged before
 */
export function createCheckCredit(deps: CheckDependencies): Accounting['check'] {
  const { database, ledger, quotas, grantPlan, plans } = deps;

  async function check(tx: Queryable, request: CreditCheck): Promise<CreditDecision> {
    const { usageId, userId, sessionId, modelId, estimate } = request;
    const plan = planFor(plans, request.plan);
    const { available, now } = await ledger.lockAccount(tx, userId);
    const known = await ledger.findUsage(tx, usageId);
    if (known !== null) return { kind: 'granted', hold: sameHold(known, userId) };

    const given = await grantPlan(tx, userId, plan, now);
    const periods = periodsAt(now);
    const tokens = estimate.inputTokens + estimate.outputTokens;
    if (limitsAny(plan, ['messages', 'tokens', 'compute'])) {
      const usage = await quotas.read(tx, userId, periods);
      const refusal = exceededQuota(plan, usage, { messages: 1, tokens, compute: 0 }, now);
      if (refusal !== null) return refusal;
    }
    const held = plan.grant === null ? null : estimate.credits;
    if (held !== null && !(await ledger.hold(tx, userId, held))) {
      return { kind: 'insufficient', remaining: available + given };
    }
    await ledger.insertUsage(tx, {
      usageId,
      userId,
      sessionId,
      modelId,
      plan: plan.name,
      state: 'held',
      held,
      quotaTokens: tokens,
      ...periods,
    });
    await quotas.count(tx, userId, periods, { messages: 1, tokens });
    return { kind: 'granted', hold: { held, holdId: null, periods } };
  }

  return async function checkCredit(request, signal) {
    const { inputTokens, outputTokens, credits } = request.estimate;
    for (const amount of [inputTokens, outputTokens, credits]) {
      if (!Number.isSafeInteger(amount) || amount < 0) throw new RangeError(`${amount} is no amount to hold.`);
    }
    signal?.throwIfAborted();
    request.onAsk?.();
    return database.transaction((tx) => check(tx, request));
  };
}

function sameHold(record: UsageRecord, holder: string): Hold {
  if (record.userId !== holder) throw new Error('A usage id stands for one user.');
  // Of a claim that was given up: who asks so late must not hold anything again.
  if (record.state !== 'held')
    throw new ServiceError('UNAVAILABLE', { detail: 'The request took too long to be admitted.' });
  return holdOf(record);
}
