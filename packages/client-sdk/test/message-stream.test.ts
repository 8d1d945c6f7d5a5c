import { describe, expect, it } from 'vitest';
import { DisconnectedError, GenerationInProgressError, ModelError } from '../src/errors.ts';
import type { TextChange } from '../src/message-stream.ts';
import { collect, quickClient } from './toy/collect.ts';
import { sessionId, toyMessage } from './toy/toy-generations.ts';
import { startToyServer } from './toy/toy-server.ts';

describe('a message stream', () => {
  it('tells its listeners of text with delta and snapshot', async () => {
    await using server = await startToyServer();
    server.generations.script = ['one ', 'two'];
    await using chat = quickClient(server);
    const changes: TextChange[] = [];
    const seen: string[] = [];
    const stream = chat.messages
      .stream({ sessionId, message: 'Hi' })
      .on('start', ({ type }) => seen.push(type))
      .on('text', (change) => changes.push(change))
      .on('done', ({ content }) => seen.push(content));
    await stream.finalMessage();
    expect(changes).toEqual([
      { delta: 'one ', snapshot: 'one ', reset: false },
      { delta: 'two', snapshot: 'one two', reset: false },
    ]);
    expect(seen).toEqual(['start', 'one two']);
  });

  it('replaces the snapshot at a resync, and says so when the text is another one', async () => {
    await using server = await startToyServer();
    await using chat = quickClient(server);
    const changes: TextChange[] = [];
    const stream = chat.messages.stream({ sessionId, message: 'Hi' }).on('text', (change) => changes.push(change));
    await expect.poll(() => server.generations.all.length).toBe(1);
    const [generation] = server.generations.all;
    if (generation === undefined) throw new Error('not started');
    const { streamId } = generation;
    const resync = (content: string) =>
      generation.append({ type: 'resync', streamId, message: toyMessage(streamId, content, 'streaming') });
    generation.chunk('ab');
    resync('abc');
    resync('x');
    generation.chunk('y');
    generation.append({
      type: 'done',
      streamId,
      message: toyMessage(streamId, 'xyz', 'complete'),
      usage: null,
      finishReason: 'stop',
    });
    const events = await collect(stream);
    expect(events.map(({ type }) => type)).toEqual(['start', 'chunk', 'resync', 'resync', 'chunk', 'done']);
    expect(changes).toEqual([
      { delta: 'ab', snapshot: 'ab', reset: false },
      { delta: 'c', snapshot: 'abc', reset: false },
      { delta: 'x', snapshot: 'x', reset: true },
      { delta: 'y', snapshot: 'xy', reset: false },
      { delta: 'z', snapshot: 'xyz', reset: false },
    ]);
  });

  it('tells its listeners how many watch, and follows on from there', async () => {
    await using server = await startToyServer();
    await using chat = quickClient(server);
    const first = chat.messages.stream({ sessionId, message: 'Hi' });
    await expect.poll(() => first.streamId).not.toBeNull();
    const [generation] = server.generations.all;
    generation?.append({ type: 'observed', observers: 2 });
    generation?.chunk('text');
    generation?.done();
    const [start, observed] = generation?.log ?? [];
    const counts: number[] = [];
    first.on('observed', ({ observers }) => counts.push(observers));
    expect((await collect(first)).map(({ type }) => type)).toEqual(['start', 'chunk', 'done']);
    expect(counts).toEqual([2]);
    // The first thing that it is told names no generation.
    const second = chat.messages.follow({ sessionId, lastEventId: start?.id ?? '' });
    expect(await second.finalText()).toBe('text');
    const third = chat.messages.follow({ sessionId, lastEventId: observed?.id ?? '' });
    expect((await collect(third)).map(({ type }) => type)).toEqual(['chunk', 'done']);
  });

  it('yields a failed generation as an event and rejects the final message with what was produced', async () => {
    await using server = await startToyServer();
    await using chat = quickClient(server);
    const stream = chat.messages.stream({ sessionId, message: 'Hi' });
    await expect.poll(() => server.generations.all.length).toBe(1);
    server.generations.all[0]?.chunk('half');
    server.generations.all[0]?.fail();
    expect((await collect(stream)).at(-1)).toMatchObject({ type: 'error', error: { code: 'MODEL_ERROR' } });
    const error = await stream.finalMessage().catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(ModelError);
    expect(error).toMatchObject({ code: 'MODEL_ERROR', status: 502, retryable: true, partial: { content: 'half' } });
  });

  it('rejects with the typed error when it is refused before admission', async () => {
    await using server = await startToyServer();
    const streamId = crypto.randomUUID();
    server.refusals.set('message.stream', [{ code: 'GENERATION_IN_PROGRESS', status: 409, streamId }]);
    await using chat = quickClient(server);
    const stream = chat.messages.stream({ sessionId, message: 'Hi' });
    await expect(collect(stream)).rejects.toBeInstanceOf(GenerationInProgressError);
    await expect(stream.finalMessage()).rejects.toMatchObject({ streamId, status: 409, requestId: 'r-1' });
    expect(server.calls).toHaveLength(1);
  });

  it('tries again, with the same key, when the server is shutting down', async () => {
    await using server = await startToyServer();
    server.generations.script = ['text'];
    server.refusals.set('message.stream', [
      { code: 'SHUTTING_DOWN', status: 503, retryAfter: 0 },
      { code: 'RATE_LIMITED', status: 429, retryAfter: 0 },
    ]);
    await using chat = quickClient(server);
    expect(await chat.messages.stream({ sessionId, message: 'Hi' }).finalText()).toBe('text');
    const keys = server.calls.map(({ input }) => (input as { idempotencyKey: string }).idempotencyKey);
    expect(keys).toHaveLength(3);
    expect(new Set(keys).size).toBe(1);
  });

  it('can be iterated once', async () => {
    await using server = await startToyServer();
    server.generations.script = [];
    await using chat = quickClient(server);
    const stream = chat.messages.stream({ sessionId, message: 'Hi' });
    await collect(stream);
    await expect(collect(stream)).rejects.toThrow('once');
  });
});

describe('abort', () => {
  it('stops the generation, which ends as stopped', async () => {
    await using server = await startToyServer();
    await using chat = quickClient(server);
    const stream = chat.messages.stream({ sessionId, message: 'Hi' });
    await expect.poll(() => stream.streamId).not.toBeNull();
    server.generations.all[0]?.chunk('half');
    await stream.abort();
    expect(await stream.finalMessage()).toMatchObject({ status: 'stopped', content: 'half' });
    expect(server.calls.at(-1)).toMatchObject({ call: 'http message.stop', input: { streamId: stream.streamId } });
    // A second one has nothing to do.
    await stream.abort();
    expect(server.calls.filter(({ call }) => call === 'http message.stop')).toHaveLength(1);
  });

  it('before the start takes effect as soon as the id is known', async () => {
    await using server = await startToyServer();
    await using chat = quickClient(server);
    const stream = chat.messages.stream({ sessionId, message: 'Hi' });
    expect(stream.streamId).toBeNull();
    await stream.abort();
    expect(await stream.finalMessage()).toMatchObject({ status: 'stopped' });
    expect(server.generations.all).toHaveLength(1);
  });

  it('before the start takes effect also when the caller leaves at once', async () => {
    await using server = await startToyServer();
    await using chat = quickClient(server);
    const stream = chat.messages.stream({ sessionId, message: 'Hi' });
    const stopped = stream.abort();
    stream.disconnect();
    await stopped;
    expect(server.generations.all[0]?.log.at(-1)?.event).toMatchObject({ type: 'done', finishReason: 'stopped' });
    await expect(stream.finalMessage()).rejects.toBeInstanceOf(DisconnectedError);
    expect(await collect(stream)).toEqual([]);
  });

  it('of a stream that is refused ends with it', async () => {
    await using server = await startToyServer();
    server.refusals.set('message.stream', [{ code: 'NOT_FOUND', status: 404 }]);
    await using chat = quickClient(server);
    const stream = chat.messages.stream({ sessionId, message: 'Hi' });
    await stream.abort();
    await expect(stream.finalMessage()).rejects.toMatchObject({ code: 'NOT_FOUND' });
    expect(server.calls).toHaveLength(1);
  });
});

describe('leaving', () => {
  it('by disconnect leaves the generation alone', async () => {
    await using server = await startToyServer();
    await using chat = quickClient(server);
    const stream = chat.messages.stream({ sessionId, message: 'Hi' });
    const reading = collect(stream);
    await expect.poll(() => stream.streamId).not.toBeNull();
    stream.disconnect();
    expect((await reading).length).toBeLessThanOrEqual(1);
    await expect(stream.finalMessage()).rejects.toBeInstanceOf(DisconnectedError);
    server.generations.all[0]?.chunk('unseen');
    server.generations.all[0]?.done();
    expect(await chat.messages.follow({ sessionId }).finalText()).toBe('unseen');
    expect(server.calls.map(({ call }) => call)).toEqual(['ws message.stream', 'ws message.follow']);
  });

  it('by breaking out of the loop disconnects', async () => {
    await using server = await startToyServer();
    await using chat = quickClient(server);
    const stream = chat.messages.stream({ sessionId, message: 'Hi' });
    for await (const { type } of stream) {
      expect(type).toBe('start');
      break;
    }
    await expect(stream.finalMessage()).rejects.toBeInstanceOf(DisconnectedError);
  });

  it('by a signal ends with its reason', async () => {
    await using server = await startToyServer();
    await using chat = quickClient(server);
    const controller = new AbortController();
    const stream = chat.messages.stream({ sessionId, message: 'Hi' }, { signal: controller.signal });
    const reading = collect(stream);
    await expect.poll(() => stream.streamId).not.toBeNull();
    const reason = new Error('page left');
    controller.abort(reason);
    await expect(reading).rejects.toBe(reason);
    await expect(stream.finalMessage()).rejects.toBe(reason);
    expect(server.calls).toHaveLength(1);
  });

  it('by closing the client fails what is still watched', async () => {
    await using server = await startToyServer();
    const chat = quickClient(server);
    const stream = chat.messages.stream({ sessionId, message: 'Hi' });
    await expect.poll(() => stream.streamId).not.toBeNull();
    await chat.close();
    await expect(stream.finalMessage()).rejects.toMatchObject({ code: 'CONNECTION_FAILED' });
    await expect.poll(() => server.connections()).toBe(0);
  });
});
