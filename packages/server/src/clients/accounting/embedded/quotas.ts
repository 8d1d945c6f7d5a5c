import type { CreditDecision, QuotaState } from '../accounting.ts';
import { periodEnd } from './periods.ts';
import { periodNames, quotaNames, type LimitedName, type PeriodName, type Plan } from './plans.ts';

/** What a user has used of the quotas of one period. */
export interface UsedQuotas {
  readonly sessions: number;
  readonly messages: number;
  readonly tokens: number;
  readonly computeMilliseconds: number;
}

export type QuotaUsage = Readonly<Record<PeriodName, UsedQuotas>>;

export const nothingUsed: UsedQuotas = { sessions: 0, messages: 0, tokens: 0, computeMilliseconds: 0 };

/**
 * What a request adds to each quota that it counts in. Of `compute` nothing is known before: while any of it is left,
 * the request may go over it.
 */
export type QuotaDemand = Readonly<Partial<Record<LimitedName, number>>>;

/** The refusal by the first quota that the demand would exceed, or null where it exceeds none. */
export function exceededQuota(
  { quotas }: Plan,
  usage: QuotaUsage,
  demand: QuotaDemand,
  now: Date,
): Extract<CreditDecision, { kind: 'quota' }> | null {
  for (const quota of quotaNames) {
    const added = demand[quota];
    if (added === undefined) continue;
    // Of two that are used up the longer one: before that nothing changes.
    const period = periodNames.findLast((name) => {
      const limit = quotas[name][quota];
      if (limit === undefined) return false;
      const used = usage[name];
      return quota === 'compute' ? used.computeMilliseconds >= limit * 1000 : used[quota] + added > limit;
    });
    if (period === undefined) continue;
    const refusal = { kind: 'quota', quota, resetsAt: periodEnd(period, now) } as const;
    return quota === 'tokens' ? { ...refusal, remainingTokens: remainingTokens(quotas, usage) } : refusal;
  }
  return null;
}

function remainingTokens(quotas: Plan['quotas'], usage: QuotaUsage): number {
  const left = periodNames.map((name) => (quotas[name].tokens ?? Number.POSITIVE_INFINITY) - usage[name].tokens);
  return Math.max(0, Math.min(...left));
}

/** Every quota of the plan with what is used of it, `compute` in seconds that have begun. */
export function quotaStates({ quotas }: Plan, usage: QuotaUsage, now: Date): QuotaState[] {
  return quotaNames.flatMap((name) =>
    periodNames.flatMap((period) => {
      const limit = quotas[period][name];
      if (limit === undefined) return [];
      const used = name === 'compute' ? Math.ceil(usage[period].computeMilliseconds / 1000) : usage[period][name];
      return [{ name, period, used, limit, resetsAt: periodEnd(period, now) }];
    }),
  );
}
