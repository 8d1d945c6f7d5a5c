import type { SendMessageOutput } from '@chat-service/shared/message-api';
import type { AwaitGeneration } from '../generations/await-generation.ts';
import { failureOf } from '../generations/generation-events.ts';
import type { Replayable } from '../idempotency/replayable.ts';
import type { SendRequest } from '../generations/send-request.ts';
import type { StartGeneration } from '../generations/start-generation.ts';

export interface SendMessageDependencies {
  readonly startGeneration: StartGeneration;
  readonly awaitGeneration: AwaitGeneration;
}

/**
 * Sends a message and waits for the whole answer. The answer goes on when the caller leaves.
 * @throws ServiceError `MODEL_ERROR`, `MODEL_TIMEOUT`, `MODEL_UNAVAILABLE` or `INTERRUPTED`, with `streamId` and
 * `userMessageId`, for an answer that failed
 */
export type SendMessage = (request: SendRequest, signal?: AbortSignal) => Promise<Replayable<SendMessageOutput>>;

export function createSendMessage({ startGeneration, awaitGeneration }: SendMessageDependencies): SendMessage {
  return async function sendMessage(request, signal) {
    const { generationId, claimFence } = await startGeneration(request);
    const target = { id: generationId, sessionId: request.sessionId };
    const { message, userMessage, row } = await awaitGeneration(target, 'ended', signal);
    const failure = failureOf(message, row.userMessageId);
    if (failure !== null) throw failure;
    return { output: { userMessage, message, usage: message.usage }, replayed: claimFence === null };
  };
}
