import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Received } from '../src/collect.ts';
import { describeEachDatabase } from '../src/describe-databases.ts';
import { releaseChunks } from '../src/held-answer.ts';
import { watcherKinds, type Watcher } from '../src/watchers.ts';
import { startWorld, type World } from '../src/world.ts';

const chunks = ['The ', 'süße', ' 🐟', ' swims', '.'];
const answer = chunks.join('');
/** Before the chunks `start`, behind them `done`. */
const eventCount = chunks.length + 2;
const cutPoints = Array.from({ length: eventCount + 1 }, (_, after) => after);

describeEachDatabase('resuming a stream', (kind) => {
  let world: World;
  /** Set: the next claim waits for it, so that a connection can be lost before the first event. */
  let claimHold: { reached: () => void; released: Promise<void> } | null = null;
  let count = 0;
  beforeAll(async () => {
    world = await startWorld({
      kind,
      env: { MAX_CONCURRENT_GENERATIONS: '1000' },
      probe: (point) => {
        if (point !== 'claimed' || claimHold === null) return;
        const { reached, released } = claimHold;
        claimHold = null;
        reached();
        return released;
      },
    });
  });
  afterAll(() => world[Symbol.asyncDispose]());

  function holdClaim() {
    const { promise: reached, resolve } = Promise.withResolvers<void>();
    const { promise: released, resolve: release } = Promise.withResolvers<void>();
    claimHold = { reached: resolve, released };
    return { reached, release };
  }

  /** A session and a request of a user of its own, whose answer comes chunk by chunk as the test lets it. */
  async function prepare() {
    count += 1;
    const user = `user-${count}`;
    const message = `Question <${count}>`;
    world.openai.script(message, { chunks, hold: 'every' });
    const { trpc } = world.trpc(user);
    const { sessionId } = await trpc.session.create.mutate({});
    const index = world.openai.calls.length;
    return { user, trpc, index, sessionId, request: { sessionId, message, idempotencyKey: `key-${count}` } };
  }

  /** Nothing missing, nothing twice, in order, and the end as it is stored. */
  async function expectWhole(
    { trpc, sessionId, index }: Awaited<ReturnType<typeof prepare>>,
    events: readonly Received[],
  ) {
    expectIncreasing(events);
    expect(events.map(({ event }) => (event.type === 'chunk' ? event.text : event.type))).toEqual([
      'start',
      ...chunks,
      'done',
    ]);
    const { messages, session } = await trpc.session.get.query({ sessionId });
    expect(session).toMatchObject({ status: 'idle', activeStreamId: null, messageCount: 2 });
    expect(events.at(-1)?.event).toMatchObject({ type: 'done', streamId: messages[1]?.id, message: messages[1] });
    expect(messages[1]).toMatchObject({ content: answer, status: 'complete' });
    expect(world.openai.calls).toHaveLength(index + 1);
    expect(world.openai.calls[index]).toMatchObject({ state: 'finished', sent: chunks });
  }

  describe.each(watcherKinds)('$name', (watcherKind) => {
    it.each(cutPoints)('three lost connections in a row after event %i', async (after) => {
      const prepared = await prepare();
      await using watcher = watcherKind.open(world, prepared.user);
      const claim = after === 0 && watcherKind.startsByWatching ? holdClaim() : null;
      const watched = await watcher.send(prepared.request);
      if (after === 0) {
        await (claim?.reached ?? watcher.connection(0).then(({ requested }) => requested));
        // Until it is known whether the request is admitted, no subscription is said to run.
        await loseThreeTimes(watcher, claim === null ? 'subscribed' : 'requested');
        claim?.release();
      } else {
        const call = await world.openai.call(prepared.index);
        if (after === eventCount) watched.at(eventCount, () => watcher.cut());
        await releaseChunks(call, 0, after - 1);
        await watched.until(after);
        if (after < eventCount) await loseThreeTimes(watcher, 'subscribed');
      }
      (await world.openai.call(prepared.index)).releaseAll();
      await watched.done;
      await expectWhole(prepared, watched.events);
      if (after < eventCount) expect(watcher.connections.length).toBeGreaterThanOrEqual(4);
    });

    it('a connection that is lost while it is made', async () => {
      const prepared = await prepare();
      await using watcher = watcherKind.open(world, prepared.user);
      const watched = await watcher.send(prepared.request);
      await watcher.connection(0);
      watcher.cut();
      (await world.openai.call(prepared.index)).releaseAll();
      await watched.done;
      await expectWhole(prepared, watched.events);
      expect(watcher.connections.length).toBeGreaterThanOrEqual(2);
    });
  });

  it.each(watcherKinds.filter(({ survivesLostFirst }) => survivesLostFirst))(
    '$name: a connection that is lost before anything was asked on it',
    async (watcherKind) => {
      const prepared = await prepare();
      await using watcher = watcherKind.open(world, prepared.user);
      const watched = await watcher.send(prepared.request);
      await (
        await watcher.connection(0)
      ).opened;
      watcher.cut();
      (await world.openai.call(prepared.index)).releaseAll();
      await watched.done;
      await expectWhole(prepared, watched.events);
    },
  );

  it.each(watcherKinds.filter(({ canDeafen }) => canDeafen))(
    '$name: events that are lost on the way',
    async (watcherKind) => {
      const prepared = await prepare();
      await using watcher = watcherKind.open(world, prepared.user);
      const watched = await watcher.send(prepared.request);
      const call = await world.openai.call(prepared.index);
      await watched.until(1);
      for (let chunk = 0; chunk <= chunks.length; chunk += 1) {
        watcher.deafen?.();
        await releaseChunks(call, chunk, chunk + 1);
        expect(watched.events).toHaveLength(chunk + 1);
        watcher.cut();
        await watched.until(chunk + 2);
      }
      await watched.done;
      await expectWhole(prepared, watched.events);
      expect(watcher.connections.length).toBeGreaterThan(chunks.length);
    },
  );
});

function expectIncreasing(events: readonly Received[]) {
  const ids = events.map(({ id }) => id);
  expect(ids).toEqual([...new Set(ids)].toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b))));
}

/** Loses the connection with its subscription running, then as soon as it is open, then running again. */
async function loseThreeTimes(watcher: Watcher, settled: 'subscribed' | 'requested'): Promise<void> {
  const known = watcher.connections.length;
  watcher.cut();
  await (
    await watcher.connection(known)
  )[settled];
  watcher.cut();
  await (
    await watcher.connection(known + 1)
  ).opened;
  watcher.cut();
  await (
    await watcher.connection(known + 2)
  )[settled];
}
