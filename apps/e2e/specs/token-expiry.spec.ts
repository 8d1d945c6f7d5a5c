import { once } from 'node:events';
import { createChatClient } from '@chat-service/client-sdk';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { WebSocket } from 'ws';
import { callFor, patience } from '../src/call-for.ts';
import { collect, textOf } from '../src/collect.ts';
import { describeEachDatabase } from '../src/describe-databases.ts';
import { isEndOfToken, tokenLife } from '../src/ending-tokens.ts';
import { createHandClock } from '../src/hand-clock.ts';
import { openRawEventStream } from '../src/raw-event-stream.ts';
import { openRawSocket } from '../src/raw-socket.ts';
import { createRecordedSockets } from '../src/recorded-sockets.ts';
import { openTrpcClient } from '../src/trpc-client.ts';
import { startWorld, type World } from '../src/world.ts';

/** How long calls under way may hold up the end of their connection. */
const isForAnswers = (milliseconds: number) => milliseconds === 5000;

describeEachDatabase('a token that ends', (kind) => {
  const chunks = ['one ', 'two ', 'three ', 'four ', 'five.'];
  const clock = createHandClock((milliseconds) => isEndOfToken(milliseconds) || isForAnswers(milliseconds));
  const endTokens = () => clock.pass(isEndOfToken);
  let world: World;
  beforeAll(async () => {
    world = await startWorld({ kind, clock });
    world.openai.script(/^Outlive/u, { chunks, hold: 'every' });
  });
  afterAll(() => world[Symbol.asyncDispose]());
  const shortLived = (sub: string) => world.token(sub, { expiresIn: tokenLife });

  const closeOf = async (socket: WebSocket | undefined) => {
    if (socket === undefined) throw new Error('there is no such socket');
    const [code] = (await once(socket, 'close')) as [number];
    return code;
  };

  it('does not end the stream of the stock client', async () => {
    const { sessionId } = await world.trpc('stock').trpc.session.create.mutate({});
    await using client = openTrpcClient(world.url, () => shortLived('stock'));
    const message = 'Outlive two tokens, stock client.';
    const stream = collect((subscriber) =>
      client.trpc.message.stream.subscribe({ sessionId, message, idempotencyKey: 'outlive' }, subscriber),
    );
    const call = await callFor(world.openai, message);
    for (let token = 0; token < 2; token += 1) {
      const { socket } = await client.connection(token);
      const closed = closeOf(socket);
      await call.reached(2 * token);
      call.release();
      await stream.until(2 + 2 * token);
      endTokens();
      expect(await closed).toBe(4401);
      // This one is written while nobody is connected, or somebody is again: it is told once either way.
      call.release();
      await stream.until(3 + 2 * token);
    }
    call.releaseAll();
    await stream.done;
    expect(stream.events.map(({ event }) => event.type)).toEqual(['start', ...chunks.map(() => 'chunk'), 'done']);
    const ids = stream.events.map(({ id }) => id);
    expect(ids).toEqual([...new Set(ids)].toSorted());
    expect(textOf(stream.events.slice(0, -1))).toBe(chunks.join(''));
    expect(stream.events.at(-1)?.event).toMatchObject({ message: { content: chunks.join(''), status: 'complete' } });
  });

  it('does not end the stream of the SDK', async () => {
    const sockets = createRecordedSockets();
    const asked: boolean[] = [];
    await using client = createChatClient({
      url: world.url,
      WebSocket: sockets.WebSocket,
      retryDelayMs: () => 10,
      token: ({ refresh }) => {
        asked.push(refresh);
        return shortLived('sdk');
      },
    });
    const { sessionId } = await world.trpc('sdk').trpc.session.create.mutate({});
    const message = 'Outlive two tokens, SDK.';
    const stream = client.messages.stream({ sessionId, message });
    const seen: { id: string; type: string; text: string }[] = [];
    const heard: (() => void)[] = [];
    stream.on('event', (event) => {
      seen.push({ id: event.id, type: event.type, text: event.type === 'chunk' ? event.text : '' });
      for (const hear of heard.splice(0)) hear();
    });
    const until = async (count: number) => {
      while (seen.length < count) await new Promise<void>((resolve) => heard.push(resolve));
    };
    const call = await callFor(world.openai, message);
    for (let token = 0; token < 2; token += 1) {
      const { socket } = await sockets.connection(token);
      const closed = closeOf(socket);
      await call.reached(2 * token);
      call.release();
      await until(2 + 2 * token);
      endTokens();
      expect(await closed).toBe(4401);
      call.release();
      await until(3 + 2 * token);
    }
    call.releaseAll();
    const final = await stream.finalMessage();
    expect(final).toMatchObject({ content: chunks.join(''), status: 'complete' });
    expect(seen.map(({ type }) => type)).toEqual(['start', ...chunks.map(() => 'chunk'), 'done']);
    expect(seen.map(({ text }) => text).join('')).toBe(chunks.join(''));
    const ids = seen.map(({ id }) => id);
    expect(ids).toEqual([...new Set(ids)].toSorted());
    expect(asked.slice(0, 3)).toEqual([false, true, true]);
    expect(world.openai.calls.filter(({ lastUserMessage }) => lastUserMessage === message)).toHaveLength(1);
  });

  it('lets the calls under way be answered before the socket is closed', async () => {
    const { sessionId } = await world.trpc('caller').trpc.session.create.mutate({});
    const message = 'Outlive one token, call.';
    const token = await shortLived('caller');
    await using socket = await openRawSocket(world.url, { token });
    await using idle = await openRawSocket(world.url, { token });
    const watched = socket.call('subscription', 'message.follow', { sessionId });
    watched.catch(() => undefined);
    const sent = socket.call('mutation', 'message.send', { sessionId, message });
    const call = await callFor(world.openai, message);
    await idle.call('query', 'system.version', undefined);
    endTokens();
    expect(await idle.closed).toBe(4401);
    expect(socket.socket.readyState).toBe(WebSocket.OPEN);
    call.releaseAll();
    expect((await sent).result?.data?.json).toMatchObject({ message: { content: chunks.join('') } });
    expect(await socket.closed).toBe(4401);
    for (const { replies } of [socket, idle]) expect(replies.filter(({ error }) => error !== undefined)).toEqual([]);
  });

  it('ends an event stream without an error, to be taken up with the next one', async () => {
    const { trpc } = world.trpc('events');
    const { sessionId } = await trpc.session.create.mutate({});
    const message = 'Outlive one token, event stream.';
    const { streamId } = await trpc.message.start.mutate({ sessionId, message });
    const call = await callFor(world.openai, message);
    await call.reached(0);
    call.release();
    await call.reached(1);
    const request = { url: world.url, path: 'message.follow', input: { sessionId, streamId } };
    const first = await openRawEventStream({ ...request, token: await shortLived('events') });
    await vi.waitFor(() => expect(first.events).toHaveLength(2), patience);
    endTokens();
    // It is over without an end of what was followed.
    expect(await first.over).toBe(false);
    const lastEventId = first.events.at(-1)?.id ?? '';
    const rest = await openRawEventStream({ ...request, token: await world.token('events'), lastEventId });
    call.releaseAll();
    expect(await rest.over).toBe(true);
    for (const { response, text } of [first, rest]) {
      expect(response.statusCode).toBe(200);
      expect(text()).not.toContain('serialized-error');
    }
    const events = [...first.events, ...rest.events];
    expect(events.map(({ event }) => (event.type === 'chunk' ? event.text : event.type))).toEqual([
      'start',
      ...chunks,
      'done',
    ]);
    const ids = events.map(({ id }) => id);
    expect(ids).toEqual([...new Set(ids)].toSorted());
  });
});
