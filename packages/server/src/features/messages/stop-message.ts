import type { StopMessageInput, StopMessageOutput } from '@chat-service/shared/message-api';
import type { StopGeneration } from '../generations/stop-generation.ts';
import type { RequireSession } from './require-session.ts';

/** Stops an answer of one's own session: `{ message }` with what was written until then. */
export type StopMessage = (
  request: StopMessageInput & { userId: string },
  signal?: AbortSignal,
) => Promise<StopMessageOutput>;

export interface StopMessageDependencies {
  readonly requireSession: RequireSession;
  readonly stopGeneration: StopGeneration;
}

export function createStopMessage({ requireSession, stopGeneration }: StopMessageDependencies): StopMessage {
  return async function stopMessage({ userId, sessionId, streamId }, signal) {
    await requireSession(userId, sessionId);
    return { message: await stopGeneration({ sessionId, generationId: streamId, by: 'user' }, signal) };
  };
}
