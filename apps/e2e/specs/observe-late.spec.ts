import { afterAll, beforeAll, expect, it } from 'vitest';
import { callFor } from '../src/call-for.ts';
import { describeEachDatabase } from '../src/describe-databases.ts';
import { expectIncreasing } from '../src/expect-increasing.ts';
import { createHandClock } from '../src/hand-clock.ts';
import { observe, openSupervisor } from '../src/observe.ts';
import { essence, type Told } from '../src/told-list.ts';
import type { TrpcConnection } from '../src/trpc-client.ts';
import { startWorld, type World } from '../src/world.ts';

/** So long that no other timer is. */
const bufferSeconds = 4711;

describeEachDatabase('when the log has forgotten an answer', (kind) => {
  const clock = createHandClock((milliseconds) => milliseconds === bufferSeconds * 1000);
  let world: World;
  let sue: TrpcConnection;
  beforeAll(async () => {
    world = await startWorld({ kind, clock, env: { STREAM_BUFFER_SECONDS: String(bufferSeconds) } });
    sue = openSupervisor(world);
  });
  afterAll(async () => {
    await sue[Symbol.asyncDispose]();
    await world[Symbol.asyncDispose]();
  });

  let count = 0;
  /** A session that somebody watches from its beginning, and who has seen two answers. */
  async function watched() {
    count += 1;
    const user = `user-${count}`;
    const { trpc } = world.trpc(user);
    const { sessionId } = await trpc.session.create.mutate({});
    const steady = observe(sue.trpc, sessionId);
    await steady.until('history-end');
    const send = async (message: string, chunks: readonly string[], hold: readonly number[] = []) => {
      world.openai.script(`${user} ${message}`, { chunks, hold });
      await trpc.message.start.mutate({ sessionId, message: `${user} ${message}` });
      return callFor(world.openai, `${user} ${message}`);
    };
    await send('one', ['a', 'b', 'c']);
    await steady.until('done');
    await send('two', ['d', 'e', 'f', 'g']);
    await steady.until('done', 2);
    const stored = async () => (await trpc.session.get.query({ sessionId })).messages;
    return { sessionId, steady, send, stored };
  }

  it('a new observer is told what is stored, and then the same as who was there all the time', async () => {
    const { sessionId, steady, send, stored } = await watched();
    clock.pass();
    const late = observe(sue.trpc, sessionId);
    await late.until('history-end');
    expect(messagesOf(late.told)).toEqual(await stored());
    expect(late.kinds()).not.toContain('chunk');
    const from = steady.told.length;
    await send('three', ['h', 'i']);
    await late.until('done');
    await steady.until('done', 3);
    expect(essence(late.told.slice(late.kinds().indexOf('history-end') + 1))).toEqual(essence(steady.told.slice(from)));
    for (const one of [steady, late]) {
      expectIncreasing(one.told);
      one.leave();
    }
  });

  it('an answer that is being written is not forgotten with the one before', async () => {
    const { sessionId, steady, send } = await watched();
    const call = await send('three', ['h', 'i', 'j'], [2]);
    await steady.untilIt((told) => textOf(told) === 'hi');
    clock.pass();
    const from = steady.told.findLastIndex(({ event }) => event.type === 'message') + 1;
    const [start, first] = essence(steady.told.slice(from));
    const late = observe(sue.trpc, sessionId);
    const back = observe(sue.trpc, sessionId, first?.id);
    await late.until('chunk');
    await back.until('chunk');
    expect(textOf(late.told)).toBe('hi');
    call.releaseAll();
    for (const one of [late, back]) await one.until('done');
    await steady.until('done', 3);
    const live = essence(steady.told.slice(from));
    expect(essence(back.told)).toEqual(live.slice(2));
    // Of who came late the text so far is one piece.
    const joined = essence(late.told.slice(late.kinds().indexOf('history-end') + 1));
    expect(joined.map(({ event }) => event.type)).toEqual(['start', 'chunk', 'chunk', 'done']);
    expect([joined[0], ...joined.slice(2)]).toEqual([start, ...live.slice(3)]);
    expect(joined[1]?.id).toBe(live[2]?.id);
    for (const one of [steady, late, back]) {
      expectIncreasing(one.told);
      one.leave();
    }
  });

  it('one who comes back is told what they lack, wherever in the answer they left', async () => {
    const { sessionId, steady, stored } = await watched();
    const done = steady.told.findLast(isDone);
    const answer = (await stored()).at(-1);
    const whole = essence(steady.told);
    const first = whole.findIndex(({ event }) => event.type === 'done') + 1;
    const last = whole.findIndex(({ event }) => event === done?.event);
    const forgotten: Told[][] = [];
    for (const isForgotten of [false, true]) {
      if (isForgotten) clock.pass();
      for (const [index, { id }] of whole.entries()) {
        if (index < first || index >= last) continue;
        const back = observe(sue.trpc, sessionId, id);
        await back.until('done');
        expect(back.kinds()[0]).toBe('connected');
        expectIncreasing([{ id }, ...back.told]);
        const told = essence(back.told);
        expect(told.at(-1)).toEqual(done);
        // Their text is complete before the end tells it anew.
        expect(textOf([...whole.slice(first, index + 1), ...told])).toBe(answer?.content);
        if (isForgotten) forgotten.push(told);
        else expect(told).toEqual(whole.slice(index + 1));
        back.leave();
      }
    }
    // Not piece by piece any more: it was not the log that told them.
    const pieces = whole.slice(first, last).filter(({ event }) => event.type === 'chunk').length;
    expect(pieces).toBeGreaterThan(1);
    expect(forgotten.map((told) => told.map(({ event }) => event.type))).toEqual([
      ['start', 'chunk', 'done'],
      ...Array.from({ length: pieces }, () => ['resync', 'done']),
      ['done'],
    ]);
    steady.leave();
  });

  it('one who comes back from an earlier answer starts over, and from the end goes on', async () => {
    const { sessionId, steady, send, stored } = await watched();
    clock.pass();
    const whole = essence(steady.told);
    const middle = whole.find(({ event }) => event.type === 'chunk');
    const anew = observe(sue.trpc, sessionId, middle?.id);
    const end = observe(sue.trpc, sessionId, whole.at(-1)?.id);
    await anew.until('history-end');
    await end.until('connected');
    expect(messagesOf(anew.told)).toEqual(await stored());
    const from = steady.told.length;
    await send('three', ['h', 'i']);
    for (const one of [steady, anew, end]) await one.until('done', one === steady ? 3 : 1);
    const live = essence(steady.told.slice(from));
    expect(essence(anew.told.slice(anew.kinds().indexOf('history-end') + 1))).toEqual(live);
    expect(essence(end.told)).toEqual(live);
    expectIncreasing([{ id: middle?.id ?? '' }, ...anew.told]);
    expectIncreasing([{ id: whole.at(-1)?.id ?? '' }, ...end.told]);
    for (const one of [steady, anew, end]) one.leave();
  });
});

const isDone = ({ event }: Told) => event.type === 'done';

function messagesOf(told: readonly Told[]) {
  return told.flatMap(({ event }) => (event.type === 'message' ? [event.message] : []));
}

/** What an observer has of the last answer, before its end tells it anew. */
function textOf(told: readonly Told[]): string {
  let text = '';
  for (const { event } of told) {
    if (event.type === 'start') text = '';
    if (event.type === 'chunk') text += event.text;
    if (event.type === 'resync') text = event.message.content;
  }
  return text;
}
