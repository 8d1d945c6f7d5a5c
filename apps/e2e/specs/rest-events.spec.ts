import type { SessionEvent } from '@chat-service/shared/events';
import type { Message } from '@chat-service/shared/objects';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { isAvailable } from '../../../packages/server/test/support/databases.ts';
import { callFor, patience } from '../src/call-for.ts';
import { describeEachDatabase } from '../src/describe-databases.ts';
import { releaseChunks } from '../src/held-answer.ts';
import { callRest, openRestStream, type RestRequest, type RestStream } from '../src/rest.ts';
import { startWorld, type World } from '../src/world.ts';

type Events = RestStream<SessionEvent>;
const namesOf = ({ events }: Events) => events.map(({ name }) => name);
const chunks = ['one', ' two', ' three'];

let users = 0;

/** A session that is watched as a third party would, and changed from elsewhere. */
async function newSession(world: World, { url = world.url, body = {} }: { url?: string; body?: object } = {}) {
  users += 1;
  const sub = `watcher-${users}`;
  const created = await callRest<{ sessionId: string }>(world, 'POST /api/chat/sessions', { sub, url, body });
  const path = `/api/chat/sessions/${created.body.sessionId}`;
  const watch = (lastEventId?: string, request: RestRequest = {}): Promise<Events> =>
    openRestStream<SessionEvent>(world, `GET ${path}/events`, {
      sub,
      url,
      headers: lastEventId === undefined ? {} : { 'last-event-id': lastEventId },
      ...request,
    });
  const call = async <Body>(target: string, request: RestRequest = {}) => {
    const [method = '', rest = ''] = target.split(' ');
    return (await callRest<Body>(world, `${method} ${path}${rest}`, { sub, url, ...request })).body;
  };
  const send = (message: string) =>
    call<{ userMessage: Message; message: Message }>('POST /messages', { body: { message } });
  return { sub, sessionId: created.body.sessionId, path, watch, call, send };
}

const until = (stream: Events, name: string, times = 1) =>
  vi.waitFor(() => {
    expect(namesOf(stream).filter((one) => one === name).length).toBeGreaterThanOrEqual(times);
  }, patience);

function expectInOrder({ events }: Events): void {
  const ids = events.map(({ id }) => id);
  expect(ids).toEqual([...new Set(ids)].toSorted());
  for (const { name, data } of events) expect(data.type).toBe(name);
}

/** What a client makes of the events: the messages by id, as it shows them. */
function shown(events: Events['events']): Map<string, string> {
  const messages = new Map<string, string>();
  for (const { data } of events) {
    if (data.type === 'history-start') messages.clear();
    else if (data.type === 'message') messages.set(data.message.id, data.message.content);
    else if (data.type === 'start') messages.set(data.streamId, '');
    else if (data.type === 'chunk') messages.set(data.streamId, (messages.get(data.streamId) ?? '') + data.text);
    else if (data.type === 'done' || data.type === 'error' || data.type === 'resync')
      messages.set(data.streamId, data.message.content);
    else if (data.type === 'message-deleted') messages.delete(data.messageId);
  }
  return messages;
}

describeEachDatabase('everything in a session as server-sent events', (kind) => {
  let world: World;
  beforeAll(async () => {
    world = await startWorld({ kind, env: { MAX_CONCURRENT_GENERATIONS: '100' } });
    world.openai.script(/^Held/u, { chunks, hold: 'every' });
  });
  afterAll(() => world[Symbol.asyncDispose]());

  it('tells the history at once, then later answers and changes from elsewhere, then the deletion', async () => {
    const { watch, call, send, sub, sessionId } = await newSession(world, { body: { initialMessage: 'First' } });
    const stream = await watch();
    await stream.until(3);
    expect([stream.status, stream.headers.get('content-type'), stream.retry(), stream.comments.length]).toEqual([
      200,
      'text/event-stream',
      1000,
      1,
    ]);
    expect(namesOf(stream)).toEqual(['history-start', 'message', 'history-end']);
    expect(stream.events.map(({ data }) => data)).toMatchObject([
      { count: 1, total: 1 },
      { message: { content: 'First', role: 'user' } },
      {},
    ]);
    const second = await send('Second');
    await until(stream, 'done');
    expect(namesOf(stream).slice(3, 5)).toEqual(['message', 'start']);
    expect(stream.events[3]?.data).toMatchObject({ message: second.userMessage });
    expect(stream.events.at(-1)?.data).toMatchObject({ type: 'done', message: second.message });
    await call('PATCH ', { body: { title: 'Renamed' } });
    await until(stream, 'session-updated');
    expect(stream.events.at(-1)?.data).toMatchObject({ session: { id: sessionId, title: 'Renamed', status: 'idle' } });
    // From another door.
    const { trpc } = world.trpc(sub);
    const third = await trpc.message.send.mutate({ sessionId, message: 'Third' });
    await until(stream, 'done', 2);
    await call(`DELETE /messages/${third.message.id}`);
    await until(stream, 'message-deleted');
    expect(stream.events.at(-1)?.data).toEqual({ type: 'message-deleted', messageId: third.message.id });
    const read = await call<{ messages: Message[] }>('GET ');
    expect(Object.fromEntries(shown(stream.events))).toEqual(
      Object.fromEntries(read.messages.map(({ id, content }) => [id, content])),
    );
    await call('DELETE ');
    expect(await stream.over).toBe('ended');
    expect(stream.events.at(-1)?.data).toEqual({ type: 'session-deleted', sessionId });
    expectInOrder(stream);
    expect((await watch()).status).toBe(404);
  });

  it('goes on after each of its ids with what came after it', async () => {
    const { watch, call, send, sub, sessionId } = await newSession(world);
    const whole = await watch();
    await until(whole, 'history-end');
    await send('A first one');
    await until(whole, 'done');
    await call('PATCH ', { body: { title: 'Meanwhile' } });
    await until(whole, 'session-updated');
    const message = `Held by ${sub}`;
    const sent = send(message);
    const model = await callFor(world.openai, message);
    await releaseChunks(model, 0, 2);
    await until(whole, 'chunk', 2);
    const historyEnd = namesOf(whole).indexOf('history-end');
    const resumed = await Promise.all(whole.events.map(async ({ id }, index) => ({ index, stream: await watch(id) })));
    // Where the history is told again, it is that of before the next change.
    for (const { index, stream } of resumed) if (index < historyEnd) await until(stream, 'history-end');
    await releaseChunks(model, 2, 4);
    const { message: answer } = await sent;
    await call('PATCH ', { body: { metadata: { last: 'change' } } });
    await until(whole, 'session-updated', 2);
    const last = whole.events.at(-1);
    for (const { index, stream } of resumed) {
      await vi.waitFor(() => expect(stream.events.at(-1)).toEqual(last), patience);
      if (index >= historyEnd) expect(stream.events).toEqual(whole.events.slice(index + 1));
      else expect(namesOf(stream)[0]).toBe('history-start');
      expectInOrder(stream);
    }
    // The other way to give the id, and the other door.
    const { id = '' } = whole.events[historyEnd + 2] ?? {};
    const byQuery = await openRestStream<SessionEvent>(
      world,
      `GET /api/chat/sessions/${sessionId}/events?lastEventId=${encodeURIComponent(id)}`,
      { sub },
    );
    await vi.waitFor(() => expect(byQuery.events.at(-1)).toEqual(last), patience);
    expect(byQuery.events).toEqual(whole.events.slice(historyEnd + 3));
    const told: unknown[] = [];
    const subscription = world
      .trpc(sub)
      .trpc.session.follow.subscribe(
        { sessionId, lastEventId: id },
        { onData: ({ id: eventId, data }) => void told.push({ id: eventId, name: data.type, data }) },
      );
    await vi.waitFor(() => expect(told).toHaveLength(byQuery.events.length), patience);
    expect(told).toEqual(byQuery.events);
    subscription.unsubscribe();
    for (const { stream } of resumed) stream.leave();
    // Nothing of a message that is deleted is told again: whoever comes back to before it starts over.
    expect(await call<null>(`DELETE /messages/${answer.id}`)).toBeNull();
    await until(whole, 'message-deleted');
    expectInOrder(whole);
    const justBefore = await watch(last?.id);
    await until(justBefore, 'message-deleted');
    expect(justBefore.events).toEqual(whole.events.slice(-1));
    justBefore.leave();
    for (const { id: before } of whole.events.slice(0, -2)) {
      const stream = await watch(before);
      await until(stream, 'history-end');
      expect(namesOf(stream)[0]).toBe('history-start');
      expect(stream.text()).not.toContain(answer.id);
      stream.leave();
    }
  });

  it('starts over for an id that is unreadable, of another session, or never was', async () => {
    const { watch, send } = await newSession(world);
    const other = await newSession(world);
    const foreign = await other.watch();
    await foreign.until(2);
    await send('One');
    for (const id of ['unreadable', '0', foreign.events[1]?.id ?? '', 'x'.repeat(512), 'x'.repeat(5000)]) {
      const stream = await watch(id);
      await stream.until(4);
      expect(namesOf(stream)).toEqual(['history-start', 'message', 'message', 'history-end']);
      stream.leave();
    }
    foreign.leave();
  });

  it('is right again after a restart: what is missing is told, or it starts over', async () => {
    const { watch, send, call } = await newSession(world);
    const before = await watch();
    await until(before, 'history-end');
    await send('One');
    await until(before, 'done');
    await call('PATCH ', { body: { title: 'Two' } });
    await until(before, 'session-updated');
    await world.restart();
    await before.over;
    const { url } = world;
    const read = await call<{ messages: Message[] }>('GET ', { url });
    for (const [index, { id }] of before.events.entries()) {
      const after = await watch(id, { url });
      await vi.waitFor(() => {
        const seen = shown([...before.events.slice(0, index + 1), ...after.events]);
        expect([...seen]).toEqual(read.messages.map(({ id: one, content }) => [one, content]));
      }, patience);
      expectInOrder(after);
      after.leave();
    }
  });

  it('tells a failed answer, and the next one after it', async () => {
    const { watch, sub, send } = await newSession(world);
    world.openai.script(`Fail ${sub}`, { chunks, fault: { at: 1, kind: 'error' }, times: 1 });
    const stream = await watch();
    await until(stream, 'history-end');
    await send(`Fail ${sub}`);
    await until(stream, 'error');
    expect(stream.events.at(-1)?.data).toMatchObject({ error: { code: 'MODEL_ERROR' }, message: { content: 'one' } });
    await send('Better now');
    await until(stream, 'done');
    expectInOrder(stream);
    stream.leave();
  });

  it('is left by a client without a trace', async () => {
    const { watch } = await newSession(world);
    const lines = world.logs.length;
    const streams = await Promise.all(Array.from({ length: 10 }, () => watch()));
    await Promise.all(streams.map((stream) => stream.until(2)));
    for (const stream of streams) stream.leave();
    await vi.waitFor(() => expect(world.app.transportStats().inFlight).toBe(0), patience);
    const told = world.logs.slice(lines).map((line) => JSON.parse(line) as { level: string });
    expect(told.filter(({ level }) => level === 'error' || level === 'warn')).toEqual([]);
  });
});

describe.skipIf(!isAvailable('postgres'))('everything in a session, written by another process', () => {
  let world: World;
  beforeAll(async () => {
    world = await startWorld({ kind: 'postgres' });
    world.openai.script(/^Held/u, { chunks, hold: 'every' });
  });
  afterAll(() => world[Symbol.asyncDispose]());

  it('is told here all the same', async () => {
    await using other = await world.spawn();
    const there = await newSession(world, { url: other.url });
    const here = (lastEventId?: string) => there.watch(lastEventId, { url: world.url });
    const stream = await here();
    await stream.until(2);
    const message = `Held by ${there.sub}`;
    const sent = there.send(message);
    const model = await callFor(world.openai, message);
    await until(stream, 'start');
    await releaseChunks(model, 0, 2);
    // It is seen before the end, from what is stored meanwhile.
    await vi.waitFor(
      () => expect([...shown(stream.events).values()].at(-1)).toBe(chunks.slice(0, 2).join('')),
      patience,
    );
    model.releaseAll();
    const { message: answer } = await sent;
    await until(stream, 'done');
    expect(stream.events.at(-1)?.data).toMatchObject({ message: answer });
    await there.call('PATCH ', { body: { title: 'From there' } });
    await there.send('Once more');
    await vi.waitFor(async () => {
      const read = await there.call<{ messages: Message[] }>('GET ');
      expect([...shown(stream.events)]).toEqual(read.messages.map(({ id, content }) => [id, content]));
    }, patience);
    expectInOrder(stream);
    const start = stream.events.find(({ name }) => name === 'start');
    const again = await here(start?.id);
    await there.call('DELETE ');
    for (const one of [stream, again]) {
      expect(await one.over).toBe('ended');
      expect(one.events.at(-1)?.data).toEqual({ type: 'session-deleted', sessionId: there.sessionId });
      expectInOrder(one);
    }
  });
});
