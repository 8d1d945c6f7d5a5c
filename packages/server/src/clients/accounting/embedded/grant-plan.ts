import type { Queryable } from '../../../db/database.ts';
import type { Micro } from '../accounting.ts';
import type { LedgerStore } from './ledger-store.ts';
import { periodsAt } from './periods.ts';
import type { Plan } from './plans.ts';

/** Gives what the plan gives, once for it or once for it in a month; tells what was given now. The account is locked. */
export type GrantPlan = (tx: Queryable, userId: string, plan: Plan, now: Date) => Promise<Micro>;

export function createGrantPlan({ ledger }: { ledger: LedgerStore }): GrantPlan {
  return async function grantPlan(tx, userId, { name, grant }, now) {
    if (grant === null) return 0;
    const { amount, every } = grant;
    const key = every === 'once' ? `plan:${name}` : `plan:${name}:${periodsAt(now).month}`;
    return (await ledger.grantOnce(tx, userId, { key, kind: 'grant', amount })) ? amount : 0;
  };
}
