import type { ErrorCode } from '@chat-service/shared/errors';
import type { FinishReason, Message, Usage } from '@chat-service/shared/objects';
import { eq } from 'drizzle-orm';
import type { Micro } from '../../clients/accounting/accounting.ts';
import type { Database, Queryable } from '../../db/database.ts';
import type { Clock } from '../../platform/clock.ts';
import { toCredits, toMicro } from '../credits/credit-amount.ts';
import type { SettleUsage } from '../credits/settle-usage.ts';
import type { FencedGeneration, GenerationsStore } from './generations-store.ts';
import { toMessage } from './message-row.ts';
import type { MessageStore } from './message-store.ts';
import { isSamePosition, type Position } from './position.ts';
import type { SegmentsStore } from './segments-store.ts';

/** How a generation ended: what its message becomes. */
export interface GenerationOutcome {
  readonly status: 'complete' | 'stopped' | 'failed' | 'interrupted';
  readonly text: string;
  readonly textPosition: Position;
  readonly endPosition: Position;
  /** With what it costs, of which no more is charged than is held; null where nothing is charged. */
  readonly usage: Usage | null;
  readonly finishReason: FinishReason | null;
  readonly errorCode: ErrorCode | null;
  readonly stoppedBy: Message['stoppedBy'];
  /** The model that answered. */
  readonly modelId: string;
  /** The model asked for, where another one answered. */
  readonly fallbackFrom: string | null;
}

export interface EndDependencies {
  readonly database: Database;
  readonly store: GenerationsStore;
  readonly messages: MessageStore;
  readonly segments: SegmentsStore;
  readonly settleUsage: SettleUsage;
  readonly clock: Clock;
}

export interface EndingGeneration extends FencedGeneration {
  readonly sessionId: string;
  readonly userId: string;
}

/** The message as stored, or null when the generation is no longer the caller's to end: then nothing was changed. */
export type EndGeneration = (generation: EndingGeneration, outcome: GenerationOutcome) => Promise<Message | null>;

/** The end is one transaction: status, text and position, usage, the session's slot. Nothing is published before it commits. */
export function createEndGeneration(deps: EndDependencies): EndGeneration {
  const { database, store, messages, segments, settleUsage, clock } = deps;
  const { sessions } = database.tables;

  async function end(tx: Queryable, generation: EndingGeneration, outcome: GenerationOutcome): Promise<Message | null> {
    const { id, sessionId } = generation;
    const { status, text, textPosition, endPosition } = outcome;
    const endedAt = new Date(clock.now());
    await store.lockSessionOf(tx, sessionId);
    const admittedAt = await store.end(tx, generation, { status, text: textPosition, end: endPosition, endedAt });
    if (admittedAt === null) return alreadyEnded(tx, generation, outcome);
    const charged = await settle(tx, generation, outcome, { admittedAt, endedAt });
    const row = await messages.finish(tx, id, {
      content: text,
      status,
      modelId: outcome.modelId,
      fallbackFrom: outcome.fallbackFrom,
      stoppedBy: outcome.stoppedBy,
      usage: outcome.usage === null ? null : { ...outcome.usage, credits: toCredits(charged) },
      finishReason: outcome.finishReason,
      errorCode: outcome.errorCode,
      updatedAt: endedAt,
    });
    await segments.remove(tx, id);
    await tx
      .update(sessions)
      .set({
        activeGenerationId: null,
        logFence: endPosition.fence,
        logNumber: endPosition.number,
        updatedAt: endedAt,
      })
      .where(eq(sessions.id, sessionId));
    if (row === null) throw new Error(`The message of generation ${id} is gone while it is running.`);
    return toMessage(row);
  }

  function settle(
    tx: Queryable,
    { id, userId }: EndingGeneration,
    { usage, status, modelId }: GenerationOutcome,
    { admittedAt, endedAt }: { admittedAt: Date; endedAt: Date },
  ): Promise<Micro> {
    return settleUsage.end(tx, {
      usageId: id,
      userId,
      used: usage === null ? null : { ...tokensOf(usage), cost: toMicro(usage.credits), modelId },
      outcome: status,
      computeMilliseconds: Math.max(0, endedAt.getTime() - admittedAt.getTime()),
      occurredAt: endedAt,
    });
  }

  /** A commit whose answer was lost is found here when it is tried again. */
  async function alreadyEnded(tx: Queryable, generation: EndingGeneration, outcome: GenerationOutcome) {
    const row = await store.find(tx, generation.id);
    if (row?.fence !== generation.fence || row.endFence === null || row.endNumber === null) return null;
    if (!isSamePosition({ fence: row.endFence, number: row.endNumber }, outcome.endPosition)) return null;
    const message = await messages.find(tx, generation.id);
    return message === null ? null : toMessage(message);
  }

  return async (generation, outcome) => {
    const message = await database.transaction((tx) => end(tx, generation, outcome));
    settleUsage.committed();
    return message;
  };
}

function tokensOf({ inputTokens, outputTokens }: Usage) {
  return { inputTokens, outputTokens };
}
