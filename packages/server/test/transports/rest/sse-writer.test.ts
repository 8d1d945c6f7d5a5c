import { tracked } from '@trpc/server';
import { createParser } from 'eventsource-parser';
import { describe, expect, it } from 'vitest';
import { eventStreamBody } from '../../../src/transports/rest/sse-writer.ts';
import { createManualClock } from '../../platform/manual-clock.ts';

/** What some readers split text at, beside what the standard does. */
const furtherLineEnds = ['\u000b', '\u000c', '\u001c', '\u001d', '\u001e', '\u0085', '\u2028', '\u2029'];

/** A source that the test feeds, and a reader that takes what comes. */
function open() {
  const clock = createManualClock();
  const queue: IteratorResult<unknown>[] = [];
  const failures: unknown[] = [];
  let wake = Promise.withResolvers<void>();
  let returned = 0;
  let pulled = 0;
  const source: AsyncIterable<unknown> = {
    [Symbol.asyncIterator]: () => ({
      async next() {
        pulled += 1;
        for (;;) {
          const next = queue.shift();
          if (next !== undefined) return next;
          await wake.promise;
        }
      },
      return() {
        returned += 1;
        return Promise.resolve({ done: true, value: undefined });
      },
    }),
  };
  const push = (result: IteratorResult<unknown>) => {
    queue.push(result);
    wake.resolve();
    wake = Promise.withResolvers();
  };
  const reader = eventStreamBody(source, { clock, onFailure: (cause) => void failures.push(cause) }).getReader();
  return {
    clock,
    failures,
    reader,
    returned: () => returned,
    pulled: () => pulled,
    yield: (id: string, data: unknown) => push({ done: false, value: tracked(id, data) }),
    push,
    read: async () => {
      const { done, value } = await reader.read();
      return done ? null : new TextDecoder().decode(value);
    },
  };
}

describe('the body of an event stream', () => {
  it('has an id, a name and one line of data for each event, and ends with its source', async () => {
    const stream = open();
    stream.yield('7', { type: 'chunk', text: 'Hi' });
    expect(await stream.read()).toBe('id: 7\nevent: chunk\ndata: {"type":"chunk","text":"Hi"}\n\n');
    stream.push({ done: true, value: undefined });
    expect(await stream.read()).toBeNull();
    expect(stream.failures).toEqual([]);
  });

  it.each([
    '\n\nid: 9\nevent: done\ndata: {}\n\n',
    '\r\rid: 9\revent: done\rdata: {}\r\r',
    '\r\n\r\nretry: 1\r\n\r\n',
    ': comment\n',
    'a\u0000b',
    '\u2028\u2029\u0085\u000b\u000c\u001c\u001d\u001e',
    '\ufeff',
    '\ud800',
    '\\u2028\\n',
  ])('keeps text in its line: %j', async (text) => {
    const stream = open();
    stream.yield('7', { type: 'chunk', text });
    const bytes = (await stream.read()) ?? '';
    const lines = furtherLineEnds.reduce((rest, end) => rest.replaceAll(end, '\n'), bytes).split(/\r\n|\r|\n/u);
    expect(lines).toEqual(['id: 7', 'event: chunk', expect.stringMatching(/^data: \{.*\}$/su), '', '']);
    const seen: unknown[] = [];
    createParser({ onEvent: ({ id, event, data }) => void seen.push([id, event, JSON.parse(data)]) }).feed(bytes);
    expect(seen).toEqual([['7', 'chunk', { type: 'chunk', text }]]);
  });

  it('has a comment whenever nothing else is sent for 15 s, and loses no event over it', async () => {
    const stream = open();
    let first = stream.read();
    await stream.clock.advance(14_999);
    stream.yield('1', { type: 'a' });
    expect(await first).toContain('id: 1');
    first = stream.read();
    await stream.clock.advance(14_999);
    expect(await Promise.race([first, Promise.resolve('nothing yet')])).toBe('nothing yet');
    await stream.clock.advance(1);
    expect(await first).toBe(':\n\n');
    const second = stream.read();
    await stream.clock.advance(15_000);
    expect(await second).toBe(':\n\n');
    // The source is still asked for one and the same event.
    expect(stream.pulled()).toBe(2);
    stream.yield('2', { type: 'b' });
    expect(await stream.read()).toContain('id: 2');
  });

  it('asks its source for nothing that nobody takes', async () => {
    const stream = open();
    for (const id of ['1', '2', '3']) stream.yield(id, { type: 'a' });
    expect(stream.pulled()).toBe(0);
    await stream.read();
    expect(stream.pulled()).toBe(1);
  });

  it('ends its source when the reader leaves', async () => {
    const stream = open();
    stream.yield('1', { type: 'a' });
    await stream.read();
    await stream.reader.cancel();
    expect(stream.returned()).toBe(1);
  });

  it.each([
    ['without an id', { type: 'a' }],
    ['without a type', tracked('1', { text: 'a' })],
    ['that is no object', tracked('1', 'a')],
  ])('breaks off at an event %s, and says so', async (_, value) => {
    const stream = open();
    stream.push({ done: false, value });
    await expect(stream.read()).rejects.toThrow(TypeError);
    expect(stream.failures).toHaveLength(1);
  });
});
