import type { Tables } from '../../../src/db/database.ts';
import type { GenerationRow, SessionRow } from '../../../src/features/generations/generations-store.ts';
import type { MessageRow } from '../../../src/features/generations/message-row.ts';
import { generationRow, sessionRow } from '../../support/rows.ts';

/** Rows as the database returns them: with the defaults that it fills in. */
export function emptySession(id: string): SessionRow {
  return {
    title: null,
    modelId: null,
    systemPrompt: null,
    messageCount: 0,
    lastMessageAt: null,
    activeGenerationId: null,
    nextSequence: 1,
    fence: 0,
    logFence: 0,
    logNumber: 0,
    deletedAt: null,
    ...sessionRow(id, 'user'),
  } as SessionRow;
}

export function emptyGeneration(id: string, sessionId: string, fence: number): GenerationRow {
  return {
    userMessageId: null,
    stopRequestedBy: null,
    request: null,
    prices: null,
    promptTokens: null,
    textFence: 0,
    textNumber: 0,
    endFence: null,
    endNumber: null,
    refusal: null,
    admittedAt: null,
    endedAt: null,
    ...generationRow(id, sessionId, fence),
  } as GenerationRow;
}

export function emptyMessage(
  message: Omit<Tables['messages']['$inferInsert'], 'sessionId' | 'sequence' | 'updatedAt'>,
  session: SessionRow,
  index: number,
): MessageRow {
  return {
    fallbackFrom: null,
    stoppedBy: null,
    usage: null,
    finishReason: null,
    errorCode: null,
    ...message,
    sessionId: session.id,
    sequence: session.nextSequence + index,
    updatedAt: message.createdAt,
  } as MessageRow;
}
