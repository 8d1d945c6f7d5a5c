import type { ErrorCode } from './errors.ts';
import type { FinishReason, Message, Session, Usage } from './objects.ts';
import type { User } from './supervisor-api.ts';

/** Sent once the rows of a generation are committed, before its model is called. */
export interface StartEvent {
  type: 'start';
  streamId: string;
  sessionId: string;
  /** The message that is answered; null when it has been deleted since. */
  userMessage: Message | null;
  title: string | null;
  /** The model asked for. */
  modelId: string;
}

/** Text that follows what was sent before. */
export interface ChunkEvent {
  type: 'chunk';
  streamId: string;
  text: string;
}

/** Last: the answer as stored. `message.content` is the answer, whatever chunks were seen. */
export interface DoneEvent {
  type: 'done';
  streamId: string;
  message: Message;
  usage: Usage | null;
  finishReason: FinishReason;
}

/** Last: the generation failed; `message` holds what was produced. */
export interface ErrorEvent {
  type: 'error';
  streamId: string;
  error: { code: ErrorCode; message: string; retryable: boolean };
  message: Message;
}

/** The position asked for can no longer be served: drop what was seen, `message.content` is the text at this event's id. */
export interface ResyncEvent {
  type: 'resync';
  streamId: string;
  message: Message;
}

/** What a watcher of one generation receives. Clients ignore types they do not know. */
export type GenerationEvent = StartEvent | ChunkEvent | DoneEvent | ErrorEvent | ResyncEvent;
/** The last event of a generation: there is exactly one, sent once its end is stored. */
export type TerminalEvent = DoneEvent | ErrorEvent;

export function isTerminalEvent(event: GenerationEvent): event is TerminalEvent {
  return event.type === 'done' || event.type === 'error';
}

/** What is already there begins: `count` messages follow, of `total` that are stored. */
export interface HistoryStartEvent {
  type: 'history-start';
  count: number;
  total: number;
}

/** What is already there ends. From here on an id continues without a gap. */
export interface HistoryEndEvent {
  type: 'history-end';
}

/** A message as it is stored now: an upsert by its id. */
export interface MessageEvent {
  type: 'message';
  message: Message;
}

/** A message is gone. */
export interface MessageDeletedEvent {
  type: 'message-deleted';
  messageId: string;
}

/** The session as it is now. */
export interface SessionUpdatedEvent {
  type: 'session-updated';
  session: Session;
}

/** Last: the session and everything in it is gone. */
export interface SessionDeletedEvent {
  type: 'session-deleted';
  sessionId: string;
}

/** What happens in a session beside its generations. */
export type SessionChangeEvent = MessageDeletedEvent | SessionUpdatedEvent | SessionDeletedEvent;

/** Tells the user how many supervisors are watching; only where the operator has it shown. */
export interface ObservedEvent {
  type: 'observed';
  observers: number;
}

/** Tells an observer where the observation stands. */
export type ObserverEvent =
  /** First. `observers` counts oneself. */
  | { type: 'observer'; status: 'connected'; session: Session; user: User; observers: number }
  /** Whenever one of the two changes: whether an answer is being written, and how many are watching. */
  | { type: 'observer'; status: 'live' | 'idle'; observers: number }
  /** Last: the observer's token or role came to its end, or the service can not go on. */
  | { type: 'observer'; status: 'ended'; reason: 'token' | 'role' | 'unavailable' };

/** What a watcher of a whole session receives. Clients ignore types they do not know. */
export type SessionEvent = GenerationEvent | SessionChangeEvent | HistoryStartEvent | HistoryEndEvent | MessageEvent;

/** What a supervisor who observes a session receives. Clients ignore types they do not know. */
export type ObservationEvent = SessionEvent | ObserverEvent;
