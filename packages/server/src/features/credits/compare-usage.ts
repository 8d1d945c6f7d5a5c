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
      const credits = held === null ? '' : `: credits ${formatCredits(held)}`;
      tell(`user ${JSON.stringify(userId)}: usage is held for generation ${id}, which is not live${credits}`);
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
