import { describe, expect, it } from 'vitest';
import { TokenError, UnauthorizedError } from '../src/errors.ts';
import { collect, quickClient, textOf } from './toy/collect.ts';
import { sessionId } from './toy/toy-generations.ts';
import { startToyServer, type ToyServer } from './toy/toy-server.ts';

const pieces = ['one ', 'two ', 'three'];

/** Gives `t1`, and a next one each time a refresh is asked for; the server takes the newest only. */
function rotatingToken(server: ToyServer): {
  token: (request: { refresh: boolean }) => Promise<string>;
  asked: boolean[];
} {
  const asked: boolean[] = [];
  let issued = 1;
  return {
    asked,
    token: async ({ refresh }) => {
      asked.push(refresh);
      if (refresh) issued += 1;
      server.tokens = new Set([`t${issued}`]);
      return `t${issued}`;
    },
  };
}

describe('an expired token', () => {
  it.each([1, 2, 3, 4])('costs no event when the socket is closed with 4401 after event %i', async (afterEvents) => {
    await using server = await startToyServer();
    server.generations.script = pieces;
    server.cuts.push({ afterEvents, code: 4401 });
    const { token, asked } = rotatingToken(server);
    await using chat = quickClient(server, { token });
    const stream = chat.messages.stream({ sessionId, message: 'Hi' });
    const events = await collect(stream);
    expect(textOf(events)).toBe(pieces.join(''));
    expect(new Set(events.map(({ id }) => id)).size).toBe(pieces.length + 2);
    expect(asked).toEqual([false, true]);
    expect(server.calls.at(-1)).toMatchObject({ call: 'ws message.follow', token: 't2' });
  });

  it('is replaced after an UNAUTHORIZED frame before the start', async () => {
    await using server = await startToyServer();
    const { token, asked } = rotatingToken(server);
    await using chat = quickClient(server, { token });
    await chat.system.version();
    // The server forgets t1 before the socket comes with it.
    server.tokens = new Set(['t2']);
    const stream = chat.messages.stream({ sessionId, message: 'Hi' });
    const reader = stream[Symbol.asyncIterator]();
    expect((await reader.next()).value?.type).toBe('start');
    expect(asked).toEqual([false, true]);
    expect(server.calls.map(({ call, token: sent }) => `${call} ${sent}`)).toEqual([
      'http system.version t1',
      'ws message.stream t1',
      'ws message.stream t2',
    ]);
  });

  it('is replaced when following is refused in the middle of the answer', async () => {
    await using server = await startToyServer();
    const { token, asked } = rotatingToken(server);
    await using chat = quickClient(server, { token });
    server.cuts.push({ afterEvents: 2 });
    server.refusals.set('message.follow', [{ code: 'UNAUTHORIZED', status: 401 }]);
    const stream = chat.messages.stream({ sessionId, message: 'Hi' });
    await expect.poll(() => server.generations.all.length).toBe(1);
    for (const piece of pieces) server.generations.all[0]?.chunk(piece);
    server.generations.all[0]?.done();
    expect(textOf(await collect(stream))).toBe(pieces.join(''));
    expect(asked).toEqual([false, true]);
  });

  it('ends in UnauthorizedError when no new one is taken, after a bounded number of questions', async () => {
    await using server = await startToyServer();
    server.tokens = new Set(['other']);
    let asked = 0;
    await using chat = quickClient(server, { token: () => `bad${(asked += 1)}` });
    await expect(collect(chat.messages.stream({ sessionId, message: 'Hi' }))).rejects.toBeInstanceOf(UnauthorizedError);
    expect(asked).toBe(3);
    await expect(chat.system.version()).rejects.toMatchObject({ code: 'UNAUTHORIZED', status: 401, requestId: 'r-1' });
    expect(asked).toBe(4);
  });

  it('is final when it is a fixed one', async () => {
    await using server = await startToyServer();
    server.tokens = new Set(['other']);
    await using chat = quickClient(server);
    await expect(chat.messages.stream({ sessionId, message: 'Hi' }).finalMessage()).rejects.toBeInstanceOf(
      UnauthorizedError,
    );
    await expect(chat.system.version()).rejects.toBeInstanceOf(UnauthorizedError);
    expect(server.calls).toHaveLength(2);
  });
});

describe('a token function', () => {
  it('is asked once for calls that start together, and again once when they are refused', async () => {
    await using server = await startToyServer();
    const { token, asked } = rotatingToken(server);
    await using chat = quickClient(server, { token });
    await Promise.all(Array.from({ length: 30 }, () => chat.system.version()));
    expect(asked).toEqual([false]);
    server.tokens = new Set(['t2']);
    await Promise.all(Array.from({ length: 30 }, () => chat.system.version()));
    expect(asked).toEqual([false, true]);
  });

  it('refreshes for the raw client too', async () => {
    await using server = await startToyServer();
    const { token } = rotatingToken(server);
    await using chat = quickClient(server, { token });
    await chat.trpc.system.version.query();
    server.tokens = new Set(['t2']);
    expect(await chat.trpc.system.version.query()).toMatchObject({ version: '0' });
  });

  it('that throws fails calls and streams with its error as the cause', async () => {
    await using server = await startToyServer();
    const cause = new Error('signed out');
    await using chat = quickClient(server, { token: () => Promise.reject(cause), maxReconnects: 2 });
    await expect(chat.system.version()).rejects.toMatchObject({ code: 'TOKEN_UNAVAILABLE', cause });
    await expect(chat.messages.stream({ sessionId, message: 'Hi' }).finalMessage()).rejects.toBeInstanceOf(TokenError);
    expect(server.calls).toEqual([]);
  });
});
