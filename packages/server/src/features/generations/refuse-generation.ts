import type { Database } from '../../db/database.ts';
import type { Clock } from '../../platform/clock.ts';
import type { ServiceError } from '../../platform/service-error.ts';
import type { SettleUsage } from '../credits/settle-usage.ts';
import type { IdempotencyKeys } from '../idempotency/idempotency-keys.ts';
import { toRefusal } from './generation-events.ts';
import type { GenerationLog } from './generation-log.ts';
import type { FencedGeneration, GenerationsStore } from './generations-store.ts';

export interface RefuseDependencies {
  readonly database: Database;
  readonly store: GenerationsStore;
  readonly keys: IdempotencyKeys;
  readonly settleUsage: SettleUsage;
  readonly log: GenerationLog;
  readonly clock: Clock;
}

export type RefuseGeneration = (
  claim: FencedGeneration & { sessionId: string; userId: string },
  error: ServiceError,
  /** Whether credit was asked for: what is held, or turns out to be, is released. */
  credit: { readonly mayBeHeld: boolean },
) => Promise<void>;

/** Gives a claim back: the key is new again, and copies of the request that wait read the refusal from the row. */
export function createRefuseGeneration(deps: RefuseDependencies): RefuseGeneration {
  const { database, store, keys, settleUsage, log, clock } = deps;
  return async function refuseGeneration(claim, error, { mayBeHeld }) {
    await database.transaction(async (tx) => {
      await store.lockSessionOf(tx, claim.sessionId);
      const isRefused = await store.refuse(tx, claim, toRefusal(error), new Date(clock.now()));
      if (isRefused) await keys.forget(tx, [claim.id]);
      if (!mayBeHeld) return;
      // Whoever gave the claim back in the caller's place may have released what was held before the caller held it.
      if (isRefused || !(await store.isLive(tx, claim.id))) {
        await settleUsage.refuse(tx, { usageId: claim.id, userId: claim.userId });
      }
    });
    if (mayBeHeld) settleUsage.committed();
    log.nudge(claim.sessionId);
  };
}
