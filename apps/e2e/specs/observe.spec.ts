import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { callFor, patience } from '../src/call-for.ts';
import { callOver, doors } from '../src/call-over.ts';
import { collect } from '../src/collect.ts';
import { describeEachDatabase } from '../src/describe-databases.ts';
import { expectIncreasing } from '../src/expect-increasing.ts';
import { createGates } from '../src/gates.ts';
import { observe, openSupervisor } from '../src/observe.ts';
import { callRest, openRestStream } from '../src/rest.ts';
import { essence, type Told } from '../src/told-list.ts';
import type { TrpcConnection } from '../src/trpc-client.ts';
import { startWorld, type World } from '../src/world.ts';

describeEachDatabase('a supervisor who observes', (kind) => {
  const gates = createGates();
  let world: World;
  let sue: TrpcConnection;
  beforeAll(async () => {
    world = await startWorld({ kind, probe: gates.probe });
    sue = openSupervisor(world);
  });
  afterAll(async () => {
    await sue[Symbol.asyncDispose]();
    await world[Symbol.asyncDispose]();
  });

  let count = 0;
  /** A session of a user of its own, whose answers are in the test's hands. */
  async function session() {
    count += 1;
    const user = `user-${count}`;
    const { trpc } = world.trpc(user);
    const { sessionId } = await trpc.session.create.mutate({});
    return {
      user,
      trpc,
      sessionId,
      async send(message: string) {
        const { streamId } = await trpc.message.start.mutate({ sessionId, message: `${user} ${message}` });
        return { streamId, call: await callFor(world.openai, `${user} ${message}`) };
      },
      stored: async () => (await trpc.session.get.query({ sessionId })).messages,
    };
  }

  it('of an idle session is told its history, then everything from the next question to the deletion', async () => {
    const { trpc, sessionId, user } = await session();
    await trpc.message.send.mutate({ sessionId, message: 'First' });
    const observer = observe(sue.trpc, sessionId);
    await observer.until('history-end');
    expect(observer.kinds()).toEqual(['connected', 'history-start', 'message', 'message', 'history-end']);
    expect(observer.told[0]?.event).toMatchObject({
      session: { id: sessionId, userId: user, status: 'idle', observers: null },
      user: { id: user, role: 'enduser', sessionCount: 1 },
      observers: 1,
    });
    expect(observer.told[1]?.event).toMatchObject({ count: 2, total: 2 });
    const sent = await trpc.message.send.mutate({ sessionId, message: 'Second' });
    await observer.until('idle');
    expect(
      observer
        .kinds()
        .slice(5)
        .filter((one) => one !== 'chunk'),
    ).toEqual(['message', 'start', 'live', 'done', 'idle']);
    expect(observer.text()).toBe(sent.message.content);
    await trpc.session.update.mutate({ sessionId, title: 'Renamed' });
    await observer.until('session-updated');
    await trpc.message.delete.mutate({ sessionId, messageId: sent.message.id });
    await observer.until('message-deleted');
    await trpc.session.delete.mutate({ sessionId });
    await observer.ended;
    expect(observer.kinds().at(-1)).toBe('session-deleted');
    expectIncreasing(observer.told);
  });

  it('joins in the middle of an answer, over both doors, and has the same text as the user', async () => {
    const { trpc, sessionId, send, stored } = await session();
    world.openai.script(/in the middle$/u, { chunks: ['a', 'b', 'c', 'd'], hold: [2] });
    const { streamId, call } = await send('in the middle');
    const reader = collect((subscriber) => trpc.message.follow.subscribe({ sessionId, streamId }, subscriber));
    await call.reached(2);
    await reader.until(3);
    const observer = observe(sue.trpc, sessionId);
    await observer.until('chunk');
    const plain = await openRestStream<Told['event']>(world, `GET /api/chat/sessions/${sessionId}/observe`, {
      token: await world.token('rex', { role: 'supervisor' }),
    });
    // Connected, the history of one message, the start and the text so far.
    await plain.until(6);
    expect(essence(observer.told).map(({ event }) => event.type)).toEqual([
      'history-start',
      'message',
      'history-end',
      'start',
      'chunk',
    ]);
    expect(observer.told[0]?.event).toMatchObject({ session: { status: 'streaming' } });
    expect(observer.text()).toBe('ab');
    await observer.until('live');
    expect(observer.told.at(-1)?.event).toEqual({ type: 'observer', status: 'live', observers: 2 });
    call.releaseAll();
    await reader.done;
    await observer.until('idle');
    expect(observer.text()).toBe('abcd');
    expect((await stored()).at(-1)?.content).toBe('abcd');
    await vi.waitFor(() => expect(plain.events.some(({ name }) => name === 'done')).toBe(true), patience);
    const texts = plain.events.map(({ data }) => (data.type === 'chunk' ? data.text : '')).join('');
    expect(texts).toBe('abcd');
    // What is told to all has the same id at every door.
    const done = observer.told.find(({ event }) => event.type === 'done');
    expect(plain.events.find(({ name }) => name === 'done')).toEqual({ id: done?.id, name: 'done', data: done?.event });
    plain.leave();
    observer.leave();
  });

  it('sees an answer once that ends at the very moment of coming', async () => {
    const { sessionId, send, stored } = await session();
    const early = observe(sue.trpc, sessionId);
    await early.until('history-end');
    const gate = gates.hold('ended');
    await send('ends now');
    await gate.reached;
    // Its end is stored, and nobody has been told.
    const observer = observe(sue.trpc, sessionId);
    await observer.until('history-end');
    gate.release();
    await early.until('done');
    const messages = observer.told.flatMap(({ event }) => (event.type === 'message' ? [event.message] : []));
    expect(messages).toEqual(await stored());
    const next = await send('and again');
    await observer.until('done');
    await next.call.ended;
    expect(observer.kinds().filter((one) => one === 'done')).toHaveLength(1);
    expectIncreasing(observer.told);
    observer.leave();
    early.leave();
  });

  it.each(['published', 'claimed', 'reserved', 'admitting', 'admitted'] as const)(
    'comes in the gap between two answers (%s) and is told the one as history, the other live',
    async (point) => {
      const { sessionId, send, stored } = await session();
      const early = observe(sue.trpc, sessionId);
      await early.until('history-end');
      // The one has told its end to all and is not yet tidied away, or the other is about to begin.
      const gate = point === 'published' ? gates.hold(point) : null;
      await send('one');
      await early.until('done');
      const between = gate ?? gates.hold(point);
      const second = gate === null ? send('two') : null;
      await between.reached;

      const observer = observe(sue.trpc, sessionId);
      await observer.until('history-end');
      const past = observer.told.flatMap(({ event }) => (event.type === 'message' ? [event.message] : []));
      expect(past.map(({ role, status }) => [role, status])).toEqual([
        ['user', 'complete'],
        ['assistant', 'complete'],
        // Once it is admitted, the next question is stored as well.
        ...(point === 'admitted' ? [['user', 'complete']] : []),
      ]);
      between.release();
      await (second ?? send('two'));

      await observer.until('done');
      await early.until('done', 2);
      const tail = essence(early.told);
      const after = tail.findIndex(({ event }) => event.type === 'done') + 1;
      const live = essence(observer.told.slice(observer.kinds().indexOf('history-end') + 1));
      expect(live).toEqual(tail.slice(point === 'admitted' ? after + 1 : after));
      const answer = (await stored()).at(-1);
      expect(observer.text()).toBe(answer?.content);
      expect(observer.told.flatMap(({ event }) => (event.type === 'done' ? [event.message] : []))).toEqual([answer]);
      expectIncreasing(observer.told);
      observer.leave();
      early.leave();
    },
  );

  it('goes on after any event that it was told, as if it had never been away', async () => {
    const { sessionId, send } = await session();
    const steady = observe(sue.trpc, sessionId);
    await steady.until('history-end');
    await send('one');
    await steady.until('idle');
    await send('two');
    await steady.until('idle', 2);
    const from = steady.kinds().indexOf('history-end');
    for (const [index, { id }] of [...steady.told].entries()) {
      if (index < from) continue;
      const left = essence(steady.told.slice(index + 1));
      const back = observe(sue.trpc, sessionId, id);
      await back.untilIt((told) => told.length > 0 && essence(told).length >= left.length);
      expect(back.kinds()[0]).toBe('connected');
      expect(essence(back.told)).toEqual(left);
      expectIncreasing([{ id }, ...back.told]);
      back.leave();
    }
    // Within the history nobody can go on: it is told anew, and whole.
    const anew = observe(sue.trpc, sessionId, steady.told[1]?.id);
    await anew.until('history-end');
    expect(anew.kinds().filter((one) => one === 'message')).toHaveLength(4);
    anew.leave();
    steady.leave();
  });

  it('counts those who watch, as they come and go', async () => {
    const { sessionId } = await session();
    const first = observe(sue.trpc, sessionId);
    await first.until('history-end');
    const second = observe(sue.trpc, sessionId);
    await second.until('history-end');
    await first.until('idle');
    expect(second.told[0]?.event).toMatchObject({ observers: 2 });
    expect(first.told.at(-1)?.event).toEqual({ type: 'observer', status: 'idle', observers: 2 });
    second.leave();
    await first.until('idle', 2);
    expect(first.told.at(-1)?.event).toEqual({ type: 'observer', status: 'idle', observers: 1 });
    expectIncreasing(first.told);
    first.leave();
  });

  it('is told the newest hundred of more messages, and how many there are', async () => {
    const { trpc, sessionId, stored } = await session();
    for (let turn = 1; turn <= 51; turn += 1) await trpc.message.send.mutate({ sessionId, message: `turn ${turn}` });
    const observer = observe(sue.trpc, sessionId);
    await observer.until('history-end');
    expect(observer.told[1]?.event).toEqual({ type: 'history-start', count: 100, total: 102 });
    const messages = observer.told.flatMap(({ event }) => (event.type === 'message' ? [event.message] : []));
    expect(messages[0]?.content).toBe('turn 2');
    expect(messages).toEqual(await stored());
    expectIncreasing(observer.told);
    observer.leave();
  });

  it.each(doors)('is answered 404 over %s for a session that does not exist, or no longer', async (door) => {
    const { trpc, sessionId } = await session();
    await trpc.session.delete.mutate({ sessionId });
    const token = await world.token('sue', { role: 'supervisor' });
    const look = (of: string) => callOver(world, door, { path: 'supervisor.observe', input: { sessionId: of }, token });
    const unknown = await look('01890000-0000-7000-8000-000000000000');
    const status = door === 'rest' ? 'status' : 'httpStatus';
    expect(unknown.refusal).toMatchObject({ code: 'NOT_FOUND', [status]: 404 });
    expect(await look(sessionId)).toEqual({
      ...unknown,
      refusal: { ...unknown.refusal, requestId: expect.any(String) },
    });
  });

  it('is answered with the status 404 over REST', async () => {
    const token = await world.token('sue', { role: 'supervisor' });
    const path = '/api/chat/sessions/01890000-0000-7000-8000-000000000000/observe';
    const { status, body } = await callRest(world, `GET ${path}`, { token });
    expect([status, body.code]).toEqual([404, 'NOT_FOUND']);
  });

  it('goes on when nothing is buffered any more', async () => {
    const { sessionId, send, stored } = await session();
    world.openai.script(/long ago$/u, { chunks: ['a', 'b'], hold: [1] });
    const observer = observe(sue.trpc, sessionId);
    const { call } = await send('long ago');
    await observer.until('chunk');
    const { id } = observer.told.at(-1) ?? { id: '' };
    observer.leave();
    call.releaseAll();
    await call.ended;
    await vi.waitFor(async () => expect((await stored()).at(-1)?.status).toBe('complete'), patience);
    await world.restart();
    await using again = openSupervisor(world);
    const back = observe(again.trpc, sessionId, id);
    await back.until('done');
    expect(back.told.find(({ event }) => event.type === 'done')?.event).toMatchObject({ message: { content: 'ab' } });
    expectIncreasing(back.told);
    back.leave();
  });
});
