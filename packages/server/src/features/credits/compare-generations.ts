import { readInBatches } from './read-in-batches.ts';
import type { ReconciliationStore } from './reconciliation-store.ts';

const rowsAtOnce = 1000;

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
