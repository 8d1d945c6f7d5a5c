import type { ObservationEvent, ObserverEvent } from '@chat-service/shared/events';
import type { Session } from '@chat-service/shared/objects';
import type { User } from '@chat-service/shared/supervisor-api';
import { emptyMessage, type MessageSnapshot } from './generation-state.ts';

/** An event of an observation together with its id. */
export interface TrackedObservationEvent {
  readonly id: string;
  readonly event: ObservationEvent;
}

/** The same in one object, as an observation yields it. */
export type ObservationStreamEvent = ObservationEvent & { readonly id: string };

/** Why nothing more comes: the session is gone, or the `reason` of the last `observer` event. */
export type ObservationEnd = 'session-deleted' | Extract<ObserverEvent, { status: 'ended' }>['reason'];

type ConnectedEvent = Extract<ObserverEvent, { status: 'connected' }>;

/** A history that is being told anew; it counts once its end has been seen. */
export interface HistorySoFar {
  /** The id of its `history-start`; null while only the `connected` before it has been seen. */
  readonly startId: string | null;
  /** The `connected` before it, where its id was not beyond what had been seen: it counts from the `history-start` on. */
  readonly arrival: ConnectedEvent | null;
  readonly lastEventId: string;
  readonly messages: readonly MessageSnapshot[];
}

/** What the events of one observation seen so far amount to. */
export interface ObservationState {
  readonly sessionId: string;
  /** Resume after this event; null before the first one. */
  readonly lastEventId: string | null;
  /** Null until the first event, and once the session has been deleted. */
  readonly session: Session | null;
  /** Whose session it is; null until the first event. */
  readonly user: User | null;
  /** Oldest first: at most the newest 100 of what was stored when the history was told, and what came since. */
  readonly messages: readonly MessageSnapshot[];
  /** Whether an answer is being written; null until the first event. */
  readonly status: 'live' | 'idle' | null;
  /** How many supervisors are watching, oneself among them. */
  readonly observers: number;
  readonly ended: ObservationEnd | null;
  /** Null where none is being told. */
  readonly history: HistorySoFar | null;
}

/** The state before any event, for `reduceObservation`. */
export function initialObservationState(sessionId: string): ObservationState {
  return {
    sessionId,
    lastEventId: null,
    session: null,
    user: null,
    messages: [],
    status: null,
    observers: 0,
    ended: null,
    history: null,
  };
}

/**
 * Adds one event to what is known. Pure, and idempotent by event id: ids increase bytewise, so what is not beyond the last
 * one seen changes nothing, with one exception. A connection may begin anew, under ids that may be lower: a `connected` says
 * where the observation stands, and a `history-start` that everything is told again; at the `history-end` what was told
 * since replaces the messages. Any duplication and any replay from an earlier event on therefore end in the same state.
 */
export function reduceObservation(state: ObservationState, { id, event }: TrackedObservationEvent): ObservationState {
  const isBeyond = state.lastEventId === null || id > state.lastEventId;
  const lastEventId = isBeyond ? id : state.lastEventId;
  if (event.type === 'history-start') {
    const arrival = state.history?.arrival ?? null;
    const stands = arrival === null ? state : withStanding(state, arrival);
    return { ...stands, lastEventId, history: { startId: id, arrival: null, lastEventId: id, messages: [] } };
  }
  const history = continued(state, { id, event }, isBeyond);
  if (event.type === 'history-end' && history !== null) {
    return { ...state, lastEventId: id, messages: history.messages, history: null };
  }
  const standsAnew = event.type === 'observer' && (event.status === 'connected' || event.status === 'ended');
  if (isBeyond || (standsAnew && history?.startId != null)) return { ...applied(state, event), lastEventId, history };
  return history === state.history ? state : { ...state, history };
}

/** The history that is being told, with the event in it where it belongs there. */
function continued(
  { history, sessionId, lastEventId }: ObservationState,
  { id, event }: TrackedObservationEvent,
  isBeyond: boolean,
): HistorySoFar | null {
  if (history === null || history.startId === null) {
    const arrives = !isBeyond && id !== lastEventId && event.type === 'observer' && event.status === 'connected';
    return arrives ? { startId: null, arrival: event, lastEventId: id, messages: [] } : null;
  }
  if (event.type === 'message') {
    if (id <= history.lastEventId) return history;
    return { ...history, lastEventId: id, messages: withEvent(history.messages, sessionId, event) };
  }
  // Anything else is told after a history's end only: its start was a stray copy.
  return event.type === 'observer' || event.type === 'history-end' || !isBeyond ? history : null;
}

function applied(state: ObservationState, event: ObservationEvent): ObservationState {
  switch (event.type) {
    case 'observer':
      return withStanding(state, event);
    case 'session-updated':
      return { ...state, session: event.session };
    case 'session-deleted':
      return { ...state, session: null, messages: [], ended: 'session-deleted' };
    case 'start':
      return {
        ...state,
        session: state.session === null ? null : { ...state.session, title: event.title },
        messages: withEvent(state.messages, state.sessionId, event),
      };
    default:
      return { ...state, messages: withEvent(state.messages, state.sessionId, event) };
  }
}

function withStanding(state: ObservationState, event: ObserverEvent): ObservationState {
  switch (event.status) {
    case 'connected': {
      const { session, user, observers } = event;
      return { ...state, session, user, observers, status: session.status === 'idle' ? 'idle' : 'live', ended: null };
    }
    case 'live':
    case 'idle':
      return { ...state, status: event.status, observers: event.observers };
    case 'ended':
      return { ...state, ended: event.reason };
    default:
      return state;
  }
}

function withEvent(
  messages: readonly MessageSnapshot[],
  sessionId: string,
  event: ObservationEvent,
): readonly MessageSnapshot[] {
  switch (event.type) {
    case 'message':
    case 'done':
    case 'error':
    case 'resync':
      return upserted(messages, event.message);
    case 'message-deleted':
      return messages.filter(({ id }) => id !== event.messageId);
    case 'start': {
      const asked = event.userMessage === null ? messages : upserted(messages, event.userMessage);
      return upserted(asked, { ...emptyMessage(sessionId, event.streamId), modelId: event.modelId });
    }
    case 'chunk': {
      const known = messages.find(({ id }) => id === event.streamId) ?? emptyMessage(sessionId, event.streamId);
      return upserted(messages, { ...known, content: known.content + event.text });
    }
    default:
      // A newer server may send types that this version does not know.
      return messages;
  }
}

/** In the place of the message with this id, or behind all others. */
function upserted(messages: readonly MessageSnapshot[], message: MessageSnapshot): readonly MessageSnapshot[] {
  const at = messages.findIndex(({ id }) => id === message.id);
  return at === -1 ? [...messages, message] : messages.with(at, message);
}
