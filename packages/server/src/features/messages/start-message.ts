import type { StartMessageOutput } from '@chat-service/shared/message-api';
import type { AwaitGeneration } from '../generations/await-generation.ts';
import type { Replayable } from '../idempotency/replayable.ts';
import type { SendRequest } from '../generations/send-request.ts';
import type { StartGeneration } from '../generations/start-generation.ts';

export interface StartMessageDependencies {
  readonly startGeneration: StartGeneration;
  readonly awaitGeneration: AwaitGeneration;
}

/** Sends a message and returns as soon as the answer is admitted: it is followed, or read, later. */
export type StartMessage = (request: SendRequest, signal?: AbortSignal) => Promise<Replayable<StartMessageOutput>>;

export function createStartMessage({ startGeneration, awaitGeneration }: StartMessageDependencies): StartMessage {
  return async function startMessage(request, signal) {
    const { generationId, claimFence } = await startGeneration(request);
    const target = { id: generationId, sessionId: request.sessionId };
    const { userMessage } = await awaitGeneration(target, 'admitted', signal);
    return { output: { streamId: generationId, userMessage }, replayed: claimFence === null };
  };
}
