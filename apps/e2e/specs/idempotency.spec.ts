import type { StreamMessageInput } from '@chat-service/shared/message-api';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { letThrough } from '../src/account-queue.ts';
import { callFor, patience } from '../src/call-for.ts';
import { collect, textOf } from '../src/collect.ts';
import { describeEachDatabase } from '../src/describe-databases.ts';
import type { FakeCall } from '../src/fake-openai.ts';
import { createGates } from '../src/gates.ts';
import { createHandClock } from '../src/hand-clock.ts';
import { isAnyLimit, isLimit, limitedModels } from '../src/model-limits.ts';
import { callOverHttp } from '../src/raw-http.ts';
import { refusalOf } from '../src/refusal.ts';
import { cutsShutdownShort } from '../src/shutdown-timers.ts';
import { startWorld, type World } from '../src/world.ts';

describeEachDatabase('idempotency', (kind) => {
  const gates = createGates();
  const clock = createHandClock((milliseconds) => isAnyLimit(milliseconds) || cutsShutdownShort(milliseconds));
  let world: World;
  beforeAll(async () => {
    world = await startWorld({
      kind,
      probe: gates.probe,
      clock,
      env: { SHUTDOWN_GRACE_SECONDS: '0' },
      models: [...limitedModels, { id: 'keyless-model', apiKeyEnv: 'NO_SUCH_KEY' }],
    });
  });
  afterAll(() => world[Symbol.asyncDispose]());

  let users = 0;
  /** Somebody new with an empty session, so that no test counts against another. */
  async function newcomer() {
    users += 1;
    const user = `user-${users}`;
    const { trpc } = world.trpc(user);
    const { sessionId } = await trpc.session.create.mutate({});
    const send = trpc.message.send.mutate;
    const stream = (input: Partial<StreamMessageInput> & { idempotencyKey: string }) =>
      collect((subscriber) => trpc.message.stream.subscribe({ sessionId, ...input }, subscriber));
    const read = async () => (await trpc.session.get.query({ sessionId })).messages;
    return { user, trpc, sessionId, send, stream, read };
  }

  const callsFor = (text: string): FakeCall[] =>
    world.openai.calls.filter(({ lastUserMessage }) => lastUserMessage === text);
  async function claimsTried(count: number): Promise<void> {
    await vi.waitFor(() => expect(gates.count('claiming')).toBeGreaterThanOrEqual(count), patience);
  }

  describe('50 parallel sends under one key', () => {
    it('are one generation, one call of the model and one answer', async () => {
      const { user, trpc, sessionId, send, read } = await newcomer();
      const request = { sessionId, message: `once ${user}`, idempotencyKey: 'once' };
      const token = await world.token(user);
      const client = world.client(user);
      const answers = await Promise.all([
        ...Array.from({ length: 20 }, async () => {
          const { result } = await callOverHttp(world.url, {
            type: 'mutation',
            path: 'message.send',
            input: request,
            token,
          });
          return result;
        }),
        ...Array.from({ length: 15 }, () => send(request)),
        ...Array.from({ length: 15 }, () => client.messages.send(request)),
      ]);
      expect(answers).toHaveLength(50);
      for (const answer of answers) expect(answer).toEqual(answers[0]);
      expect(answers[0]).toMatchObject({ message: { content: 'Hello from the fake.', status: 'complete' } });
      expect(callsFor(request.message)).toHaveLength(1);
      expect(await read()).toHaveLength(2);
      const { query, tables } = await world.openDatabase();
      const generations = await query.select().from(tables.generations);
      expect(generations.filter((row) => row.sessionId === sessionId)).toHaveLength(1);
      expect((await trpc.session.get.query({ sessionId })).session.messageCount).toBe(2);
    });

    // A SQLite file has one server.
    if (kind === 'postgres') {
      it('are the same over two processes on one database', async () => {
        const { user, sessionId, read } = await newcomer();
        const request = { sessionId, message: `from both sides ${user}`, idempotencyKey: 'both' };
        world.openai.script(request.message, { hold: [0] });
        const others = await Promise.all([world.spawn(), world.spawn()]);
        const token = await world.token(user);
        const sends = Promise.all(
          Array.from({ length: 50 }, (_, index) =>
            callOverHttp(others[index % 2]?.url ?? '', {
              type: 'mutation',
              path: 'message.send',
              input: request,
              token,
            }),
          ),
        );
        sends.catch(() => undefined);
        const call = await callFor(world.openai, request.message);
        call.release();
        const answers = await sends;
        for (const { status, result } of answers) {
          expect(status).toBe(200);
          expect(result).toEqual(answers[0]?.result);
        }
        expect(callsFor(request.message)).toHaveLength(1);
        expect(await read()).toHaveLength(2);
        await Promise.all(others.map((other) => other[Symbol.asyncDispose]()));
      });
    }
  });

  describe('the same key for something else', () => {
    it('is refused by send, start and stream, and stores nothing', async () => {
      const { trpc, sessionId, send, stream, read } = await newcomer();
      const other = await trpc.session.create.mutate({});
      const request = {
        sessionId,
        message: 'This one.',
        idempotencyKey: 'taken',
        parameters: { temperature: 1, topP: 0.5 },
      };
      await send(request);
      const different = [
        { ...request, message: 'Another one.' },
        { ...request, message: undefined },
        { ...request, sessionId: other.sessionId },
        { ...request, modelId: 'other-model' },
        { ...request, parameters: { temperature: 0.5, topP: 0.5 } },
        { ...request, parameters: { temperature: 1 } },
        { ...request, parameters: undefined },
      ];
      const reused = { code: 'IDEMPOTENCY_KEY_REUSED', httpStatus: 422 };
      for (const input of different) {
        expect(await refusalOf(send(input))).toMatchObject(reused);
        expect(await refusalOf(trpc.message.start.mutate(input))).toMatchObject(reused);
        expect(await refusalOf(stream(input).done)).toMatchObject(reused);
      }
      expect(await refusalOf(trpc.session.create.mutate({ idempotencyKey: 'taken' }))).toMatchObject(reused);
      expect(await read()).toHaveLength(2);
      expect((await trpc.session.get.query({ sessionId: other.sessionId })).messages).toEqual([]);
    });

    it('is not what the order of members makes of it', async () => {
      const { sessionId, send } = await newcomer();
      const common = { sessionId, message: 'In any order.', idempotencyKey: 'order' };
      const first = await send({ ...common, parameters: { temperature: 1, topP: 0.5, maxTokens: 7 } });
      expect(await send({ parameters: { maxTokens: 7, topP: 0.5, temperature: 1 }, ...common })).toEqual(first);
    });
  });

  it('reads keys of 1 to 255 printable ASCII characters', async () => {
    const { sessionId, send } = await newcomer();
    for (const idempotencyKey of ['', 'k'.repeat(256), 'schlüssel', 'a\nb', 'a\u007f']) {
      const refusal = await refusalOf(send({ sessionId, message: 'Hello', idempotencyKey }));
      expect(refusal).toMatchObject({ code: 'BAD_REQUEST', errors: [{ path: 'idempotencyKey' }] });
    }
    const longest = `!${'k y'.repeat(84)}~~`;
    expect(longest).toHaveLength(255);
    await send({ sessionId, message: 'Hello', idempotencyKey: longest });
  });

  it('is scoped to the user', async () => {
    const [alice, bob] = [await newcomer(), await newcomer()];
    const ofAlice = await alice.send({ sessionId: alice.sessionId, message: 'Mine', idempotencyKey: 'shared' });
    const ofBob = await bob.send({ sessionId: bob.sessionId, message: 'Something else', idempotencyKey: 'shared' });
    expect(ofBob.message.id).not.toBe(ofAlice.message.id);
    expect(ofBob.userMessage?.content).toBe('Something else');
  });

  describe('a request that is refused before admission', () => {
    it('is not remembered', async () => {
      const { trpc, sessionId, send, read } = await newcomer();
      const unasked = { sessionId, idempotencyKey: 'again' };
      expect(await refusalOf(send(unasked))).toMatchObject({ code: 'BAD_REQUEST', errors: [{ path: 'message' }] });
      world.openai.script('Fail at once', { status: 400, times: 1 });
      expect(await refusalOf(send({ sessionId, message: 'Fail at once' }))).toMatchObject({ code: 'MODEL_ERROR' });
      expect(await send(unasked)).toMatchObject({
        userMessage: { content: 'Fail at once' },
        message: { status: 'complete' },
      });

      const keyless = { sessionId, message: 'Nobody there', modelId: 'keyless-model', idempotencyKey: 'unavailable' };
      expect(await refusalOf(send(keyless))).toMatchObject({ code: 'MODEL_UNAVAILABLE', httpStatus: 503 });
      expect(await send({ ...keyless, modelId: 'test-model' })).toMatchObject({ message: { status: 'complete' } });
      expect(await read()).toHaveLength(5);
      expect((await trpc.session.get.query({ sessionId })).session.messageCount).toBe(5);
    });

    it('is not remembered when the session was busy', async () => {
      const { trpc, sessionId, send, stream } = await newcomer();
      world.openai.script('Busy?', { hold: [1] });
      const { streamId } = await trpc.message.start.mutate({ sessionId, message: 'Busy?' });
      const call = await callFor(world.openai, 'Busy?');
      await call.reached(1);
      const next = { sessionId, message: 'Me too', idempotencyKey: 'next' };
      const busy = { code: 'GENERATION_IN_PROGRESS', httpStatus: 409, streamId, sessionId };
      expect(await refusalOf(send(next))).toMatchObject(busy);
      expect(await refusalOf(trpc.message.start.mutate(next))).toMatchObject(busy);
      expect(await refusalOf(stream(next).done)).toMatchObject(busy);
      const joined = collect((subscriber) => trpc.message.follow.subscribe({ sessionId, streamId }, subscriber));
      call.release();
      await joined.done;
      expect(textOf(joined.events)).toBe('Hello from the fake.');
      expect(await send(next)).toMatchObject({ userMessage: { content: 'Me too' }, message: { status: 'complete' } });
    });

    it('gives the copies that waited the same refusal', async () => {
      const { user, trpc, sessionId, send, stream, read } = await newcomer();
      const request = { sessionId, idempotencyKey: 'refused' };
      const claimed = gates.hold('claimed');
      const tried = gates.count('claiming');
      const first = refusalOf(send(request));
      await claimed.reached;
      let copies: Promise<unknown>[] = [];
      await letThrough(world, {
        userId: user,
        count: 3,
        async begin() {
          copies = [
            refusalOf(send(request)),
            refusalOf(trpc.message.start.mutate(request)),
            refusalOf(stream(request).done),
          ];
          await claimsTried(tried + 4);
        },
        last: () => trpc.session.create.mutate({}),
      });
      const claims = gates.count('claimed');
      claimed.release();
      const refusal = await first;
      expect(refusal).toMatchObject({ code: 'BAD_REQUEST', httpStatus: 400 });
      for (const copy of await Promise.all(copies))
        expect(copy).toMatchObject({ code: 'BAD_REQUEST', httpStatus: 400 });
      expect(gates.count('claimed')).toBe(claims);
      expect(await read()).toEqual([]);
    });
  });

  describe('a request that is admitted', () => {
    it('is joined by send, start and stream while it runs, and read again by them afterwards', async () => {
      const { user, trpc, sessionId, send, stream } = await newcomer();
      const request = { sessionId, message: `Join ${user}`, idempotencyKey: 'join' };
      world.openai.script(request.message, { chunks: ['one', ' two', ' three'], hold: [1] });
      const first = stream(request);
      const call = await callFor(world.openai, request.message);
      await call.reached(1);
      await first.until(2);
      const tried = gates.count('claiming');
      const sent = send(request);
      const second = stream(request);
      await second.until(2);
      const started = await trpc.message.start.mutate(request);
      await claimsTried(tried + 3);
      call.release();
      await Promise.all([first.done, second.done]);
      const whole = await sent;

      expect(whole.message).toMatchObject({ content: 'one two three', status: 'complete' });
      expect(started).toEqual({ streamId: whole.message.id, userMessage: whole.userMessage });
      expect(textOf(second.events)).toBe('one two three');
      expect(second.events.map(({ id }) => id)).toEqual([...new Set(second.events.map(({ id }) => id))].toSorted());
      expect(second.events.at(-1)).toEqual(first.events.at(-1));
      expect(first.events.at(-1)?.event).toMatchObject({ type: 'done', message: whole.message });

      expect(await send(request)).toEqual(whole);
      expect(await trpc.message.start.mutate(request)).toEqual(started);
      const replay = stream(request);
      await replay.done;
      expect(replay.events[0]).toEqual(first.events[0]);
      expect(replay.events.at(-1)).toEqual(first.events.at(-1));
      expect(textOf(replay.events)).toBe('one two three');
      expect(callsFor(request.message)).toHaveLength(1);
    });

    it('answers with the stopped message where it was stopped', async () => {
      const { user, trpc, sessionId, send, stream } = await newcomer();
      const request = { sessionId, message: `Stop ${user}`, idempotencyKey: 'stopped' };
      world.openai.script(request.message, { chunks: ['half', ' whole'], hold: [1] });
      const sent = send(request);
      const call = await callFor(world.openai, request.message);
      await call.reached(1);
      const copy = stream(request);
      await copy.until(2);
      const stopped = await trpc.message.stop.mutate({ sessionId });
      const answer = await sent;
      expect(answer.message).toEqual(stopped.message);
      expect(answer.message).toMatchObject({
        status: 'stopped',
        stoppedBy: 'user',
        content: 'half',
        finishReason: 'stopped',
      });
      await copy.done;
      expect(copy.events.at(-1)?.event).toMatchObject({
        type: 'done',
        finishReason: 'stopped',
        message: stopped.message,
      });
      expect(await send(request)).toEqual(answer);
      expect(callsFor(request.message)).toHaveLength(1);
    });

    it.each([
      ['MODEL_ERROR', 502, 'test-model', { fault: { at: 1, kind: 'error' } }],
      ['MODEL_TIMEOUT', 504, 'idle-model', { fault: { at: 1, kind: 'stall' } }],
    ] as const)('tells %s to whoever follows, and to every repeat', async (code, httpStatus, modelId, plan) => {
      const { user, sessionId, send, stream, read } = await newcomer();
      const request = { sessionId, message: `${code} ${user}`, idempotencyKey: code, modelId };
      world.openai.script(request.message, { chunks: ['half', ' whole'], hold: [0], ...plan });
      const first = stream(request);
      const call = await callFor(world.openai, request.message);
      const tried = gates.count('claiming');
      const sent = refusalOf(send(request));
      const second = stream(request);
      await claimsTried(tried + 2);
      call.releaseAll();
      const ended = Promise.all([first.done, second.done]);
      await first.until(2);
      await clock.passUntil(ended, isLimit('idle'));
      const problem = await sent;

      const [question, answer] = await read();
      expect(answer).toMatchObject({ status: 'failed', content: 'half', error: { code } });
      const ids = { code, httpStatus, streamId: answer?.id, userMessageId: question?.id };
      expect(problem).toMatchObject(ids);
      for (const { events } of [first, second]) {
        expect(events.at(-1)?.event).toMatchObject({ type: 'error', error: { code }, message: answer });
      }
      expect(await refusalOf(send(request))).toMatchObject(ids);
      const replay = stream(request);
      await replay.done;
      expect(replay.events.at(-1)).toEqual(first.events.at(-1));
      expect(callsFor(request.message)).toHaveLength(1);
      expect(await read()).toHaveLength(2);
    });

    it('is not found once its message, or its session, is deleted', async () => {
      const { user, trpc, sessionId, send, stream, read } = await newcomer();
      const request = { sessionId, message: `Delete ${user}`, idempotencyKey: 'deleted' };
      const { message } = await send(request);
      await trpc.message.delete.mutate({ sessionId, messageId: message.id });
      const missing = { code: 'NOT_FOUND', httpStatus: 404 };
      expect(await refusalOf(send(request))).toMatchObject(missing);
      expect(await refusalOf(trpc.message.start.mutate(request))).toMatchObject(missing);
      expect(await refusalOf(stream(request).done)).toMatchObject(missing);
      expect(await read()).toHaveLength(1);
      await trpc.session.delete.mutate({ sessionId });
      expect(await refusalOf(send(request))).toMatchObject(missing);
      expect(callsFor(request.message)).toHaveLength(1);
    });

    it('is never started by a call that carries a last event id', async () => {
      const { user, sessionId, stream, read } = await newcomer();
      const request = { sessionId, message: `Follow ${user}`, idempotencyKey: 'follow only' };
      const known = stream({ ...request, message: 'A first one', idempotencyKey: 'first' });
      await known.done;
      for (const lastEventId of [known.events.at(-1)?.id ?? '', known.events[0]?.id ?? '', 'unreadable', '']) {
        await stream({ ...request, lastEventId }).done.catch(() => undefined);
      }
      expect(callsFor(request.message)).toEqual([]);
      expect(await read()).toHaveLength(2);
    });
  });

  // The last test: it ends the server.
  it('tells INTERRUPTED to whoever waits at the shutdown, and to every repeat after the restart', async () => {
    const { user, sessionId, send, stream } = await newcomer();
    const request = { sessionId, message: `Interrupt ${user}`, idempotencyKey: 'interrupted' };
    world.openai.script(request.message, { chunks: ['half', ' whole'], hold: [1] });
    const sent = refusalOf(send(request));
    const call = await callFor(world.openai, request.message);
    await call.reached(1);
    const watched = stream(request);
    await watched.until(2);
    expect(await world.app.drain()).toEqual({ clean: true });
    const problem = await sent;
    await watched.done;
    expect(problem).toMatchObject({ code: 'INTERRUPTED', httpStatus: 502 });
    const { streamId, userMessageId } = problem;
    const last = watched.events.at(-1)?.event;
    expect(last).toMatchObject({
      type: 'error',
      streamId,
      error: { code: 'INTERRUPTED' },
      message: { content: 'half', status: 'interrupted' },
    });

    await world.restart();
    const { trpc } = world.trpc(user);
    const { requestId: _, ...again } = await refusalOf(trpc.message.send.mutate(request));
    expect(again).toMatchObject({ code: 'INTERRUPTED', streamId, userMessageId });
    const replay = collect((subscriber) => trpc.message.stream.subscribe(request, subscriber));
    await replay.done;
    expect(replay.events.at(-1)?.event).toEqual(last);
    expect(callsFor(request.message)).toHaveLength(1);
  });
});
