import { ServiceError } from '../../platform/service-error.ts';
import type { AwaitGeneration } from '../generations/await-generation.ts';
import type { FindByKey } from '../generations/find-by-key.ts';
import type { FollowRequest } from '../generations/follow-generation.ts';
import type { ResolveReader } from '../generations/resolve-reader.ts';
import type { SendRequest } from '../generations/send-request.ts';
import type { Replayable } from '../idempotency/replayable.ts';
import type { StartGeneration } from '../generations/start-generation.ts';
import type { EventStream, Identify } from './follow-message.ts';

export interface StreamMessageDependencies {
  readonly startGeneration: StartGeneration;
  readonly awaitGeneration: AwaitGeneration;
  readonly resolveReader: ResolveReader;
  readonly findByKey: FindByKey;
  readonly identify: Identify;
}

/**
 * Sends a message and watches the answer. With the id of an event already seen it only watches: it starts nothing.
 * Resolves once the answer is admitted; null when there is nothing more to send.
 * @throws ServiceError with the refusal, before anything is sent
 */
export type StreamMessage = (
  request: SendRequest & { readonly lastEventId?: string | null | undefined },
  signal: AbortSignal,
) => Promise<Replayable<EventStream | null>>;

export function createStreamMessage(deps: StreamMessageDependencies): StreamMessage {
  const { startGeneration, awaitGeneration, resolveReader, findByKey, identify } = deps;

  async function start(request: SendRequest, signal: AbortSignal): Promise<Replayable<FollowRequest | null>> {
    const { generationId, claimFence } = await startGeneration(request);
    const { sessionId, userId } = request;
    if (claimFence === null) {
      // It may still be refused, which is to be told before anything is sent.
      await awaitGeneration({ id: generationId, sessionId }, 'admitted', signal);
      return { output: await resolveReader({ userId, sessionId, generationId }), replayed: true };
    }
    return { output: { generationId, sessionId, claimFence, from: 'start' }, replayed: false };
  }

  /** A readable id names its generation; under an unreadable one the key still tells which one it was. */
  async function resume(request: SendRequest, lastEventId: string): Promise<FollowRequest | null> {
    const { userId, sessionId } = request;
    const generationId = (await findByKey(request)) ?? undefined;
    const reader = await resolveReader({ userId, sessionId, generationId, lastEventId });
    if (reader?.from === 'unknown' && generationId === undefined) {
      throw new ServiceError('NOT_FOUND', { detail: 'There is no answer to go on with.' });
    }
    return reader;
  }

  return async function streamMessage({ lastEventId, ...request }, signal) {
    const { output: reader, replayed } =
      lastEventId == null
        ? await start(request, signal)
        : { output: await resume(request, lastEventId), replayed: false };
    return { output: reader === null ? null : identify(reader, lastEventId ?? null, signal), replayed };
  };
}
