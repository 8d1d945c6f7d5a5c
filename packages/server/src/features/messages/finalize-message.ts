import type { FinalizeMessageInput, FinalizeMessageOutput } from '@chat-service/shared/message-api';
import { ServiceError } from '../../platform/service-error.ts';
import type { ReadSnapshot } from '../generations/generation-snapshot.ts';
import type { FindLatestGeneration } from '../generations/find-latest-generation.ts';
import type { RequireSession } from './require-session.ts';

/**
 * Takes the client's acknowledgement of an answer and says whether its text is the stored one. It changes nothing: a
 * client that could write the answer or its usage could forge both.
 * @throws ServiceError `NOT_FOUND`, `GENERATION_IN_PROGRESS`
 */
export type FinalizeMessage = (request: FinalizeMessageInput & { userId: string }) => Promise<FinalizeMessageOutput>;

export interface FinalizeMessageDependencies {
  readonly requireSession: RequireSession;
  readonly findLatestGeneration: FindLatestGeneration;
  readonly readSnapshot: ReadSnapshot;
}

export function createFinalizeMessage(deps: FinalizeMessageDependencies): FinalizeMessage {
  const { requireSession, findLatestGeneration, readSnapshot } = deps;
  return async function finalizeMessage({ userId, sessionId, streamId, completeResponse }) {
    await requireSession(userId, sessionId);
    const id = streamId ?? (await findLatestGeneration(sessionId));
    const snapshot = id === null ? null : await readSnapshot(id);
    if (snapshot === null || snapshot.row.sessionId !== sessionId || snapshot.row.status === 'refused') {
      throw new ServiceError('NOT_FOUND');
    }
    const { message, endPosition, row } = snapshot;
    if (message === null || endPosition === null) {
      throw new ServiceError('GENERATION_IN_PROGRESS', { sessionId, streamId: row.id });
    }
    return { message, usage: message.usage, matches: message.content === completeResponse };
  };
}
