import type { Database } from '../../db/database.ts';
import type { Clock } from '../../platform/clock.ts';
import type { NewId } from '../../platform/ids.ts';
import { ServiceError } from '../../platform/service-error.ts';
import type { IdempotencyKeys } from '../idempotency/idempotency-keys.ts';
import type { FencedGeneration, GenerationsStore, SessionRow } from './generations-store.ts';
import type { Probe } from './probe.ts';
import type { RecoverGeneration } from './recover-generation.ts';
import { fingerprint, type SendRequest } from './send-request.ts';

/** The session's slot, held for a request that is not admitted yet. */
export interface Claim extends FencedGeneration {
  readonly session: SessionRow;
  readonly userId: string;
  readonly modelId: string;
}

export type ClaimOutcome =
  | { readonly kind: 'claimed'; readonly claim: Claim }
  /** The key stands for a generation that exists already. */
  | { readonly kind: 'joined'; readonly generationId: string };

export interface ClaimDependencies {
  readonly database: Database;
  readonly store: GenerationsStore;
  readonly keys: IdempotencyKeys;
  readonly recover: RecoverGeneration;
  readonly newId: NewId;
  readonly clock: Clock;
  readonly probe: Probe;
  readonly instanceId: string;
  readonly leaseMilliseconds: number;
  readonly maxConcurrentGenerations: number;
  readonly defaultModelId: string;
  readonly isShuttingDown: () => boolean;
}

export type ClaimGeneration = (request: SendRequest) => Promise<ClaimOutcome>;

const attempts = 3;

/**
 * Takes the session's slot and the idempotency key in one transaction, before anything is asked of anyone else.
 * @throws ServiceError `NOT_FOUND`, `IDEMPOTENCY_KEY_REUSED`, `SHUTTING_DOWN`, `GENERATION_IN_PROGRESS`, `RATE_LIMITED`
 */
export function createClaimGeneration(deps: ClaimDependencies): ClaimGeneration {
  const { database, store, keys, recover, clock, newId, probe } = deps;

  async function tryClaim(request: SendRequest, id: string): Promise<ClaimOutcome | { kind: 'expired'; id: string }> {
    const { userId, sessionId, idempotencyKey } = request;
    const requestHash = keys.hash('send', fingerprint(request));
    return database.transaction(async (tx) => {
      await store.lockAccount(tx, userId);
      const session = await store.lockSession(tx, sessionId, userId);
      if (session === null) throw new ServiceError('NOT_FOUND');
      if (idempotencyKey !== undefined) {
        const known = await keys.find(tx, userId, idempotencyKey, requestHash);
        if (known !== null) {
          const { generationId } = known;
          const live = await store.findLive(tx, sessionId);
          // Whether it was admitted decides what the key stands for, and its owner is not going to say.
          if (live?.expired === true && live.row.id === generationId) return { kind: 'expired', id: live.row.id };
          return { kind: 'joined', generationId: generationId ?? '' };
        }
      }
      if (deps.isShuttingDown()) throw new ServiceError('SHUTTING_DOWN', { retryAfter: 5 });
      const live = await store.findLive(tx, sessionId);
      if (live?.expired === true) return { kind: 'expired', id: live.row.id };
      if (live !== null) {
        throw new ServiceError('GENERATION_IN_PROGRESS', {
          detail: 'This session is generating an answer already.',
          sessionId,
          streamId: live.row.id,
        });
      }
      if ((await store.countLive(tx, userId)) >= deps.maxConcurrentGenerations) {
        throw new ServiceError('RATE_LIMITED', {
          detail: `At most ${deps.maxConcurrentGenerations} answers can be generated at once.`,
          retryAfter: 1,
        });
      }
      const fence = await store.raiseFence(tx, sessionId);
      const modelId = request.modelId ?? session.modelId ?? deps.defaultModelId;
      const now = new Date(clock.now());
      await store.insertClaim(
        tx,
        { id, sessionId, userId, owner: deps.instanceId, modelId, createdAt: now, fence },
        deps.leaseMilliseconds,
      );
      if (idempotencyKey !== undefined) {
        const remembered = { operation: 'send', requestHash, sessionId, generationId: id } as const;
        await keys.remember(tx, userId, idempotencyKey, remembered, now);
      }
      return { kind: 'claimed', claim: { id, fence, session, userId, modelId } };
    });
  }

  return async function claimGeneration(request) {
    const id = newId();
    await probe('claiming', id);
    for (let attempt = 0; attempt < attempts; attempt += 1) {
      const outcome = await tryClaim(request, id);
      if (outcome.kind !== 'expired') {
        if (outcome.kind === 'claimed') await probe('claimed', id);
        return outcome;
      }
      await recover(outcome.id);
    }
    throw new ServiceError('GENERATION_IN_PROGRESS', { retryAfter: 1 });
  };
}
