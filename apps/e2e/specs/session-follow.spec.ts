import type { SessionEvent } from '@chat-service/shared/events';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { patience } from '../src/call-for.ts';
import { describeEachDatabase } from '../src/describe-databases.ts';
import { startWorld, type World } from '../src/world.ts';

interface Told {
  readonly id: string;
  readonly event: SessionEvent;
}

/** Follows a session with the stock client, as a list that grows. */
function follow(world: World, sessionId: string, lastEventId?: string, url?: string) {
  const told: Told[] = [];
  const { trpc } = world.trpc('alice', url);
  const ended = Promise.withResolvers<void>();
  const subscription = trpc.session.follow.subscribe(
    { sessionId, ...(lastEventId !== undefined && { lastEventId }) },
    {
      onData: ({ id, data }) => void told.push({ id, event: data }),
      onError: ended.reject,
      onComplete: ended.resolve,
    },
  );
  return {
    told,
    ended: ended.promise,
    types: () => told.map(({ event }) => event.type),
    until: (type: SessionEvent['type'], times = 1) =>
      vi.waitFor(
        () => {
          expect(told.filter(({ event }) => event.type === type)).toHaveLength(times);
        },
        { ...patience, interval: 10 },
      ),
    stop: () => subscription.unsubscribe(),
  };
}

function expectIncreasing(told: readonly Told[]): void {
  const ids = told.map(({ id }) => id);
  expect(ids).toEqual([...new Set(ids)].toSorted());
}

describeEachDatabase('following a session', (kind) => {
  let world: World;
  beforeAll(async () => {
    world = await startWorld({ kind });
    world.openai.script('Held', { chunks: ['a', 'b', 'c'], hold: 'every' });
  });
  afterAll(() => world[Symbol.asyncDispose]());

  it('tells the history, then answers and changes, then the deletion', async () => {
    const client = world.client();
    const { session } = await client.sessions.create({ initialMessage: 'First' });
    const sessionId = session.id;
    const watcher = follow(world, sessionId);
    await watcher.until('history-end');
    expect(watcher.types()).toEqual(['history-start', 'message', 'history-end']);
    expect(watcher.told[0]?.event).toMatchObject({ count: 1, total: 1 });
    await client.messages.send({ sessionId, message: 'Second' });
    await watcher.until('done');
    expect(watcher.types().slice(3, 5)).toEqual(['message', 'start']);
    await client.sessions.update({ sessionId, title: 'Renamed' });
    await watcher.until('session-updated');
    const sent = await client.messages.send({ sessionId, message: 'Third' });
    await watcher.until('done', 2);
    await client.messages.delete({ sessionId, messageId: sent.message.id });
    await watcher.until('message-deleted');
    await client.sessions.delete({ sessionId });
    await watcher.ended;
    expect(watcher.types().at(-1)).toBe('session-deleted');
    expectIncreasing(watcher.told);
  });

  it.each([
    ['unreadable', () => 'no id at all'],
    ['of another session', (id: string) => `${id.slice(0, -8)}00000000`],
    ['of a time to come', (id: string) => `0000ffff${id.slice(8)}`],
    ['beyond the end of the last answer', (id: string) => `${id.slice(0, 8)}0000ffff${id.slice(16)}`],
  ])('starts over at the history after an id that is %s', async (_name, form) => {
    const client = world.client();
    const { session } = await client.sessions.create({});
    const sessionId = session.id;
    const watcher = follow(world, sessionId);
    await watcher.until('history-end');
    await client.messages.send({ sessionId, message: 'First' });
    await watcher.until('done');
    watcher.stop();
    const again = follow(world, sessionId, form(watcher.told.at(-1)?.id ?? ''));
    await again.until('history-end');
    expect(again.types()).toEqual(['history-start', 'message', 'message', 'history-end']);
    again.stop();
  });

  it('joins in the middle of an answer, and is told of a change that comes in between', async () => {
    const client = world.client();
    const { session } = await client.sessions.create({});
    const calls = world.openai.calls.length;
    const stream = client.messages.stream({ sessionId: session.id, message: 'Held' });
    const call = await world.openai.call(calls);
    await call.reached(0);
    call.release();
    await call.reached(1);
    const early = follow(world, session.id);
    await early.until('chunk');
    expect(early.types()).toEqual(['history-start', 'message', 'history-end', 'start', 'chunk']);
    await client.sessions.update({ sessionId: session.id, title: 'Meanwhile' });
    await early.until('session-updated');
    call.releaseAll();
    const final = await stream.finalMessage();
    await early.until('done');
    const text = early.told.map(({ event }) => (event.type === 'chunk' ? event.text : '')).join('');
    expect(text).toBe(final.content);
    expectIncreasing(early.told);
    // From any id on, what comes after it is told again, the same.
    const end = early.told.findIndex(({ event }) => event.type === 'history-end');
    for (const [index, { id }] of early.told.entries()) {
      const again = follow(world, session.id, id);
      if (index < end) await again.until('history-end');
      else if (index < early.told.length - 1) {
        await again.until('done');
        expect(again.told).toEqual(early.told.slice(index + 1));
      }
      again.stop();
    }
  });
});
