import type { Accounting } from '../../clients/accounting/accounting.ts';
import type { Database } from '../../db/database.ts';
import { compareAccounts, type CreditTotals } from './compare-accounts.ts';
import { compareGenerations } from './compare-generations.ts';
import { compareUsage, type UsageCounts } from './compare-usage.ts';
import { createReconciliationStore, type ReconciliationStore } from './reconciliation-store.ts';

export interface Reconciliation {
  /** Null where an Accounting Service keeps the credits. */
  readonly credits: CreditTotals | null;
  readonly usage: UsageCounts;
  /** Admitted generations that still exist. */
  readonly generations: number;
  readonly outbox: {
    readonly pending: number;
    readonly parked: number;
    /** Seconds that the oldest pending one has waited; null where there is none. */
    readonly oldestSeconds: number | null;
  };
  /** How many were told. */
  readonly problems: number;
}

/**
 * Checks that what was given, held, spent and used adds up, while the service runs. Every problem is told as one line of
 * words when it is found.
 */
export type Reconcile = (tell: (problem: string) => void) => Promise<Reconciliation>;

export interface ReconcileDependencies {
  readonly database: Database;
  /** Who keeps the credits. */
  readonly kind: Accounting['kind'];
}

export function createReconcile({ database, kind }: ReconcileDependencies): Reconcile {
  const store = createReconciliationStore(database);

  return async function reconcile(tell) {
    let problems = 0;
    const count = (problem: string) => {
      problems += 1;
      tell(problem);
    };
    const credits = kind === 'embedded' ? await compareAccounts(store, count) : null;
    const usage = await compareUsage(store, kind, count);
    const generations = await compareGenerations(store, count);
    const outbox = await readOutbox(store, kind, count);
    return { credits, usage, generations, outbox, problems };
  };
}

/** Told one by one. */
const mostParked = 100;

async function readOutbox(
  store: ReconciliationStore,
  kind: Accounting['kind'],
  tell: (problem: string) => void,
): Promise<Reconciliation['outbox']> {
  const rows = await store.readOutbox();
  const pending = rows.find(({ state }) => state === 'pending');
  const parked = rows.find(({ state }) => state === 'parked')?.rows ?? 0;
  if (parked > 0) {
    const listed = await store.listParked(mostParked);
    for (const { usageId, body, lastStatus } of listed) {
      tell(
        `the ${body.kind} of ${usageId} is parked: the Accounting Service refused it with ${lastStatus ?? 'no status'}`,
      );
    }
    if (parked > listed.length) tell(`deliveries that are parked beside these: ${parked - listed.length}`);
  }
  if (kind === 'embedded' && pending !== undefined) {
    tell(`deliveries that wait for an Accounting Service, while ACCOUNTING_URL is not set: ${pending.rows}`);
  }
  const oldest = pending?.oldest ?? null;
  return {
    pending: pending?.rows ?? 0,
    parked,
    oldestSeconds:
      pending === undefined || oldest === null
        ? null
        : Math.max(0, Math.floor((pending.now.getTime() - oldest.getTime()) / 1000)),
  };
}
