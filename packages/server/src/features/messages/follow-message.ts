import type { GenerationEvent } from '@chat-service/shared/events';
import type { FollowGeneration, FollowRequest } from '../generations/follow-generation.ts';
import { formatEventId } from '../generations/position.ts';
import type { ReaderRequest, ResolveReader } from '../generations/resolve-reader.ts';

/** An event with the id under which a reader resumes after it. */
export interface IdentifiedEvent {
  readonly id: string;
  readonly event: GenerationEvent;
}

export type EventStream = AsyncGenerator<IdentifiedEvent, void, void>;

export interface FollowMessageDependencies {
  readonly resolveReader: ResolveReader;
  readonly followGeneration: FollowGeneration;
}

/**
 * Watches an answer: the one named, or the one that runs or has just ended. Null when there is nothing (more) to send.
 * @throws ServiceError `NOT_FOUND`, before anything is sent
 */
export type FollowMessage = (request: ReaderRequest, signal: AbortSignal) => Promise<EventStream | null>;

export function createFollowMessage({ resolveReader, followGeneration }: FollowMessageDependencies): FollowMessage {
  return async function followMessage(request, signal) {
    const reader = await resolveReader(request);
    return reader === null ? null : identify(followGeneration, reader, signal);
  };
}

/** Puts event ids in the place of positions. */
export async function* identify(follow: FollowGeneration, reader: FollowRequest, signal: AbortSignal): EventStream {
  for await (const { position, event } of follow(reader, signal)) {
    yield { id: formatEventId(reader.sessionId, position), event };
  }
}
