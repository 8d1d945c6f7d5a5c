import type { ChunkEvent, DoneEvent, ResyncEvent, StartEvent } from '@chat-service/shared/events';
import type { Message } from '@chat-service/shared/objects';
import type { LogEntry } from '../../../src/features/generations/generation-log.ts';
import type { Position } from '../../../src/features/generations/position.ts';

export const sessionId = '01990000-0000-7000-8000-0123456789ab';
export const streamId = '01990000-0000-7000-8000-00000000aaaa';

/** A place written as the design writes it: `1-2` is number 2 of fence 1. */
export function at(place: string): Position {
  const [fence = '', number = ''] = place.split('-');
  return { fence: Number(fence), number: Number(number) };
}

export function message(content: string, fields: Partial<Message> = {}): Message {
  const time = '2026-01-02T03:04:05.678Z';
  return {
    id: streamId,
    sessionId,
    role: 'assistant',
    content,
    status: 'streaming',
    modelId: 'demo',
    fallbackFrom: null,
    stoppedBy: null,
    usage: null,
    finishReason: null,
    error: null,
    createdAt: time,
    updatedAt: time,
    ...fields,
  };
}

export function start(id = streamId): StartEvent {
  return { type: 'start', streamId: id, sessionId, userMessage: null, title: null, modelId: 'demo' };
}

export function chunk(text: string, id = streamId): ChunkEvent {
  return { type: 'chunk', streamId: id, text };
}

export function done(content: string, id = streamId): DoneEvent {
  const ended = message(content, { id, status: 'complete', finishReason: 'stop' });
  return { type: 'done', streamId: id, message: ended, usage: null, finishReason: 'stop' };
}

export function resync(content: string, id = streamId): ResyncEvent {
  return { type: 'resync', streamId: id, message: message(content, { id }) };
}

/** One entry after the other, the first of them right after `previous`. */
export function entries(previous: string, ...events: [place: string, event: LogEntry['event']][]): LogEntry[] {
  let last = at(previous);
  return events.map(([place, event]) => {
    const entry: LogEntry = { position: at(place), previous: last, event };
    last = entry.position;
    return entry;
  });
}
