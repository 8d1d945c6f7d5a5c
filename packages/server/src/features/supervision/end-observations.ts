import type { Database, Queryable } from '../../db/database.ts';
import type { AuditStore } from './audit-store.ts';
import type { ObservationRow, ObservationsStore } from './observations-store.ts';

export interface EndObservationsDependencies {
  readonly database: Database;
  readonly store: ObservationsStore;
  readonly audit: Pick<AuditStore, 'append'>;
}

/** Whoever removes an observation writes its end, in the same transaction: each has exactly one. */
async function end(
  { database, audit }: EndObservationsDependencies,
  remove: (tx: Queryable) => Promise<ObservationRow[]>,
): Promise<ObservationRow[]> {
  return database.transaction(async (tx) => {
    const removed = await remove(tx);
    for (const { id, sessionId, subjectId, observerId, observerRole, clientAddress, requestId } of removed) {
      await audit.append(tx, {
        actorId: observerId,
        actorRole: observerRole,
        action: 'observe.detach',
        subjectId,
        sessionId,
        connectionId: id,
        clientAddress,
        requestId,
        reason: null,
      });
    }
    return removed;
  });
}

/** Ends those of `ids` that are still open. */
export async function removeObservations(deps: EndObservationsDependencies, ids: readonly string[]): Promise<void> {
  await end(deps, (tx) => deps.store.remove(tx, ids));
}

const batchSize = 200;

/** Ends the observations of instances that died. */
export function createSweepObservations(
  deps: EndObservationsDependencies & { readonly recount: (sessionId: string) => void },
): (signal: AbortSignal) => Promise<void> {
  return async function sweepObservations(signal) {
    for (;;) {
      const removed = await end(deps, (tx) => deps.store.removeExpired(tx, batchSize));
      for (const sessionId of new Set(removed.map((row) => row.sessionId))) deps.recount(sessionId);
      if (removed.length < batchSize || signal.aborted) return;
    }
  };
}
