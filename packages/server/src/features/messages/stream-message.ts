import { ServiceError } from '../../platform/service-error.ts';
import type { FindByKey } from '../generations/find-by-key.ts';
import type { FollowGeneration, FollowRequest } from '../generations/follow-generation.ts';
import type { ResolveReader } from '../generations/resolve-reader.ts';
import type { SendRequest } from '../generations/send-request.ts';
import type { StartGeneration } from '../generations/start-generation.ts';
import { identify, type EventStream } from './follow-message.ts';

export interface StreamMessageDependencies {
  readonly startGeneration: StartGeneration;
  readonly resolveReader: ResolveReader;
  readonly findByKey: FindByKey;
  readonly followGeneration: FollowGeneration;
}

/** Sends a message and watches the answer. With the id of an event already seen it only watches: it starts nothing. */
export type StreamMessage = (
  request: SendRequest & { readonly lastEventId?: string | null | undefined },
  signal: AbortSignal,
) => EventStream;

export function createStreamMessage(deps: StreamMessageDependencies): StreamMessage {
  const { startGeneration, resolveReader, findByKey, followGeneration } = deps;

  async function start(request: SendRequest): Promise<FollowRequest | null> {
    const { generationId, claimFence } = await startGeneration(request);
    const { sessionId, userId } = request;
    if (claimFence === null) return resolveReader({ userId, sessionId, generationId });
    return { generationId, sessionId, claimFence, from: 'start' };
  }

  /** A readable id names its generation; under an unreadable one the key still tells which one it was. */
  async function resume(request: SendRequest, lastEventId: string): Promise<FollowRequest> {
    const { userId, sessionId } = request;
    const generationId = (await findByKey(request)) ?? undefined;
    const reader = await resolveReader({ userId, sessionId, generationId, lastEventId });
    if (reader === null || (reader.from === 'unknown' && generationId === undefined)) {
      throw new ServiceError('NOT_FOUND', { detail: 'There is no answer to go on with.' });
    }
    return reader;
  }

  return async function* streamMessage({ lastEventId, ...request }, signal) {
    const reader = lastEventId == null ? await start(request) : await resume(request, lastEventId);
    if (reader !== null) yield* identify(followGeneration, reader, signal);
  };
}
