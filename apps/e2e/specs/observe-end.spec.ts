import type { ObservationEvent } from '@chat-service/shared/events';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { callFor, patience } from '../src/call-for.ts';
import { describeEachDatabase } from '../src/describe-databases.ts';
import { isEndOfToken, tokenLife } from '../src/ending-tokens.ts';
import { expectIncreasing } from '../src/expect-increasing.ts';
import { follow } from '../src/follow.ts';
import { createHandClock } from '../src/hand-clock.ts';
import { observeRaw } from '../src/raw-observer.ts';
import { openRawSocket } from '../src/raw-socket.ts';
import { openRestStream } from '../src/rest.ts';
import { supervisedWorld, type Supervised } from '../src/supervised-world.ts';
import { essence } from '../src/told-list.ts';

/** Roles are looked at so often. */
const isRole = (milliseconds: number) => milliseconds === 30_000;

const chunks = Array.from({ length: 300 }, (_, index) => `${index} `);
/** Up to here all have seen everything; from there on nobody is told who may look no longer. */
const [seenByAll, afterEnd] = [2, 290];

describeEachDatabase('an observation to which text is streaming', (kind) => {
  const clock = createHandClock((milliseconds) => isRole(milliseconds) || isEndOfToken(milliseconds));
  let supervised: Supervised;
  beforeAll(async () => {
    supervised = await supervisedWorld({ kind, clock });
    supervised.world.openai.script(/^Observed/u, { chunks, hold: [0, seenByAll, afterEnd] });
  });
  afterAll(() => supervised[Symbol.asyncDispose]());

  it.each(['role', 'token'] as const)('ends with the %s, is told so, and nothing after it', async (reason) => {
    const { world } = supervised;
    const { trpc } = world.trpc('alice');
    const { sessionId } = await trpc.session.create.mutate({});
    const pat = `pat-${reason}`;
    const token = await world.token(pat, { role: 'supervisor', issuedIn: -60, expiresIn: tokenLife });
    await using socket = await openRawSocket(world.url, { token });
    const ending = await observeRaw(socket, sessionId);
    const path = `GET /api/chat/sessions/${sessionId}/observe`;
    const stream = await openRestStream<ObservationEvent>(world, path, { token });
    await using other = await openRawSocket(world.url, { token: await supervised.token('sue') });
    const steady = await observeRaw(other, sessionId);
    await steady.until('history-end');

    const message = `Observed until the ${reason} ends`;
    const { streamId } = await trpc.message.start.mutate({ sessionId, message });
    const user = follow(trpc, { sessionId, streamId });
    await user.until(1);
    const call = await callFor(world.openai, message);
    await call.reached(0);
    call.release();
    await call.reached(seenByAll);
    for (const one of [ending, steady]) await one.until('chunk', seenByAll);
    await vi.waitFor(() => expect(chunksOf(toldOver(stream))).toHaveLength(seenByAll), patience);
    call.release();
    await ending.until('chunk', seenByAll + 10);
    if (reason === 'role') {
      // A newer token says that the role is gone.
      await world.trpc(pat).trpc.session.list.query();
      clock.pass(isRole);
    } else {
      // Of both connections what is said just before the end.
      clock.pass(isEndOfToken, 2);
    }
    const ended = { type: 'observer', status: 'ended', reason };
    await ending.until('ended');
    await vi.waitFor(() => expect(toldOver(stream).at(-1)?.event).toEqual(ended), patience);

    // The model goes on, for everybody else.
    await call.reached(afterEnd);
    const last = { socket: ending.told.length, stream: stream.events.length };
    call.release();
    await user.done;
    await steady.until('done');
    // Whatever was sent over this connection before is here with the answer.
    await socket.call('query', 'session.list', {});
    expect(ending.isOver()).toBe(reason === 'role');
    clock.pass(isEndOfToken);
    expect(await socket.closed).toBe(4401);
    expect(await stream.over).toBe('ended');
    expect({ socket: ending.told.length, stream: stream.events.length }).toEqual(last);
    expect(socket.replies.filter(({ error }) => error !== undefined)).toEqual([]);

    expect(user.events.map(({ event }) => event.type)).toEqual(['start', ...chunks.map(() => 'chunk'), 'done']);
    const shared = essence(steady.told);
    expect(shared.slice(-user.events.length)).toEqual(user.events);
    expect(chunksOf(shared).join('')).toBe(chunks.join(''));
    expectIncreasing(steady.told);
    for (const told of [ending.told, toldOver(stream)]) {
      expect(told.at(-1)?.event).toEqual(ended);
      expectIncreasing(told);
      // All that the others were told, up to there.
      expect(essence(told)).toEqual(shared.slice(0, essence(told).length));
      expect(chunksOf(told).length).toBeLessThanOrEqual(afterEnd);
    }
    await vi.waitFor(async () => {
      const looks = (await supervised.entries()).filter(({ actorId }) => actorId === pat);
      expect(looks.map(({ action }) => action).toSorted()).toEqual([
        ...Array<string>(2).fill('observe.attach'),
        ...Array<string>(2).fill('observe.detach'),
      ]);
    }, patience);
  });
});

function toldOver({
  events,
}: {
  readonly events: readonly { readonly id: string; readonly data: ObservationEvent }[];
}) {
  return events.map(({ id, data }) => ({ id, event: data }));
}

function chunksOf(told: readonly { readonly event: ObservationEvent }[]): string[] {
  return told.flatMap(({ event }) => (event.type === 'chunk' ? [event.text] : []));
}
