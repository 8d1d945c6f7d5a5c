import type { Database } from '../../db/database.ts';
import type { Clock } from '../../platform/clock.ts';
import type { ServiceError } from '../../platform/service-error.ts';
import type { IdempotencyKeys } from '../idempotency/idempotency-keys.ts';
import { toRefusal } from './generation-events.ts';
import type { GenerationLog } from './generation-log.ts';
import type { FencedGeneration, GenerationsStore } from './generations-store.ts';

export interface RefuseDependencies {
  readonly database: Database;
  readonly store: GenerationsStore;
  readonly keys: IdempotencyKeys;
  readonly log: GenerationLog;
  readonly clock: Clock;
}

export type RefuseGeneration = (claim: FencedGeneration & { sessionId: string }, error: ServiceError) => Promise<void>;

/** Gives a claim back: the key is new again, and copies of the request that wait read the refusal from the row. */
export function createRefuseGeneration({ database, store, keys, log, clock }: RefuseDependencies): RefuseGeneration {
  return async function refuseGeneration(claim, error) {
    await database.transaction(async (tx) => {
      await store.lockSessionOf(tx, claim.sessionId);
      if (await store.refuse(tx, claim, toRefusal(error), new Date(clock.now()))) await keys.forget(tx, [claim.id]);
    });
    log.nudge(claim.sessionId);
  };
}
