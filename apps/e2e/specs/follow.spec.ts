import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { patience } from '../src/call-for.ts';
import { collect, textOf, type Received } from '../src/collect.ts';
import { describeEachDatabase } from '../src/describe-databases.ts';
import type { FakePlan } from '../src/fake-openai.ts';
import { follow, textAfter } from '../src/follow.ts';
import { releaseChunks } from '../src/held-answer.ts';
import { startWorld, type World } from '../src/world.ts';

const chunks = ['alpha', ' beta', ' gamma', ' delta'];
const answer = chunks.join('');

let count = 0;

/** A session of a user of its own whose message is sent and watched. */
async function start(world: World, plan: FakePlan = {}) {
  count += 1;
  const user = `user-${count}`;
  const { trpc } = world.trpc(user);
  const message = `Question <${count}>`;
  world.openai.script(message, { chunks, ...plan });
  const index = world.openai.calls.length;
  const { sessionId } = await trpc.session.create.mutate({});
  const watched = collect((subscriber) =>
    trpc.message.stream.subscribe({ sessionId, message, idempotencyKey: `key-${count}` }, subscriber),
  );
  await watched.until(1);
  const streamId = watched.events[0]?.event.streamId ?? '';
  return { user, trpc, sessionId, streamId, watched, call: await world.openai.call(index) };
}

async function answered(world: World, plan?: FakePlan) {
  const started = await start(world, plan);
  await started.watched.done;
  return { ...started, events: started.watched.events };
}

describeEachDatabase('following an answer', (kind) => {
  let world: World;
  beforeAll(async () => {
    world = await startWorld({ kind, env: { MAX_CONCURRENT_GENERATIONS: '1000' } });
  });
  afterAll(() => world[Symbol.asyncDispose]());

  it('that runs: from its start, with the text so far, then live', async () => {
    const { trpc, sessionId, call, watched } = await start(world, { hold: 'every' });
    await releaseChunks(call, 0, 2);
    const joined = follow(trpc, { sessionId });
    await joined.until(3);
    expect(joined.events.map(({ event }) => event.type)).toEqual(['start', 'chunk', 'chunk']);
    call.releaseAll();
    await Promise.all([joined.done, watched.done]);
    expect(joined.events).toEqual(watched.events);
  });

  it('that has just ended: every event as it was', async () => {
    const { trpc, sessionId, streamId, events } = await answered(world);
    for (const input of [{ sessionId }, { sessionId, streamId }]) {
      const again = follow(trpc, input);
      await again.done;
      expect(again.events).toEqual(events);
    }
  });

  it('that failed: to its error', async () => {
    const { trpc, sessionId, streamId, events } = await answered(world, { fault: { at: 2, kind: 'error' } });
    const { messages } = await trpc.message.list.query({ sessionId });
    expect(events.at(-1)?.event).toMatchObject({ type: 'error', error: { code: 'MODEL_ERROR' }, message: messages[1] });
    expect(messages[1]).toMatchObject({ status: 'failed', content: 'alpha beta', error: { code: 'MODEL_ERROR' } });
    const again = follow(trpc, { sessionId, streamId, lastEventId: events[1]?.id ?? '' });
    await again.done;
    expect(again.events).toEqual(events.slice(2));
  });

  it('where there is none: ends without a word', async () => {
    const { trpc } = world.trpc();
    const { sessionId } = await trpc.session.create.mutate({});
    const nothing = follow(trpc, { sessionId });
    await nothing.done;
    expect(nothing.events).toEqual([]);
  });

  it('that does not exist, of another session, or of another user: one and the same 404', async () => {
    const { trpc, sessionId, streamId, events } = await answered(world);
    const { sessionId: otherSession } = await trpc.session.create.mutate({});
    const { trpc: stranger } = world.trpc('stranger');
    const lastEventId = events[1]?.id ?? '';
    const unknown = '01890000-0000-7000-8000-000000000000';
    const attempts = [
      follow(trpc, { sessionId, streamId: unknown }),
      follow(trpc, { sessionId, streamId: unknown, lastEventId }),
      follow(trpc, { sessionId: otherSession, streamId }),
      follow(trpc, { sessionId: unknown, streamId }),
      follow(stranger, { sessionId }),
      follow(stranger, { sessionId, streamId }),
      follow(stranger, { sessionId, streamId, lastEventId }),
      follow(stranger, { sessionId: unknown }),
    ];
    const errors = await Promise.all(attempts.map(({ done }) => done.then(() => null, wireErrorOf)));
    expect(errors[0]).toMatchObject({ data: { code: 'NOT_FOUND', httpStatus: 404 } });
    expect(new Set(errors.map((error) => JSON.stringify(error))).size).toBe(1);
    expect(attempts.flatMap((attempt) => attempt.events)).toEqual([]);
  });

  it('by twenty readers at different places: all end with the same text', async () => {
    const { trpc, sessionId, streamId, call, watched } = await start(world, { hold: 'every' });
    const readers: { before: readonly Received[]; reader: ReturnType<typeof follow> }[] = [];
    for (let chunk = 0; chunk <= chunks.length; chunk += 1) {
      await watched.until(chunk + 1);
      for (let nth = 0; nth < 4; nth += 1) {
        const before = watched.events.slice(0, Math.min(nth, chunk + 1));
        const lastEventId = before.at(-1)?.id;
        readers.push({
          before,
          reader: follow(trpc, { sessionId, streamId, ...(lastEventId !== undefined && { lastEventId }) }),
        });
      }
      await releaseChunks(call, chunk, chunk + 1);
    }
    await Promise.all([watched.done, ...readers.map(({ reader }) => reader.done)]);
    expect(readers).toHaveLength(20);
    for (const { before, reader } of readers) expect([...before, ...reader.events]).toEqual(watched.events);
  });

  it('after its first events have gone from the live log', async () => {
    const long = Array.from({ length: 40 }, (_, index) => String.fromCodePoint(0x41 + index).repeat(64 * 1024));
    const { trpc, sessionId, streamId, call, watched } = await start(world, { chunks: long, hold: [long.length] });
    await watched.until(long.length + 1);
    const readers = [1, 2, 36, 40].map((seen) => ({
      before: watched.events.slice(0, seen),
      reader: follow(trpc, { sessionId, streamId, lastEventId: watched.events[seen - 1]?.id ?? '' }),
    }));
    readers.push({ before: [], reader: follow(trpc, { sessionId }) });
    const whole = long.join('');
    await vi.waitFor(() => {
      for (const { before, reader } of readers) expect(textAfter(before, reader).length).toBe(whole.length);
    }, patience);
    // Those who have missed what is gone get it in one piece; the others what they lack as it was.
    expect(
      readers.map(({ before, reader }) => Math.sign(before.length + reader.events.length - watched.events.length)),
    ).toEqual([-1, -1, 0, 0, -1]);
    call.releaseAll();
    await Promise.all([watched.done, ...readers.map(({ reader }) => reader.done)]);
    for (const { before, reader } of readers) {
      expect(textAfter(before, reader) === whole).toBe(true);
      expect(reader.events.at(-1)?.id).toBe(watched.events.at(-1)?.id);
      expectIncreasing([...before, ...reader.events]);
    }
    // The last event alone is larger than what a stalled reader may cost.
    expect(world.app.transportStats()).toMatchObject({ slowReadersCut: 0 });
  });

  it('after a restart of the service: the right text from any old place', async () => {
    const { user, sessionId, streamId, events } = await answered(world);
    await world.restart();
    await expectAnyPlace(world, { user, sessionId, streamId, events });
  });
});

describeEachDatabase('following an answer after its buffer time', (kind) => {
  let world: World;
  beforeAll(async () => {
    world = await startWorld({ kind, env: { STREAM_BUFFER_SECONDS: '0' } });
  });
  afterAll(() => world[Symbol.asyncDispose]());

  it('is rebuilt for who names it, and nothing for who does not', async () => {
    const { user, trpc, sessionId, streamId, events } = await answered(world);
    expect(textOf(events)).toBe(answer);
    await vi.waitFor(async () => {
      const nothing = follow(trpc, { sessionId });
      await nothing.done;
      expect(nothing.events).toEqual([]);
    }, patience);
    await expectAnyPlace(world, { user, sessionId, streamId, events });
  });
});

interface Answered {
  readonly user: string;
  readonly sessionId: string;
  readonly streamId: string;
  readonly events: readonly Received[];
}

/** What is rebuilt from the row: for newcomers in three events, for others so that their text is right, at the end nothing. */
async function expectAnyPlace(world: World, { user, sessionId, streamId, events }: Answered): Promise<void> {
  const { trpc } = world.trpc(user);
  const rebuilt = follow(trpc, { sessionId, streamId });
  await rebuilt.done;
  expect(rebuilt.events.map(({ event }) => event.type)).toEqual(['start', 'chunk', 'done']);
  expect(rebuilt.events[0]).toEqual(events[0]);
  expect(textAfter([], rebuilt)).toBe(answer);
  expect(rebuilt.events.at(-1)).toEqual(events.at(-1));
  for (const [index, { id }] of events.entries()) {
    const before = events.slice(0, index + 1);
    const resumed = follow(trpc, { sessionId, lastEventId: id });
    await resumed.done;
    expect(textAfter(before, resumed)).toBe(answer);
    expectIncreasing([...before, ...resumed.events]);
    expect([...before, ...resumed.events].at(-1)).toEqual(events.at(-1));
    if (index === events.length - 1) expect(resumed.events).toEqual([]);
  }
}

function expectIncreasing(events: readonly Received[]): void {
  for (const [index, { id }] of events.entries()) expect(id > (events[index - 1]?.id ?? '')).toBe(true);
}

function wireErrorOf(error: unknown): unknown {
  const { shape } = error as { shape?: { data?: { requestId?: string } } };
  return { ...shape, data: { ...shape?.data, requestId: 'any' } };
}
