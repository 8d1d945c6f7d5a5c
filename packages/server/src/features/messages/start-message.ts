import type { StartMessageOutput } from '@chat-service/shared/message-api';
import type { AwaitGeneration } from '../generations/await-generation.ts';
import type { SendRequest } from '../generations/send-request.ts';
import type { StartGeneration } from '../generations/start-generation.ts';

export interface StartMessageDependencies {
  readonly startGeneration: StartGeneration;
  readonly awaitGeneration: AwaitGeneration;
}

/** Sends a message and returns as soon as the answer is admitted: it is followed, or read, later. */
export type StartMessage = (request: SendRequest, signal?: AbortSignal) => Promise<StartMessageOutput>;

export function createStartMessage({ startGeneration, awaitGeneration }: StartMessageDependencies): StartMessage {
  return async function startMessage(request, signal) {
    const { generationId } = await startGeneration(request);
    const target = { id: generationId, sessionId: request.sessionId };
    const { userMessage } = await awaitGeneration(target, 'admitted', signal);
    return { streamId: generationId, userMessage };
  };
}
