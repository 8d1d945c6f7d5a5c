import { setImmediate as turn } from 'node:timers/promises';
import type { ObservationEvent } from '@chat-service/shared/events';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { callFor, patience } from '../src/call-for.ts';
import { describeEachDatabase } from '../src/describe-databases.ts';
import { expectIncreasing } from '../src/expect-increasing.ts';
import { follow } from '../src/follow.ts';
import { createHandClock } from '../src/hand-clock.ts';
import { observeRaw } from '../src/raw-observer.ts';
import { openRawSocket } from '../src/raw-socket.ts';
import { openRestStream } from '../src/rest.ts';
import { isForStalled, stallSeconds } from '../src/stalling.ts';
import { supervisedWorld, type Supervised } from '../src/supervised-world.ts';
import { essence } from '../src/told-list.ts';

const mebibyte = 1024 * 1024;
const chunks = Array.from({ length: 24 }, (_, index) => String.fromCodePoint(0x61 + index).repeat(16 * 1024));
/** Chunks that are written when the one who does not read has been cut. */
const afterCut = 4;
/** So often one connection watches that what it is sent is more than the network between holds. */
const deafness = 60;

describeEachDatabase('an observer who never reads again', (kind) => {
  const clock = createHandClock(isForStalled);
  let supervised: Supervised;
  beforeAll(async () => {
    supervised = await supervisedWorld({ kind, clock, env: { STREAM_STALL_SECONDS: `${stallSeconds}` } });
  });
  afterAll(() => supervised[Symbol.asyncDispose]());

  it('is cut, and neither the user nor a hundred others feel it', async () => {
    const { world } = supervised;
    const token = await supervised.token('sue');
    const message = 'Watched by many';
    world.openai.script(message, { chunks, hold: 'every' });
    const { trpc } = world.trpc('alice');
    const { sessionId } = await trpc.session.create.mutate({});
    await using open = new AsyncDisposableStack();

    const deaf = open.use(await openRawSocket(world.url, { token }));
    const heard = (type: string) => deaf.replies.filter((reply) => JSON.stringify(reply).includes(`"type":"${type}"`));
    for (let index = 0; index < deafness; index += 1) {
      void deaf.call('subscription', 'supervisor.observe', { sessionId });
    }
    await vi.waitFor(() => expect(heard('history-end')).toHaveLength(deafness), patience);
    deaf.socket.pause();

    // A hundred, each with a connection of their own, over both doors.
    const hearing = Array.from({ length: 90 }, async (_, index) => {
      const socket = open.use(await openRawSocket(world.url, { token }));
      // Not all under the same call id, which is a part of what they are sent.
      if (index % 2 === 1) await socket.call('query', 'system.version', undefined);
      return observeRaw(socket, sessionId);
    });
    const sockets = await Promise.all(hearing);
    const reading = Array.from({ length: 10 }, async () => {
      const path = `/api/chat/sessions/${sessionId}/observe`;
      const stream = await openRestStream<ObservationEvent>(world, `GET ${path}`, { token });
      open.defer(() => stream.leave());
      await stream.until(3);
      return stream;
    });
    const streams = await Promise.all(reading);
    await Promise.all(sockets.map((one) => one.until('history-end')));

    const { streamId } = await trpc.message.start.mutate({ sessionId, message });
    const user = follow(trpc, { sessionId, streamId });
    await user.until(1);
    const call = await callFor(world.openai, message);
    let peak = 0;
    /** Lets the time pass in which a reader has to read, once everybody who reads has all of it. */
    const cutTheDeaf = async (written: number) => {
      await vi.waitFor(() => {
        for (const { events } of streams) expect(events.filter(({ name }) => name === 'chunk')).toHaveLength(written);
      }, patience);
      for (let turns = 0; turns < 10; turns += 1) await turn();
      const hasCut = () => {
        clock.pass();
        expect(world.app.transportStats().slowReadersCut).toBe(1);
      };
      await vi.waitFor(hasCut, { ...patience, interval: 5 });
    };
    for (const index of chunks.keys()) {
      if (index === chunks.length - afterCut) await cutTheDeaf(index);
      await call.reached(index);
      call.release();
      // The next one is written when all have this one: nobody waits for the one who does not read.
      await user.until(index + 2);
      peak = Math.max(peak, world.app.transportStats().largestBufferedBytes);
      await Promise.all(sockets.map((one) => one.until('chunk', index + 1)));
      peak = Math.max(peak, world.app.transportStats().largestBufferedBytes);
    }
    call.releaseAll();
    await user.done;
    await Promise.all(sockets.map((one) => one.until('done')));
    await vi.waitFor(() => {
      for (const { events } of streams) expect(events.some(({ name }) => name === 'done')).toBe(true);
    }, patience);

    expect(peak).toBeGreaterThan(128 * 1024);
    expect(peak).toBeLessThanOrEqual(mebibyte);
    expect(world.app.transportStats().slowReadersCut).toBe(1);
    expect(heard('start')).toEqual([]);

    // The user is told what the model has written, piece by piece,
    expect(user.events.map(({ event }) => event.type)).toEqual(['start', ...chunks.map(() => 'chunk'), 'done']);
    expect(user.events.flatMap(({ event }) => (event.type === 'chunk' ? [event.text] : []))).toEqual(chunks);
    expect(user.events.at(-1)?.event).toMatchObject({ message: { content: chunks.join(''), status: 'complete' } });
    // and each observer the same, under the same ids, behind the same history and the question.
    const { messages } = await trpc.session.get.query({ sessionId });
    const [first] = sockets;
    const before = essence(first?.told ?? []).slice(0, 3);
    expect(before.map(({ event }) => event)).toEqual([
      { type: 'history-start', count: 0, total: 0 },
      { type: 'history-end' },
      { type: 'message', message: messages[0] },
    ]);
    const all = [...before, ...user.events];
    expectIncreasing(all);
    for (const { told, isOver } of sockets) {
      expect(essence(told)).toEqual(all);
      expectIncreasing(told);
      expect(isOver()).toBe(false);
    }
    for (const { events } of streams) {
      const told = events.map(({ id, data }) => ({ id, event: data }));
      expect(essence(told)).toEqual(all);
      expectIncreasing(told);
    }
  });
});
