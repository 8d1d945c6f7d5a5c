import type { GenerationEvent, ObservedEvent } from '@chat-service/shared/events';
import type { FollowGeneration, FollowRequest } from '../generations/follow-generation.ts';
import { formatEventId } from '../generations/position.ts';
import type { ObservedNotices } from '../generations/reader-notices.ts';
import type { ReaderRequest, ResolveReader } from '../generations/resolve-reader.ts';

/** An event with the id under which a reader resumes after it. */
export interface IdentifiedEvent {
  readonly id: string;
  readonly event: GenerationEvent;
}

export type EventStream = AsyncGenerator<IdentifiedEvent, void, void>;

export interface FollowMessageDependencies {
  readonly resolveReader: ResolveReader;
  readonly identify: Identify;
}

/**
 * Watches an answer: the one named, or the one that runs or has just ended. Null when there is nothing (more) to send.
 * @throws ServiceError `NOT_FOUND`, before anything is sent
 */
export type FollowMessage = (request: ReaderRequest, signal: AbortSignal) => Promise<EventStream | null>;

export function createFollowMessage({ resolveReader, identify }: FollowMessageDependencies): FollowMessage {
  return async function followMessage(request, signal) {
    const reader = await resolveReader(request);
    return reader === null ? null : identify(reader, request.lastEventId ?? null, signal);
  };
}

/** Follows a generation with event ids in the place of positions. */
export type Identify = (reader: FollowRequest, lastEventId: string | null, signal: AbortSignal) => EventStream;

export function createIdentify(follow: FollowGeneration, observedNotices: ObservedNotices | null): Identify {
  return async function* identify(reader, lastEventId, signal) {
    const { sessionId, from } = reader;
    const resumedAfter = typeof from === 'string' ? null : lastEventId;
    const notices = observedNotices?.(sessionId, resumedAfter !== null) ?? null;
    const told = notices === null ? null : { notices, resumedAfter };
    for await (const { position, event, id } of follow<ObservedEvent>(reader, signal, told)) {
      // `observed` is none of the answer's events: one of those types that watchers of an answer need not know.
      yield { id: id ?? formatEventId(sessionId, position), event: event as GenerationEvent };
    }
  };
}
