import { once } from 'node:events';
import { createChatClient } from '@chat-service/client-sdk';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { callFor } from '../src/call-for.ts';
import { collect, textOf } from '../src/collect.ts';
import { describeEachDatabase } from '../src/describe-databases.ts';
import { openRawSocket } from '../src/raw-socket.ts';
import { createRecordedSockets } from '../src/recorded-sockets.ts';
import { openTrpcClient } from '../src/trpc-client.ts';
import { startWorld, type World } from '../src/world.ts';

/** The service takes a token for 30 s after its end: this one is taken for one or two more. */
const almostOver = -28;

describeEachDatabase('a token that ends', (kind) => {
  const chunks = ['one ', 'two ', 'three ', 'four ', 'five.'];
  let world: World;
  beforeAll(async () => {
    world = await startWorld({ kind });
    world.openai.script(/^Outlive/u, { chunks, hold: 'every' });
  });
  afterAll(() => world[Symbol.asyncDispose]());
  const shortLived = (sub: string) => world.token(sub, { expiresIn: almostOver });

  const closeOf = async (socket: WebSocket | undefined) => {
    if (socket === undefined) throw new Error('there is no such socket');
    const [code] = (await once(socket, 'close')) as [number];
    return code;
  };

  it.concurrent('does not end the stream of the stock client', async () => {
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

  it.concurrent('does not end the stream of the SDK', async () => {
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

  it.concurrent('lets the calls under way be answered before the socket is closed', async () => {
    const { sessionId } = await world.trpc('caller').trpc.session.create.mutate({});
    const message = 'Outlive one token, call.';
    const token = await shortLived('caller');
    await using socket = await openRawSocket(world.url, { token });
    await using idle = await openRawSocket(world.url, { token });
    const watched = socket.call('subscription', 'message.follow', { sessionId });
    watched.catch(() => undefined);
    const sent = socket.call('mutation', 'message.send', { sessionId, message });
    const call = await callFor(world.openai, message);
    expect(await idle.closed).toBe(4401);
    expect(socket.socket.readyState).toBe(WebSocket.OPEN);
    call.releaseAll();
    expect((await sent).result?.data?.json).toMatchObject({ message: { content: chunks.join('') } });
    expect(await socket.closed).toBe(4401);
    for (const { replies } of [socket, idle]) expect(replies.filter(({ error }) => error !== undefined)).toEqual([]);
  });

  it.concurrent('ends an event stream without an error, to be taken up with the next one', async () => {
    const { trpc } = world.trpc('events');
    const { sessionId } = await trpc.session.create.mutate({});
    const message = 'Outlive one token, event stream.';
    const { streamId } = await trpc.message.start.mutate({ sessionId, message });
    const call = await callFor(world.openai, message);
    await call.reached(0);
    call.release();
    await call.reached(1);
    const follow = async (token: string, lastEventId?: string) => {
      const input = encodeURIComponent(JSON.stringify({ json: { sessionId, streamId } }));
      const response = await fetch(`${world.url}/trpc/message.follow?input=${input}`, {
        headers: {
          accept: 'text/event-stream',
          authorization: `Bearer ${token}`,
          ...(lastEventId !== undefined && { 'last-event-id': lastEventId }),
        },
      });
      expect(response.status).toBe(200);
      const text = await response.text();
      expect(text).not.toContain('serialized-error');
      return { text, ids: [...text.matchAll(/^id: (.+)$/gmu)].map(([, id]) => id ?? '') };
    };
    const first = await follow(await shortLived('events'));
    expect(first.text).toContain('one ');
    expect(first.ids).toHaveLength(2);
    const rest = follow(await world.token('events'), first.ids.at(-1));
    call.releaseAll();
    const { text, ids } = await rest;
    expect(text).not.toContain('"text":"one "');
    expect(ids).toHaveLength(chunks.length);
    expect([...first.ids, ...ids]).toEqual([...new Set([...first.ids, ...ids])].toSorted());
  });
});
