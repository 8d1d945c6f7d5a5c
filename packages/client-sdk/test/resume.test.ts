import { describe, expect, it } from 'vitest';
import { holdClosedPort } from '../../shared/test/support/closed-port.ts';
import { ConnectionError } from '../src/errors.ts';
import { collect, quickClient, textOf } from './toy/collect.ts';
import { sessionId } from './toy/toy-generations.ts';
import { startToyServer, type CutPlan } from './toy/toy-server.ts';

const pieces = ['one ', 'two ', 'three ', 'four'];
/** start, the pieces, done. */
const eventCount = pieces.length + 2;
const cutPoints = Array.from({ length: eventCount + 1 }, (_, index) => index);
/** What happens to the connections after the first cut. */
const furtherCuts: Record<string, number[]> = {
  'one cut': [],
  'two more before anything comes': [0, 0],
  'two more after one event each': [1, 1],
};

describe.each(Object.entries(furtherCuts))('%s', (_, further) => {
  it.each(cutPoints)('loses and repeats nothing when the first cut is after event %i', async (first) => {
    await using server = await startToyServer();
    server.generations.script = pieces;
    server.cuts.push(...[first, ...further].map((afterEvents): CutPlan => ({ afterEvents })));
    await using chat = quickClient(server);

    const stream = chat.messages.stream({ sessionId, message: 'Hi' });
    const events = await collect(stream);

    const [generation, ...others] = server.generations.all;
    expect(others).toEqual([]);
    expect(events.map(({ id }) => id)).toEqual(generation?.log.map(({ id }) => id));
    expect(textOf(events)).toBe(pieces.join(''));
    expect(await stream.finalText()).toBe(pieces.join(''));
    const calls = server.calls.map(({ call }) => call);
    // Once the first event has been seen, the text is not sent again.
    if (first > 0) expect(calls.filter((call) => call === 'ws message.stream')).toHaveLength(1);
    if (first > 0 && first < eventCount) {
      const follow = server.calls.find(({ call }) => call === 'ws message.follow');
      const lastEventId = generation?.log[first - 1]?.id;
      expect(follow?.input).toEqual({ sessionId, streamId: generation?.streamId, lastEventId });
    }
  });
});

describe('a stream', () => {
  it('goes on while the answer is being written', async () => {
    await using server = await startToyServer();
    server.cuts.push({ afterEvents: 2 }, { afterEvents: 1 });
    await using chat = quickClient(server);
    const stream = chat.messages.stream({ sessionId, message: 'Hi' });
    const reader = stream[Symbol.asyncIterator]();
    await reader.next();
    const [generation] = server.generations.all;
    const texts: string[] = [];
    for (const piece of pieces) {
      generation?.chunk(piece);
      const { value } = await reader.next();
      if (value?.type === 'chunk') texts.push(value.text);
    }
    generation?.done();
    expect(texts).toEqual(pieces);
    expect((await stream.finalMessage()).content).toBe(pieces.join(''));
    expect(server.opened()).toBe(3);
  });

  it('tells of each reconnect and gives up after as many as it may make', async () => {
    await using server = await startToyServer();
    server.cuts.push({ afterEvents: 1 }, ...Array.from({ length: 50 }, () => ({ afterEvents: 0 })));
    await using chat = quickClient(server, { maxReconnects: 7 });
    const stream = chat.messages.stream({ sessionId, message: 'Hi' });
    const attempts: number[] = [];
    stream.on('reconnecting', ({ attempt }) => attempts.push(attempt));
    await expect(stream.finalMessage()).rejects.toBeInstanceOf(ConnectionError);
    expect(attempts).toEqual([1, 2, 3, 4, 5, 6, 7]);
    expect(server.opened()).toBe(8);
    // Giving up ends the reconnecting, too: nothing is left that would open sockets for ever.
    await expect.poll(() => server.connections()).toBe(0);
    expect(server.opened()).toBe(8);
  });

  it('yields no event twice, not even when the server repeats them', async () => {
    await using server = await startToyServer();
    server.generations.script = pieces;
    server.generations.forgetful = true;
    server.cuts.push({ afterEvents: 3 }, { afterEvents: 2 });
    await using chat = quickClient(server);
    const events = await collect(chat.messages.stream({ sessionId, message: 'Hi' }));
    expect(events.map(({ id }) => id)).toEqual(server.generations.all[0]?.log.map(({ id }) => id));
  });

  it('fails soon when no server is there, and tries no longer', async () => {
    await using nobody = await holdClosedPort();
    let attempts = 0;
    await using chat = quickClient(`http://127.0.0.1:${nobody.port}`, {
      maxRetries: 0,
      retryDelayMs: () => {
        attempts += 1;
        return 1;
      },
    });
    const stream = chat.messages.stream({ sessionId, message: 'Hi' });
    const error = await collect(stream).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(ConnectionError);
    expect(error).toHaveProperty('message', 'The connection could not be opened');
    await expect(stream.finalMessage()).rejects.toMatchObject({ code: 'CONNECTION_FAILED', status: null });
    const attemptsThen = attempts;
    for (let call = 0; call < 50; call += 1) await expect(chat.system.version()).rejects.toThrow();
    expect(attempts).toBe(attemptsThen);
  });

  it('is followed from where another one stood', async () => {
    await using server = await startToyServer();
    await using chat = quickClient(server);
    const first = chat.messages.stream({ sessionId, message: 'Hi' });
    await first[Symbol.asyncIterator]().next();
    const [generation] = server.generations.all;
    generation?.chunk('one ');
    await expect.poll(() => first.message?.content).toBe('one ');
    const { state } = first;
    first.disconnect();
    generation?.chunk('two');
    generation?.done();

    const second = chat.messages.follow({ sessionId, state });
    expect((await collect(second)).map(({ type }) => type)).toEqual(['chunk', 'done']);
    expect(second.message?.content).toBe('one two');
    expect(second.state.userMessage?.content).toBe('Hi');
    expect(server.calls.filter(({ call }) => call === 'ws message.stream')).toHaveLength(1);
  });

  it('ends empty when there is nothing to follow', async () => {
    await using server = await startToyServer();
    await using chat = quickClient(server);
    const stream = chat.messages.follow({ sessionId });
    expect(await collect(stream)).toEqual([]);
    await expect(stream.finalMessage()).rejects.toMatchObject({ code: 'NOTHING_TO_FOLLOW' });
  });

  it('does not make the connections of others wait for a stream that was given up', async () => {
    await using server = await startToyServer();
    await using chat = quickClient(server);
    const [first, second] = [0, 1].map((index) => chat.messages.stream({ sessionId, message: `Hi ${index}` }));
    await expect.poll(() => server.generations.all.length).toBe(2);
    first?.disconnect();
    for (const generation of server.generations.all) {
      generation.chunk('text');
      generation.done();
    }
    expect(await second?.finalText()).toBe('text');
    expect(server.opened()).toBe(1);
  });
});
