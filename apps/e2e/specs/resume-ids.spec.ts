import { isTRPCClientError } from '@trpc/client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Database } from '@chat-service/server/db/database';
import { collect, textOf, type Collected, type Received } from '../src/collect.ts';
import { describeEachDatabase } from '../src/describe-databases.ts';
import { releaseChunks } from '../src/held-answer.ts';
import { openSseClient } from '../src/sse-client.ts';
import { startWorld, type World } from '../src/world.ts';

const chunks = ['One', ' two', ' three.'];
const answer = chunks.join('');

describeEachDatabase('event ids', (kind) => {
  let world: World;
  let database: Database;
  let count = 0;
  beforeAll(async () => {
    world = await startWorld({ kind, env: { MAX_CONCURRENT_GENERATIONS: '1000' } });
    database = await world.openDatabase();
  });
  afterAll(() => world[Symbol.asyncDispose]());

  async function prepare(plan: { hold?: 'every' } = {}) {
    count += 1;
    const user = `user-${count}`;
    const client = world.trpc(user);
    const { trpc } = client;
    const { sessionId } = await trpc.session.create.mutate({});
    const message = `Question <${count}>`;
    world.openai.script(message, { chunks, ...plan });
    const index = world.openai.calls.length;
    const request = { sessionId, message, idempotencyKey: `key-${count}` };
    const stream = (lastEventId?: string, changed: Partial<typeof request> = {}) =>
      collect((subscriber) =>
        trpc.message.stream.subscribe(
          { ...request, ...changed, ...(lastEventId !== undefined && { lastEventId }) },
          subscriber,
        ),
      );
    return { user, client, trpc, index, sessionId, request, stream };
  }

  /** A conversation with one whole answer, and what was seen of it. */
  async function answered() {
    const prepared = await prepare();
    const { events, done } = prepared.stream();
    await done;
    return { ...prepared, events, calls: world.openai.calls.length };
  }

  /** All there are: nothing else runs meanwhile. */
  const expireKeys = () => database.query.delete(database.tables.idempotencyKeys);

  it('tells the rest after each of them, also once the key has expired, and starts nothing', async () => {
    const { events, stream, trpc, sessionId, calls } = await answered();
    for (const expired of [false, true]) {
      if (expired) await expireKeys();
      for (const [index, { id }] of events.entries()) {
        const again = stream(id);
        await again.done;
        expect(again.events).toEqual(events.slice(index + 1));
      }
    }
    expect(world.openai.calls).toHaveLength(calls);
    expect((await trpc.session.get.query({ sessionId })).session.messageCount).toBe(2);
  });

  it('goes on with a running answer whose key has expired', async () => {
    const { client, stream, index, request } = await prepare({ hold: 'every' });
    const watched = stream();
    const call = await world.openai.call(index);
    await releaseChunks(call, 0, 1);
    await watched.until(2);
    await expireKeys();
    client.cut();
    await (
      await client.connection(1)
    ).subscribed;
    call.releaseAll();
    await watched.done;
    expect(watched.events.map(({ event }) => event.type)).toEqual(['start', 'chunk', 'chunk', 'chunk', 'done']);
    expect(textOf(watched.events.slice(0, -1))).toBe(answer);
    expect(world.openai.calls).toHaveLength(index + 1);
    // What was sent again is the whole request: the id alone made it follow.
    const sent = client.connections[1]?.sent.find((frame) => frame.includes('message.stream'));
    expect(sent).toContain(request.message);
    expect(sent).toContain(`"lastEventId":"${watched.events[1]?.id}"`);
  });

  describe('that cannot be served', () => {
    const forms: [string, (id: string, foreign: string) => string][] = [
      ['an empty one', () => ''],
      ['an unreadable one', () => 'no id at all'],
      ['one of another session', (_id, foreign) => foreign],
      ['one beyond every number', (id) => `ffffffff00000001${id.slice(16)}`],
      ['one of a time to come', (id) => `0000ffff${id.slice(8)}`],
      ['one before everything', (id) => `0000000000000000${id.slice(16)}`],
      ['one beyond the end of the answer', (id) => `${id.slice(0, 8)}0000ffff${id.slice(16)}`],
    ];

    it.each(forms)(
      '%s: known key, the whole text at once; unknown key, 404; nothing is started',
      async (_name, form) => {
        const foreign = (await answered()).events[1]?.id ?? '';
        const { events, stream, trpc, sessionId, calls } = await answered();
        const id = form(events[1]?.id ?? '', foreign);
        const known = stream(id);
        await known.done;
        expectResynced(known, events);
        await expect(stream(id, { idempotencyKey: `never-used-${count}` }).done).rejects.toSatisfy(isNotFound);
        expect(world.openai.calls).toHaveLength(calls);
        expect((await trpc.session.get.query({ sessionId })).session.messageCount).toBe(2);

        const followed = collect((subscriber) =>
          trpc.message.follow.subscribe({ sessionId, lastEventId: id }, subscriber),
        );
        await followed.done;
        expectResynced(followed, events);
      },
    );

    it('a place that a running answer has not reached: told at its end at the latest', async () => {
      const { trpc, stream, sessionId, index } = await prepare({ hold: 'every' });
      const watched = stream();
      await watched.until(1);
      const lastEventId = (watched.events[0]?.id ?? '').replace(/^(.{8}).{8}/u, '$10000ffff');
      const astray = collect((subscriber) => trpc.message.follow.subscribe({ sessionId, lastEventId }, subscriber));
      await astray.started;
      (await world.openai.call(index)).releaseAll();
      await Promise.all([watched.done, astray.done]);
      expectResynced(astray, watched.events);
    });

    it('goes on after the text so far of a running answer', async () => {
      const { trpc, stream, sessionId, index } = await prepare({ hold: 'every' });
      const watched = stream();
      const call = await world.openai.call(index);
      await releaseChunks(call, 0, 2);
      await watched.until(3);
      const late = collect((subscriber) =>
        trpc.message.follow.subscribe({ sessionId, lastEventId: 'unreadable' }, subscriber),
      );
      await late.until(1);
      expect(late.events[0]?.event).toMatchObject({ type: 'resync', message: { status: 'streaming' } });
      call.releaseAll();
      await Promise.all([late.done, watched.done]);
      expect(textOf(late.events.slice(0, -1))).toBe(answer);
      expect(late.events.at(-1)).toEqual(watched.events.at(-1));
    });
  });

  it('name their generation, which wins over the latest one', async () => {
    const { trpc, sessionId, events, stream, request } = await answered();
    const second = stream(undefined, { idempotencyKey: `${request.idempotencyKey}-2` });
    await second.done;
    const { calls } = world.openai;
    const before = calls.length;
    const lastEventId = events[2]?.id ?? '';
    const follow = (streamId?: string) =>
      collect((subscriber) =>
        trpc.message.follow.subscribe(
          { sessionId, lastEventId, ...(streamId !== undefined && { streamId }) },
          subscriber,
        ),
      );
    const first = follow();
    await first.done;
    expect(first.events).toEqual(events.slice(3));
    // Under the name of another generation it is foreign.
    const other = follow(second.events[0]?.event.streamId);
    await other.done;
    expectResynced(other, second.events);
    expect(calls).toHaveLength(before);
    expect((second.events[0]?.id ?? '') > (events.at(-1)?.id ?? '~')).toBe(true);
  });

  it('of one door go on at another', async () => {
    const { user, trpc, sessionId, index, stream } = await prepare({ hold: 'every' });
    const sse = openSseClient(world.url, () => world.token(user)).trpc;
    const watched = stream();
    const call = await world.openai.call(index);
    await watched.until(1);
    const doors = [sse, trpc];
    let seen: readonly Received[] = watched.events.slice(0, 1);
    for (let chunk = 0; chunk <= chunks.length; chunk += 1) {
      const { message } = doors[chunk % 2] ?? trpc;
      const lastEventId = seen.at(-1)?.id ?? '';
      const next = collect((subscriber) => message.follow.subscribe({ sessionId, lastEventId }, subscriber));
      await releaseChunks(call, chunk, chunk + 1);
      await next.until(1);
      expect(next.events).toHaveLength(1);
      seen = [...seen, ...next.events];
      next.unsubscribe();
    }
    await watched.done;
    expect(seen).toEqual(watched.events);
    for (const { message } of doors) {
      const lastEventId = seen.at(-1)?.id ?? '';
      const nothing = collect((subscriber) => message.follow.subscribe({ sessionId, lastEventId }, subscriber));
      await nothing.done;
      expect(nothing.events).toEqual([]);
    }
  });
});

/** One event with everything, and the end as everybody else was told it. */
function expectResynced({ events }: Collected, whole: readonly Received[]) {
  expect(events.map(({ event }) => event.type)).toEqual(['resync', 'done']);
  expect(events[0]?.event).toMatchObject({ message: { content: answer } });
  expect(events[1]).toEqual(whole.at(-1));
  expect(events[0]?.id).toBe(whole.at(-2)?.id);
}

function isNotFound(error: unknown): boolean {
  return isTRPCClientError(error) && (error.data as { code?: string } | undefined)?.code === 'NOT_FOUND';
}
