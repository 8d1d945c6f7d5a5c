import type { Database } from '../../db/database.ts';
import type { Logger } from '../../platform/logger.ts';
import { ServiceError } from '../../platform/service-error.ts';
import type { CountTokens } from './count-tokens.ts';
import type { EndGeneration } from './end-generation.ts';
import { terminalEvent } from './generation-events.ts';
import type { GenerationLog } from './generation-log.ts';
import type { GenerationRow, GenerationsStore } from './generations-store.ts';
import type { RefuseGeneration } from './refuse-generation.ts';
import type { SegmentsStore } from './segments-store.ts';
import { usageCounted } from './usage-of.ts';

export interface RecoverDependencies {
  readonly database: Database;
  readonly store: GenerationsStore;
  readonly segments: SegmentsStore;
  readonly log: GenerationLog;
  readonly end: EndGeneration;
  readonly refuse: RefuseGeneration;
  readonly loadTokenCounter: () => Promise<CountTokens>;
  readonly instanceId: string;
  readonly leaseMilliseconds: number;
  readonly logger: Logger;
}

export interface RecoverOptions {
  /** Takes it also from an owner whose lease still runs: for a deletion, or an owner that is known to be dead. */
  readonly force?: boolean;
}

/** Ends a generation in its owner's place, from what the owner had stored; nothing happens where there is no need. */
export type RecoverGeneration = (generationId: string, options?: RecoverOptions) => Promise<void>;

/** Takes the fence first, so that whatever the former owner writes afterwards changes nothing. */
export function createRecoverGeneration(deps: RecoverDependencies): RecoverGeneration {
  const { database, store, segments, log, end, refuse, logger } = deps;

  async function takeOver(id: string, force: boolean): Promise<{ row: GenerationRow; fence: number } | null> {
    const found = await store.find(database.query, id);
    if (found === null) return null;
    return database.transaction(async (tx) => {
      await store.lockSessionOf(tx, found.sessionId);
      const live = await store.findLive(tx, found.sessionId);
      if (live === null || live.row.id !== id || !(live.expired || force)) return null;
      const fence = await store.raiseFence(tx, found.sessionId);
      const next = { fence, owner: deps.instanceId };
      return (await store.takeOver(tx, live.row, next, deps.leaseMilliseconds)) ? { row: live.row, fence } : null;
    });
  }

  return async function recoverGeneration(id, { force = false } = {}) {
    const taken = await takeOver(id, force);
    if (taken === null) return;
    const { row, fence } = taken;
    const { sessionId, userId } = row;
    const context = { generationId: id, sessionId, formerOwner: row.owner, status: row.status };
    if (row.status === 'reserving') {
      const detail = 'The request was interrupted before it was admitted.';
      const refusal = new ServiceError('UNAVAILABLE', { detail });
      await refuse({ id, fence, sessionId, userId }, refusal, { mayBeHeld: true });
      logger.warn(context, 'refused a claim whose owner is gone');
      return;
    }
    const stored = await segments.read(database.query, id);
    const text = stored?.text ?? '';
    const modelId = row.servedBy ?? row.modelId;
    const price = row.prices?.[modelId] ?? { input: 0, output: 0 };
    const countTokens = await deps.loadTokenCounter();
    const message = await end(
      { id, fence, sessionId, userId },
      {
        status: 'interrupted',
        text,
        textPosition: { fence, number: 1 },
        endPosition: { fence, number: 2 },
        usage: text === '' ? null : usageCounted(row.promptTokens ?? 0, countTokens(text), price),
        finishReason: null,
        errorCode: 'INTERRUPTED',
        stoppedBy: null,
        modelId,
        fallbackFrom: row.servedBy === null ? null : row.modelId,
      },
    );
    if (message === null) return;
    // Readers may hold text that was never stored: the resync takes it back before the end is told.
    await log.append(sessionId, [
      {
        position: { fence, number: 1 },
        previous: { fence, number: 0 },
        event: { type: 'resync', streamId: id, message },
      },
      { position: { fence, number: 2 }, previous: { fence, number: 1 }, event: terminalEvent(message) },
    ]);
    logger.warn(context, 'ended a generation whose owner is gone');
  };
}
