import type { UsageOutput } from '@chat-service/shared/account-api';
import type { Accounting, AccountHolder } from '../../clients/accounting/accounting.ts';
import { toCredits } from '../credits/credit-amount.ts';

/** What a user has left: credits, quotas, calls. @throws ServiceError `ACCOUNTING_UNAVAILABLE` */
export type GetUsage = (holder: AccountHolder, signal?: AbortSignal) => Promise<UsageOutput>;

export interface GetUsageDependencies {
  readonly accounting: Pick<Accounting, 'balance'>;
  /** The window of calls that runs now. */
  readonly callsOf: (userId: string) => Promise<{ limit: number; remaining: number; resetsAt: Date }>;
}

export function createGetUsage({ accounting, callsOf }: GetUsageDependencies): GetUsage {
  return async function getUsage(holder, signal) {
    const balance = await accounting.balance(holder, signal);
    const calls = await callsOf(holder.userId);
    return {
      credits: balance?.credits == null ? null : toCredits(balance.credits),
      held: toCredits(balance?.held ?? 0),
      plan: balance?.plan ?? holder.plan,
      quotas: (balance?.quotas ?? []).map(({ resetsAt, ...quota }) => ({ ...quota, resetsAt: resetsAt.toISOString() })),
      rateLimit: { ...calls, resetsAt: calls.resetsAt.toISOString() },
    };
  };
}
