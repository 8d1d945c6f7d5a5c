import type { GenerationEvent, ObservedEvent } from '@chat-service/shared/events';
import type { Message } from '@chat-service/shared/objects';

/** The assistant message as far as it is known: the times are there once the server has sent the stored message. */
export type MessageSnapshot = Omit<Message, 'createdAt' | 'updatedAt'> &
  Partial<Pick<Message, 'createdAt' | 'updatedAt'>>;

/** An event together with its position in the session's log. */
export interface TrackedEvent {
  readonly id: string;
  readonly event: GenerationEvent | ObservedEvent;
}

/** The same in one object, as a stream yields it. */
export type StreamEvent = GenerationEvent & { readonly id: string };

/** What the events of one generation seen so far amount to. */
export interface GenerationState {
  readonly sessionId: string;
  /** Null until the first event. */
  readonly streamId: string | null;
  /** Resume after this event; null before the first one. */
  readonly lastEventId: string | null;
  /** The message that is answered; null until `start`, or where it has been deleted. */
  readonly userMessage: Message | null;
  readonly title: string | null;
  /** The assistant message; null until the first event. */
  readonly message: MessageSnapshot | null;
  /** Whether the last event of the generation has been seen. */
  readonly ended: boolean;
}

/** The state before any event, for `reduceGeneration`. */
export function initialGenerationState(sessionId: string): GenerationState {
  return {
    sessionId,
    streamId: null,
    lastEventId: null,
    userMessage: null,
    title: null,
    message: null,
    ended: false,
  };
}

/**
 * Adds one event to what is known. Pure, and idempotent by event id: ids of a session increase bytewise, so an event whose
 * id is not beyond the last one seen changes nothing, and any replay or duplication ends in the same message. Events of
 * another generation change nothing either.
 */
export function reduceGeneration(state: GenerationState, { id, event }: TrackedEvent): GenerationState {
  if (state.lastEventId !== null && id <= state.lastEventId) return state;
  // What is told beside the generation, as how many watch it, names none.
  const streamId = 'streamId' in event ? event.streamId : state.streamId;
  if (state.streamId !== null && streamId !== state.streamId) return state;
  const next = { ...state, lastEventId: id, streamId };
  switch (event.type) {
    case 'start':
      return {
        ...next,
        userMessage: event.userMessage,
        title: event.title,
        message: state.message ?? { ...emptyMessage(state.sessionId, event.streamId), modelId: event.modelId },
      };
    case 'chunk': {
      const message = state.message ?? emptyMessage(state.sessionId, event.streamId);
      return { ...next, message: { ...message, content: message.content + event.text } };
    }
    case 'resync':
      return { ...next, message: event.message };
    case 'done':
    case 'error':
      return { ...next, message: event.message, ended: true };
    default:
      // A newer server may send types that this version does not know.
      return next;
  }
}

/** The message that a generation begins with. */
export function emptyMessage(sessionId: string, streamId: string): MessageSnapshot {
  return {
    id: streamId,
    sessionId,
    role: 'assistant',
    content: '',
    status: 'streaming',
    modelId: null,
    fallbackFrom: null,
    stoppedBy: null,
    usage: null,
    finishReason: null,
    error: null,
  };
}
