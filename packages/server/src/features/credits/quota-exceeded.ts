import type { CreditDecision } from '../../clients/accounting/accounting.ts';
import type { Clock } from '../../platform/clock.ts';
import { ServiceError } from '../../platform/service-error.ts';

/** The refusal of what would go beyond a quota: which one, and when it starts anew. */
export function quotaExceeded(
  { quota, resetsAt }: Extract<CreditDecision, { kind: 'quota' }>,
  clock: Clock,
): ServiceError {
  return new ServiceError('QUOTA_EXCEEDED', {
    detail: `The quota of ${quota} is used up.`,
    quota,
    resetsAt: resetsAt.toISOString(),
    retryAfter: Math.max(1, Math.ceil((resetsAt.getTime() - clock.now()) / 1000)),
  });
}
