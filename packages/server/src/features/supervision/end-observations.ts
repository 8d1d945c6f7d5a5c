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
export interface SweepObservations {
  /** Those whose lease has run out. */
  readonly periodically: (signal: AbortSignal) => Promise<void>;
  /** All there are. */
  readonly atStartAlone: () => Promise<void>;
}

export function createSweepObservations(
  deps: EndObservationsDependencies & { readonly recount: (sessionId: string) => void },
): SweepObservations {
  const { store, recount } = deps;

  async function sweep(remove: ObservationsStore['removeExpired'], signal: AbortSignal | null): Promise<void> {
    for (;;) {
      const removed = await end(deps, (tx) => remove(tx, batchSize));
      for (const sessionId of new Set(removed.map((row) => row.sessionId))) recount(sessionId);
      if (removed.length < batchSize || signal?.aborted === true) return;
    }
  }

  return {
    periodically: (signal) => sweep(store.removeExpired, signal),
    atStartAlone: () => sweep(store.removeAny, null),
  };
}
