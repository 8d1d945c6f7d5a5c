import type { Accounting } from '../../clients/accounting/accounting.ts';
import { formatCredits } from './credit-text.ts';
import { readInBatches } from './read-in-batches.ts';
import type { ReconciliationStore } from './reconciliation-store.ts';

/** How many usage records are in which state. */
export interface UsageCounts {
  readonly held: number;
  readonly charged: number;
  readonly released: number;
}

const rowsAtOnce = 1000;

/** Checks that every charge has its entry in the ledger, if that keeps the credits, and every hold a live generation. */
export async function compareUsage(
  store: ReconciliationStore,
  kind: Accounting['kind'],
  tell: (problem: string) => void,
): Promise<UsageCounts> {
  const counts = { held: 0, charged: 0, released: 0 };
  for await (const row of readInBatches(store.listUsage, rowsAtOnce, ({ id }) => id)) {
    const { id, userId, state, held } = row;
    counts[state] += 1;
    if (state === 'held' && row.liveGeneration === null) {
      const what = held === null ? 'quotas are counted' : `${formatCredits(held)} credits are held`;
      tell(`user ${JSON.stringify(userId)}: ${what} for generation ${id}, which is not live`);
    }
    const charged = state === 'charged' && held !== null && row.day !== null ? (row.charged ?? 0) : 0;
    const entered = row.entry === null ? 0 : -row.entry;
    if (kind === 'embedded' && charged !== entered) {
      const amounts = `${formatCredits(charged)} by its usage record, ${formatCredits(entered)} in the ledger`;
      tell(`user ${JSON.stringify(userId)}: the charge for generation ${id} differs: ${amounts}`);
    }
  }
  return counts;
}

/** Checks that every admitted generation is held for while it is live, and settled or released after; tells how many. */
export async function compareGenerations(store: ReconciliationStore, tell: (problem: string) => void): Promise<number> {
  let count = 0;
  for await (const { id, status, usage } of readInBatches(store.listAdmitted, rowsAtOnce, (row) => row.id)) {
    const isLive = status === 'reserving' || status === 'running';
    count += 1;
    if (usage === null) tell(`generation ${id} (${status}) was admitted, and there is no usage record of it`);
    else if (isLive && usage !== 'held')
      tell(`generation ${id} is live (${status}), and its usage is ${usage} already`);
    else if (!isLive && usage === 'held') tell(`generation ${id} is over (${status}), and its usage is still held`);
  }
  return count;
}
