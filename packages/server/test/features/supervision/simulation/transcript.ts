import { isDeepStrictEqual } from 'node:util';
import type { ObservationEvent } from '@chat-service/shared/events';
import type { Message } from '@chat-service/shared/objects';

/** What an observer knows by what it was told, over all of its connections. */
export interface Transcript {
  readonly lastId: string | null;
  readonly messages: readonly Message[];
  /** How many watch, as it was told last. */
  readonly observers: number;
  readonly status: 'live' | 'idle';
  /** Whether it has been told that the session is gone. */
  readonly deleted: boolean;
  /** Whether the service has ended its connection, as it does where a lease was not renewed in time. */
  readonly ended: boolean;
  /** To be called for each new connection. */
  connected(): void;
  take(id: string, event: ObservationEvent): void;
}

const resumable = /^[^.]+((\.i|\.o[0-9a-f]{12})r?)?$/u;

/** @param violation told whatever contradicts the order, the ids or the events before it */
export function createTranscript(textOf: (streamId: string) => string, violation: (text: string) => void): Transcript {
  let lastId: string | null = null;
  let messages: Message[] = [];
  let observers = 0;
  let status: 'live' | 'idle' = 'idle';
  let deleted = false;
  let ended = false;
  /** How many messages of a history are still to come; null outside of one. */
  let historyLeft: number | null = null;
  let answer: { streamId: string; text: string } | null = null;
  let eventsHere = 0;

  function upsert(message: Message): void {
    const known = messages.find(({ id }) => id === message.id);
    if (known === undefined) messages.push(message);
    else if (!isDeepStrictEqual(known, message)) violation(`message ${message.id} was told anew, and differently`);
  }

  function takeAnswer(event: Extract<ObservationEvent, { streamId: string }>): void {
    if (event.type === 'start') {
      if (answer !== null) violation('an answer began within another');
      answer = { streamId: event.streamId, text: '' };
      if (event.userMessage !== null && !messages.some(({ id }) => id === event.userMessage?.id))
        violation('an answer began without its message');
      return;
    }
    if (event.type === 'resync') {
      answer = { streamId: event.streamId, text: event.message.content };
      return;
    }
    if (answer?.streamId !== event.streamId) {
      if (event.type === 'chunk' || answer !== null) violation(`${event.type} of an answer that it is not in`);
      answer = null;
    }
    if (event.type === 'chunk') {
      if (answer !== null) answer.text += event.text;
      if (answer !== null && !textOf(event.streamId).startsWith(answer.text))
        violation(`text is wrong: ${answer.text}`);
      return;
    }
    if (answer !== null && answer.text !== event.message.content)
      violation(`the end says ${event.message.content}, what came before it ${answer.text}`);
    answer = null;
    upsert(event.message);
  }

  return {
    get lastId() {
      return lastId;
    },
    get messages() {
      return messages;
    },
    get observers() {
      return observers;
    },
    get status() {
      return status;
    },
    get deleted() {
      return deleted;
    },
    get ended() {
      return ended;
    },
    connected() {
      eventsHere = 0;
      ended = false;
    },
    take(id, event) {
      const mayStartOver = eventsHere === 0 && (lastId === null || !resumable.test(lastId));
      if (!mayStartOver && lastId !== null && id <= lastId) violation(`${event.type} has the id ${id} after ${lastId}`);
      if ((eventsHere === 0) !== (event.type === 'observer' && event.status === 'connected'))
        violation(`${event.type} is number ${eventsHere} of its connection`);
      if (eventsHere === 1 && (lastId === null || !resumable.test(lastId)) && event.type !== 'history-start') {
        const isEnd = event.type === 'session-deleted' || (event.type === 'observer' && event.status === 'ended');
        if (!isEnd) violation(`${event.type} came before the history`);
      }
      if (deleted || ended) violation(`${event.type} came after the end`);
      ended = event.type === 'observer' && event.status === 'ended';
      eventsHere += 1;
      lastId = id;
      switch (event.type) {
        case 'observer':
          if (historyLeft !== null && event.status !== 'connected' && event.status !== 'ended')
            violation('a notice came within the history');
          if (event.status === 'connected') {
            historyLeft = null;
            status = event.session.status === 'idle' ? 'idle' : 'live';
            observers = event.observers;
          } else if (event.status !== 'ended') {
            if (event.status === status && event.observers === observers) violation('a notice told nothing new');
            ({ status, observers } = event);
          }
          return;
        case 'history-start':
          historyLeft = event.count;
          messages = [];
          answer = null;
          return;
        case 'history-end':
          if (historyLeft !== 0) violation(`the history ended with ${historyLeft} messages to come`);
          historyLeft = null;
          return;
        case 'message':
          if (historyLeft !== null) historyLeft -= 1;
          else if (messages.some((known) => known.id === event.message.id))
            violation(`message ${event.message.id} was told twice`);
          upsert(event.message);
          return;
        case 'message-deleted':
          messages = messages.filter((message) => message.id !== event.messageId);
          return;
        case 'session-updated':
          return;
        case 'session-deleted':
          deleted = true;
          return;
        default:
          takeAnswer(event);
      }
    },
  };
}
