import { describe, expect, it } from 'vitest';
import { createEventQueue, type EventQueue } from '../src/event-queue.ts';
import type { StreamEvent } from '../src/generation-state.ts';
import { toyMessage } from './toy/toy-generations.ts';

const chunk = (index: number): StreamEvent => ({
  type: 'chunk',
  streamId: 's',
  text: `${index} `,
  id: String(index).padStart(6, '0'),
});
const resync: StreamEvent = {
  type: 'resync',
  streamId: 's',
  message: toyMessage('s', 'all', 'streaming'),
  id: '999999',
};

async function drain(queue: EventQueue<StreamEvent>): Promise<StreamEvent[]> {
  const events: StreamEvent[] = [];
  for (;;) {
    const result = await queue.next();
    if (result.done === true) return events;
    events.push(result.value);
  }
}

describe('an event queue', () => {
  it('stays bounded under a reader that does not read, and loses no text', async () => {
    const queue = createEventQueue<StreamEvent>();
    const indexes = Array.from({ length: 5_000 }, (_, index) => index);
    for (const index of indexes) queue.push(chunk(index));
    queue.end();
    const events = await drain(queue);
    expect(events).toHaveLength(256);
    expect(events.map((event) => (event.type === 'chunk' ? event.text : '')).join('')).toBe(
      indexes.map((index) => `${index} `).join(''),
    );
    expect(events.at(-1)?.id).toBe('004999');
  });

  it('drops chunks that a resync makes obsolete only when it is full', async () => {
    const queue = createEventQueue<StreamEvent>();
    queue.push(chunk(0));
    queue.push(resync);
    for (let index = 2; index < 256; index += 1) queue.push(chunk(index));
    queue.push(resync);
    queue.end();
    expect((await drain(queue)).map(({ type }) => type)).toEqual(['resync']);
  });

  it('gives what waits before it ends or fails, and an error once', async () => {
    const queue = createEventQueue<StreamEvent>();
    queue.push(chunk(0));
    const error = new Error('cut');
    queue.fail(error);
    expect((await queue.next()).value?.id).toBe('000000');
    await expect(queue.next()).rejects.toBe(error);
    expect(await queue.next()).toEqual({ value: undefined, done: true });
  });

  it('serves readers that wait in their order', async () => {
    const queue = createEventQueue<StreamEvent>();
    const waiting = [queue.next(), queue.next(), queue.next()];
    queue.push(chunk(0));
    queue.push(chunk(1));
    queue.end();
    expect((await Promise.all(waiting)).map(({ value }) => value?.id)).toEqual(['000000', '000001', undefined]);
  });
});
