import { createHash } from 'node:crypto';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { patience } from '../src/call-for.ts';
import { collect, type Received } from '../src/collect.ts';
import { describeEachDatabase } from '../src/describe-databases.ts';
import { follow, textAfter } from '../src/follow.ts';
import { createHandClock } from '../src/hand-clock.ts';
import { releaseChunk } from '../src/held-answer.ts';
import { openRawEventStream } from '../src/raw-event-stream.ts';
import { isForStalled, stallSeconds } from '../src/stalling.ts';
import { startWorld, type World } from '../src/world.ts';

const mebibyte = 1024 * 1024;
/** More than the kernel keeps between the two ends of a connection. */
const chunks = Array.from({ length: 72 }, (_, index) => String.fromCodePoint(0x30 + index).repeat(128 * 1024));
const answer = chunks.join('');

describeEachDatabase('a reader that stops reading', (kind) => {
  const clock = createHandClock(isForStalled);
  let world: World;
  let count = 0;
  /** What a reader is told where nobody else reads. */
  let undisturbed: string[];
  beforeAll(async () => {
    world = await startWorld({ kind, clock, env: { STREAM_STALL_SECONDS: `${stallSeconds}` } });
    const { run } = await prepare();
    undisturbed = summaryOf(await run());
  });
  afterAll(() => world[Symbol.asyncDispose]());

  /** A long answer, each chunk of which is sent once the watcher has the one before it. */
  async function prepare() {
    count += 1;
    const user = `user-${count}`;
    const { trpc } = world.trpc(user);
    const message = `Question <${count}>`;
    world.openai.script(message, { chunks, hold: 'every' });
    const index = world.openai.calls.length;
    const { sessionId } = await trpc.session.create.mutate({});
    const watched = collect((subscriber) =>
      trpc.message.stream.subscribe({ sessionId, message, idempotencyKey: `key-${count}` }, subscriber),
    );
    await watched.until(1);
    const streamId = watched.events[0]?.event.streamId ?? '';
    const call = await world.openai.call(index);
    return {
      user,
      sessionId,
      streamId,
      /** `observe` is called at each event, `beforeEnd` when all but the last one are there. */
      async run({ observe, beforeEnd }: { observe?: () => void; beforeEnd?: () => Promise<void> } = {}) {
        for (const chunk of chunks.keys()) {
          await releaseChunk(call, chunk);
          observe?.();
          await watched.until(chunk + 2);
          observe?.();
        }
        await beforeEnd?.();
        call.releaseAll();
        await watched.done;
        await call.ended;
        expect(call.state).toBe('finished');
        return watched.events;
      },
    };
  }

  /** Lets the time pass in which a reader has to read; whoever reads has all that it was sent. */
  async function cutOneMoreThan(before: number): Promise<void> {
    await vi.waitFor(
      () => {
        clock.pass();
        expect(world.app.transportStats().slowReadersCut).toBe(before + 1);
      },
      { ...patience, interval: 5 },
    );
  }

  it('on a WebSocket: costs at most 1 MiB, holds up nobody, is cut, and goes on without a gap', async () => {
    const { user, sessionId, streamId, run } = await prepare();
    const cutBefore = world.app.transportStats().slowReadersCut;
    const slow = world.trpc(user);
    const stalled = follow(slow.trpc, { sessionId, streamId });
    await stalled.until(1);
    slow.sockets[0]?.pause();
    let peak = 0;
    const events = await run({
      observe() {
        peak = Math.max(peak, world.app.transportStats().largestBufferedBytes);
      },
      async beforeEnd() {
        await cutOneMoreThan(cutBefore);
        expect(world.app.transportStats().largestBufferedBytes).toBeLessThan(mebibyte);
      },
    });
    expect(summaryOf(events)).toEqual(undisturbed);
    expect(peak).toBeGreaterThan(128 * 1024);
    expect(peak).toBeLessThanOrEqual(mebibyte);
    expect(stalled.events).toHaveLength(1);

    slow.sockets[0]?.resume();
    await stalled.done;
    expect(slow.sockets).toHaveLength(2);
    expectWhole(stalled.events, events);
    expect(world.app.transportStats().slowReadersCut).toBe(cutBefore + 1);
  });

  it('of server-sent events: holds up nobody, is cut, and goes on without a gap', async () => {
    const { user, sessionId, streamId, run } = await prepare();
    const cutBefore = world.app.transportStats().slowReadersCut;
    const request = { url: world.url, token: await world.token(user), path: 'message.follow' };
    const stalled = await openRawEventStream({ ...request, input: { sessionId, streamId } });
    await vi.waitFor(() => expect(stalled.events).toHaveLength(1), patience);
    stalled.pause();
    const events = await run({
      async beforeEnd() {
        await cutOneMoreThan(cutBefore);
      },
    });
    expect(summaryOf(events)).toEqual(undisturbed);
    stalled.resume();
    expect(await stalled.over).toBe(false);
    expect(stalled.events.length).toBeLessThan(chunks.length);
    const resumed = await openRawEventStream({
      ...request,
      input: { sessionId, streamId },
      lastEventId: stalled.events.at(-1)?.id ?? '',
    });
    expect(await resumed.over).toBe(true);
    expectWhole([...stalled.events, ...resumed.events], events);
  });
});

/** What it was told, in order, without the ids of its session. */
function summaryOf(events: readonly Received[]): string[] {
  return events.map(({ id, event }) => {
    const text = event.type === 'chunk' ? event.text : event.type === 'start' ? '' : event.message.content;
    return `${id.slice(0, 16)} ${event.type} ${createHash('sha256').update(text).digest('hex')}`;
  });
}

/** Compared by hand: a difference of nine million characters cannot be printed. */
function expectWhole(seen: readonly Received[], whole: readonly Received[]): void {
  for (const [index, { id }] of seen.entries()) expect(id > (seen[index - 1]?.id ?? '')).toBe(true);
  expect(textAfter([], { events: seen }) === answer).toBe(true);
  expect(summaryOf(seen.slice(-1))).toEqual(summaryOf(whole.slice(-1)));
  expect(seen.at(-1)?.id).toBe(whole.at(-1)?.id);
}
