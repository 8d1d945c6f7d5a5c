import type { StartEvent } from '@chat-service/shared/events';
import type { Parameters } from '@chat-service/shared/objects';
import type { PromptMessage } from '../../clients/providers/provider.ts';
import type { GenerationPrices } from '../../db/column-types.ts';
import type { Database } from '../../db/database.ts';
import type { Clock } from '../../platform/clock.ts';
import type { NewId } from '../../platform/ids.ts';
import { ServiceError } from '../../platform/service-error.ts';
import { automaticTitle } from './automatic-title.ts';
import type { Reservation } from '../credits/reserve-credits.ts';
import type { SettleUsage } from '../credits/settle-usage.ts';
import type { Claim } from './claim-generation.ts';
import type { FencedGeneration, GenerationsStore } from './generations-store.ts';
import { toMessage } from './message-row.ts';
import type { MessageStore } from './message-store.ts';
import type { Position } from './position.ts';
import type { Probe } from './probe.ts';

/** What is asked of the model, decided before admission and not changed by anything after it. */
export interface PreparedPrompt {
  readonly messages: readonly PromptMessage[];
  readonly parameters: Parameters;
  readonly promptTokens: number;
  /** Whether every model that may answer counts tokens like that. */
  readonly countedExactly: boolean;
  /** Most tokens of the answer: what the request, the model, its window and what is held for it allow. */
  readonly maxTokens: number;
  readonly prices: GenerationPrices;
  /** The message that is answered where the request brings none of its own. */
  readonly answeredMessageId: string | null;
}

/** A generation that exists: its rows are committed, its model is not called yet. */
export interface AdmittedGeneration extends FencedGeneration {
  readonly sessionId: string;
  readonly userId: string;
  readonly modelId: string;
  readonly prompt: PreparedPrompt;
  readonly start: StartEvent;
  readonly position: Position;
  /** The newest position of the session's log before it. */
  readonly previous: Position;
  /** When the lease was last known to be held, by this process's clock. */
  readonly confirmedAt: number;
}

export interface AdmitDependencies {
  readonly database: Database;
  readonly store: GenerationsStore;
  readonly messages: MessageStore;
  readonly settleUsage: SettleUsage;
  readonly clock: Clock;
  readonly newId: NewId;
  readonly probe: Probe;
  readonly leaseMilliseconds: number;
}

export type AdmitGeneration = (
  claim: Claim,
  message: string | undefined,
  prompt: PreparedPrompt,
  reservation: Reservation,
) => Promise<AdmittedGeneration>;

/**
 * Turns a claim into a running generation: both messages, counters and the generation's row in one transaction.
 * @throws ServiceError `CONFLICT` when it was stopped before, `NOT_FOUND` when the session was deleted, `UNAVAILABLE`
 * when the claim was lost
 */
export function createAdmitGeneration(deps: AdmitDependencies): AdmitGeneration {
  const { database, store, messages, settleUsage, clock, newId, probe } = deps;

  return async function admitGeneration(claim, message, prompt, reservation) {
    const { id, userId, modelId } = claim;
    const userMessageId = prompt.answeredMessageId ?? newId();
    await probe('admitting', id);
    const confirmedAt = clock.now();
    const admitted = await database.transaction(async (tx): Promise<AdmittedGeneration> => {
      await store.lockAccount(tx, userId);
      const session = await store.lockSession(tx, claim.session.id, userId);
      if (session === null) throw new ServiceError('NOT_FOUND');
      // What has changed in the session since the claim has its place before this answer.
      const fence = session.fence === claim.fence ? claim.fence : await store.raiseFence(tx, session.id);
      const position: Position = { fence, number: 1 };
      const now = new Date(clock.now());
      const request = { parameters: prompt.parameters, maxTokens: prompt.maxTokens };
      const { prices, promptTokens } = prompt;
      const values = { userMessageId, request, prices, promptTokens, text: position, admittedAt: now };
      if (!(await store.admit(tx, claim, values, deps.leaseMilliseconds))) {
        const row = await store.find(tx, id);
        throw row?.stopRequestedBy != null && row.status === 'reserving'
          ? new ServiceError('CONFLICT', { detail: 'The answer was stopped before it began.' })
          : new ServiceError('UNAVAILABLE', { detail: 'The request took too long to be admitted.' });
      }
      const title = session.title ?? (message === undefined ? null : automaticTitle(message));
      const common = { modelId: null, createdAt: now };
      const rows = await messages.append(
        tx,
        session,
        [
          ...(message === undefined
            ? []
            : [{ ...common, id: userMessageId, role: 'user' as const, content: message, status: 'complete' as const }]),
          { ...common, id, role: 'assistant', content: '', status: 'streaming', modelId },
        ],
        { title, activeGenerationId: id },
        now,
      );
      const usage = { usageId: id, userId, sessionId: session.id, modelId, at: now };
      await settleUsage.admit(tx, usage, reservation);
      const [userMessage] = message === undefined ? [await messages.find(tx, userMessageId)] : rows;
      return {
        id,
        fence,
        sessionId: session.id,
        userId,
        modelId,
        prompt,
        position,
        previous: { fence: session.logFence, number: session.logNumber },
        confirmedAt,
        start: {
          type: 'start',
          streamId: id,
          sessionId: session.id,
          userMessage: userMessage == null ? null : toMessage(userMessage),
          title,
          modelId,
        },
      };
    });
    await probe('admitted', id);
    return admitted;
  };
}
