import type { Accounting, SessionCheck, SessionDecision } from '../../clients/accounting/accounting.ts';
import type { Queryable } from '../../db/database.ts';
import type { Clock } from '../../platform/clock.ts';
import { ServiceError } from '../../platform/service-error.ts';
import { quotaExceeded } from './quota-exceeded.ts';

/**
 * Whether a user may open a session.
 * @throws ServiceError `QUOTA_EXCEEDED`, `INSUFFICIENT_CREDITS`, `ACCOUNTING_UNAVAILABLE`
 */
export interface AdmitSession {
  /** Before the transaction that makes it. */
  check(request: SessionCheck): Promise<void>;
  /** In that transaction, the account being locked. */
  count(tx: Queryable, request: SessionCheck): Promise<void>;
}

export function createAdmitSession({ accounting, clock }: { accounting: Accounting; clock: Clock }): AdmitSession {
  function demand(decision: SessionDecision): void {
    if (decision.kind === 'quota') throw quotaExceeded(decision, clock);
    if (decision.kind === 'insufficient') {
      throw new ServiceError('INSUFFICIENT_CREDITS', { detail: 'There is not enough credit left for a session.' });
    }
  }

  return {
    check: async (request) => demand(await accounting.checkSession(request)),
    count: async (tx, request) => demand(await accounting.countSession(tx, request)),
  };
}
