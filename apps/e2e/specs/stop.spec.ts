import { TRPCClientError } from '@trpc/client';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { patience } from '../src/call-for.ts';
import { collect, textOf, type Collected } from '../src/collect.ts';
import { describeEachDatabase } from '../src/describe-databases.ts';
import type { FakeCall } from '../src/fake-openai.ts';
import { createGates } from '../src/gates.ts';
import { createHandClock } from '../src/hand-clock.ts';
import { openInvariants, type Invariants } from '../src/invariants.ts';
import type { TrpcConnection } from '../src/trpc-client.ts';
import { startWorld, type World } from '../src/world.ts';

const chunks = ['One', ' two', ' three', ' 四 🙂'];

describeEachDatabase('stopping an answer', (kind) => {
  const gates = createGates();
  // An owner gets 2 s to end what is deleted; here it gets all the time that it needs.
  const clock = createHandClock((milliseconds) => milliseconds === 2000);
  let world: World;
  let invariants: Invariants;
  let trpc: TrpcConnection['trpc'];
  beforeAll(async () => {
    world = await startWorld({ kind, clock, probe: gates.probe });
    invariants = await openInvariants(world);
    ({ trpc } = world.trpc());
  });
  afterAll(() => world[Symbol.asyncDispose]());

  async function createSession(): Promise<string> {
    const { sessionId } = await trpc.session.create.mutate({});
    return sessionId;
  }

  /** Sends a message and watches its answer until the reader has the first `count` chunks and the next is held. */
  async function streamUntil(sessionId: string, message: string, count: number) {
    const index = world.openai.calls.length;
    world.openai.script(message, { chunks, hold: [count], times: 1 });
    const reader = watch(sessionId, message);
    const call = await world.openai.call(index);
    await call.reached(count);
    await hasText(reader, chunks.slice(0, count).join(''));
    return { reader, call, streamId: reader.events[0]?.event.streamId ?? '' };
  }

  function watch(sessionId: string, message: string): Collected {
    const request = { sessionId, message, idempotencyKey: `${sessionId} ${message}` };
    return collect((subscriber) => trpc.message.stream.subscribe(request, subscriber));
  }

  async function hasText(reader: Collected, text: string): Promise<void> {
    await reader.until(1);
    await vi.waitFor(() => expect(textOf(reader.events)).toBe(text), { ...patience, interval: 5 });
  }

  async function sendsAgain(sessionId: string, message: string): Promise<FakeCall | undefined> {
    world.openai.script(message, { chunks: ['Again', '.'], times: 1 });
    const sent = await trpc.message.send.mutate({ sessionId, message });
    expect(sent.message).toMatchObject({ status: 'complete', content: 'Again.' });
    return world.openai.calls.at(-1);
  }

  it.each([0, 1, 2, 3, 4])('keeps what was written until a stop before chunk %i', async (count) => {
    const sessionId = await createSession();
    const { reader, call, streamId } = await streamUntil(sessionId, `stopped at ${count}`, count);
    const written = chunks.slice(0, count).join('');

    const { message } = await trpc.message.stop.mutate({ sessionId });
    expect(message).toMatchObject({
      id: streamId,
      content: written,
      status: 'stopped',
      stoppedBy: 'user',
      finishReason: 'stopped',
      error: null,
    });
    await call.ended;
    expect({ state: call.state, sent: call.sent }).toEqual({ state: 'cancelled', sent: chunks.slice(0, count) });

    await reader.done;
    expect(reader.events.at(-1)?.event).toMatchObject({ type: 'done', finishReason: 'stopped', message });
    expect(textOf(reader.events)).toBe(written);
    const read = await trpc.session.get.query({ sessionId });
    expect(read.session).toMatchObject({ status: 'idle', activeStreamId: null, messageCount: 2 });
    expect(read.messages[1]).toEqual(message);
    await invariants.check(sessionId, [reader]);

    const next = await sendsAgain(sessionId, `after the stop at ${count}`);
    const history = next?.body.messages.filter(({ role }) => role === 'assistant');
    expect(history).toEqual(written === '' ? [] : [{ role: 'assistant', content: written }]);
    await invariants.check(sessionId, [reader]);
  });

  it('cancels a call that the provider has not begun to answer', async () => {
    const sessionId = await createSession();
    const index = world.openai.calls.length;
    world.openai.script('no headers', { fault: { at: -1, kind: 'stall' }, times: 1 });
    const reader = watch(sessionId, 'no headers');
    const call = await world.openai.call(index);
    const { message } = await trpc.message.stop.mutate({ sessionId });
    expect(message).toMatchObject({ content: '', status: 'stopped', stoppedBy: 'user' });
    await call.ended;
    expect(call.state).toBe('cancelled');
    await reader.done;
    await invariants.check(sessionId, [reader]);
  });

  it('does not let a late stop touch the next answer', async () => {
    const sessionId = await createSession();
    const first = await streamUntil(sessionId, 'the first of two', 2);
    const { message: stopped } = await trpc.message.stop.mutate({ sessionId, streamId: first.streamId });
    world.openai.script('the second of two', { chunks: ['Whole.'], times: 1 });
    const { message: complete } = await trpc.message.send.mutate({ sessionId, message: 'the second of two' });

    const running = await streamUntil(sessionId, 'runs meanwhile', 1);
    for (const old of [stopped, complete]) {
      const late = await trpc.message.stop.mutate({ sessionId, streamId: old.id });
      expect(late.message).toEqual(old);
    }
    expect(running.call.state).toBe('running');
    running.call.release();
    await running.reader.done;
    expect(running.reader.events.at(-1)?.event).toMatchObject({ type: 'done', finishReason: 'stop' });
    expect(textOf(running.reader.events)).toBe(chunks.join(''));
    await invariants.check(sessionId, [first.reader, running.reader]);
  });

  it('answers a stop with nothing to stop', async () => {
    const sessionId = await createSession();
    const conflict = { data: { code: 'CONFLICT', httpStatus: 409 } };
    await expect(trpc.message.stop.mutate({ sessionId })).rejects.toMatchObject(conflict);
    await sendsAgain(sessionId, 'something to say');
    await expect(trpc.message.stop.mutate({ sessionId })).rejects.toMatchObject(conflict);
    const other = await createSession();
    const { messages } = await trpc.session.get.query({ sessionId });
    for (const streamId of [crypto.randomUUID(), messages[1]?.id ?? '', messages[0]?.id ?? '']) {
      await expect(trpc.message.stop.mutate({ sessionId: other, streamId })).rejects.toMatchObject({
        data: { code: 'NOT_FOUND' },
      });
    }
  });

  it('answers stops at once, and again, with the same message', async () => {
    const sessionId = await createSession();
    const { reader, streamId } = await streamUntil(sessionId, 'stopped twice', 2);
    const ending = gates.hold('ending');
    const first = trpc.message.stop.mutate({ sessionId });
    // Whoever names no answer is told of none once it is over.
    await ending.reached;
    const others = [
      trpc.message.stop.mutate({ sessionId, streamId }),
      world.client('alice').messages.stop({ sessionId, streamId }),
    ];
    ending.release();
    const answers = [await first, ...(await Promise.all(others))];
    expect(answers[0]?.message).toMatchObject({ status: 'stopped', content: 'One two' });
    expect(answers).toEqual([answers[0], answers[0], answers[0]]);
    expect(await trpc.message.stop.mutate({ sessionId, streamId })).toEqual(answers[0]);
    await reader.done;
    await invariants.check(sessionId, [reader]);
  });

  it('leaves an answer whole that was ending by itself', async () => {
    const sessionId = await createSession();
    const { reader, call, streamId } = await streamUntil(sessionId, 'ends by itself', chunks.length);
    const ending = gates.hold('ending');
    call.release();
    await ending.reached;
    const stop = trpc.message.stop.mutate({ sessionId });
    await vi.waitFor(async () => {
      const { generations } = await invariants.rows(sessionId);
      expect(generations[0]?.stopRequestedBy).toBe('user');
    }, patience);
    ending.release();
    const { message } = await stop;
    expect(message).toMatchObject({ id: streamId, status: 'complete', content: chunks.join(''), stoppedBy: null });
    await reader.done;
    expect(reader.events.at(-1)?.event).toMatchObject({ type: 'done', message });
    await invariants.check(sessionId, [reader]);
  });

  it('stops a message that is not admitted yet: nothing is stored, and its key is new again', async () => {
    const sessionId = await createSession();
    const calls = world.openai.calls.length;
    const request = { sessionId, message: 'stopped before it began', idempotencyKey: 'before it began' };
    const admitting = gates.hold('admitting');
    const sent = trpc.message.send.mutate(request).catch((error: unknown) => error);
    await admitting.reached;
    const stop = trpc.message.stop.mutate({ sessionId }).catch((error: unknown) => error);
    await vi.waitFor(async () => {
      const { generations } = await invariants.rows(sessionId);
      expect(generations[0]?.stopRequestedBy).toBe('user');
    }, patience);
    admitting.release();
    for (const answer of await Promise.all([sent, stop])) {
      expect(answer).toBeInstanceOf(TRPCClientError);
      expect(answer).toMatchObject({ data: { code: 'CONFLICT' } });
    }
    expect(world.openai.calls).toHaveLength(calls);
    expect((await invariants.check(sessionId)).messages).toEqual([]);
    const again = await trpc.message.send.mutate(request);
    expect(again.message.status).toBe('complete');
    expect(world.openai.calls).toHaveLength(calls + 1);
    await invariants.check(sessionId);
  });

  it('ends an answer whose session is deleted, and everything with it', async () => {
    const sessionId = await createSession();
    const { reader, call, streamId } = await streamUntil(sessionId, 'deleted while it is written', 2);
    await trpc.session.delete.mutate({ sessionId });
    await call.ended;
    expect(call.state).toBe('cancelled');
    await reader.done;
    expect(textOf(reader.events)).toBe('One two');

    const { sessions, messages, generations, segments } = await invariants.rows(sessionId);
    expect([sessions, messages, generations, segments]).toEqual([[], [], [], []]);
    const gone = { data: { code: 'NOT_FOUND', httpStatus: 404 } };
    await expect(trpc.session.get.query({ sessionId })).rejects.toMatchObject(gone);
    await expect(trpc.message.list.query({ sessionId })).rejects.toMatchObject(gone);
    await expect(trpc.message.stop.mutate({ sessionId, streamId })).rejects.toMatchObject(gone);
    await expect(trpc.session.delete.mutate({ sessionId })).rejects.toMatchObject(gone);
    const repeat = watch(sessionId, 'deleted while it is written');
    await expect(repeat.done).rejects.toMatchObject(gone);
    const lastEventId = reader.events[1]?.id ?? '';
    const resumed = collect((subscriber) => trpc.message.follow.subscribe({ sessionId, lastEventId }, subscriber));
    await expect(resumed.done).rejects.toMatchObject(gone);
    expect(world.openai.calls.filter(({ lastUserMessage }) => lastUserMessage.includes('deleted while'))).toHaveLength(
      1,
    );
  });
});
