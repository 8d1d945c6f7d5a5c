import type { GenerationEvent } from '@chat-service/shared/events';
import type { Message, Session } from '@chat-service/shared/objects';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { callFor } from '../src/call-for.ts';
import { collect } from '../src/collect.ts';
import { describeEachDatabase } from '../src/describe-databases.ts';
import { follow } from '../src/follow.ts';
import { createHandClock } from '../src/hand-clock.ts';
import { isAnyLimit, isLimit, limitedModels } from '../src/model-limits.ts';
import { refusalOf } from '../src/refusal.ts';
import { callRest, openRestStream, type Problem, type RestRequest } from '../src/rest.ts';
import { startWorld, type World } from '../src/world.ts';

interface Sent {
  readonly userMessage: Message;
  readonly message: Message;
  readonly usage: unknown;
}

const isReplayed = ({ headers }: { headers: Headers }) => headers.get('idempotent-replayed') === 'true';

describeEachDatabase('the header Idempotency-Key', (kind) => {
  const clock = createHandClock(isAnyLimit);
  let world: World;
  beforeAll(async () => {
    world = await startWorld({
      kind,
      clock,
      env: { MAX_CONCURRENT_GENERATIONS: '100' },
      models: [...limitedModels, { id: 'keyless-model', apiKeyEnv: 'NO_SUCH_KEY' }],
    });
  });
  afterAll(() => world[Symbol.asyncDispose]());

  let users = 0;
  async function newcomer() {
    users += 1;
    const sub = `keyed-${users}`;
    const { trpc } = world.trpc(sub);
    const { sessionId } = await trpc.session.create.mutate({});
    const path = `/api/chat/sessions/${sessionId}`;
    const keyed = (key: string, request: RestRequest) => ({
      sub,
      ...request,
      headers: { 'idempotency-key': key, ...request.headers },
    });
    return {
      sub,
      trpc,
      sessionId,
      path,
      send: (key: string, body: object) =>
        callRest<Sent & Problem>(world, `POST ${path}/messages`, keyed(key, { body })),
      start: (key: string, body: object) =>
        callRest<{ streamId: string; userMessage: Message } & Problem>(
          world,
          `POST ${path}/stream`,
          keyed(key, { body, headers: { accept: 'application/json' } }),
        ),
      stream: (key: string, body: object, headers = {}) =>
        openRestStream<GenerationEvent>(world, `POST ${path}/stream`, keyed(key, { body, headers })),
      messages: async () => (await trpc.message.list.query({ sessionId })).messages,
    };
  }
  const callsFor = (text: string) =>
    world.openai.calls.filter(({ lastUserMessage }) => lastUserMessage === text).length;

  describe('of a send', () => {
    it('joins the running answer from either door, and reads it again afterwards, which a header says', async () => {
      const { sub, trpc, sessionId, send, start, stream, messages } = await newcomer();
      const message = `Join ${sub}`;
      world.openai.script(message, { chunks: ['a', 'b'], hold: [0] });
      const first = send('one', { message });
      const call = await callFor(world.openai, message);
      const input = { sessionId, message, idempotencyKey: 'one' };
      const joined = await Promise.all([start('one', { message }), trpc.message.start.mutate(input)]);
      expect(joined[0]).toMatchObject({ status: 202, body: joined[1] });
      expect(isReplayed(joined[0])).toBe(true);
      const watched = await stream('one', { message });
      await watched.until(1);
      const overTrpc = trpc.message.send.mutate(input);
      const overRest = send('one', { message });
      call.releaseAll();
      const answer = await first;
      expect([answer.status, isReplayed(answer)]).toEqual([200, false]);
      expect((await overRest).body).toEqual(answer.body);
      expect(await overTrpc).toEqual(answer.body);
      await watched.over;
      expect(watched.events.at(-1)?.data).toMatchObject({ type: 'done', message: answer.body.message });

      const again = await send('one', { message });
      expect([again.status, isReplayed(again), again.body]).toEqual([200, true, answer.body]);
      expect(await trpc.message.send.mutate(input)).toEqual(answer.body);
      const replay = await stream('one', { message });
      await replay.over;
      expect(isReplayed(replay)).toBe(true);
      expect(replay.events).toEqual(watched.events);
      const begun = await start('one', { message });
      expect([begun.status, isReplayed(begun), begun.body.streamId]).toEqual([202, true, answer.body.message.id]);
      expect(callsFor(message)).toBe(1);
      expect(await messages()).toHaveLength(2);
    });

    it('joins over REST what tRPC has started', async () => {
      const { sub, trpc, sessionId, send } = await newcomer();
      const message = `From tRPC ${sub}`;
      world.openai.script(message, { hold: [0] });
      const request = { sessionId, message, idempotencyKey: 'theirs' };
      const stream = collect((subscriber) => trpc.message.stream.subscribe(request, subscriber));
      await stream.until(1);
      const sent = send('theirs', { message });
      (await callFor(world.openai, message)).releaseAll();
      const { status, body, headers } = await sent;
      expect([status, headers.get('idempotent-replayed')]).toEqual([200, 'true']);
      await stream.done;
      expect(stream.events.at(-1)?.event).toMatchObject({ type: 'done', message: body.message });
      expect(callsFor(message)).toBe(1);
    });

    it('is refused for anything else, and stores nothing then', async () => {
      const { trpc, sub, sessionId, send, start, stream, messages } = await newcomer();
      const body = { message: 'This one.', parameters: { temperature: 1 } };
      expect((await send('taken', body)).status).toBe(200);
      const other = await trpc.session.create.mutate({});
      const different = [
        { ...body, message: 'Another.' },
        {},
        { ...body, modelId: 'other-model' },
        { ...body, parameters: { temperature: 0.5 } },
        { message: 'This one.' },
      ];
      for (const wrong of different) {
        for (const answer of [await send('taken', wrong), await start('taken', wrong)]) {
          expect([answer.status, answer.body.code, isReplayed(answer)]).toEqual([422, 'IDEMPOTENCY_KEY_REUSED', false]);
        }
        expect((await stream('taken', wrong)).status).toBe(422);
      }
      const elsewhere = `POST /api/chat/sessions/${other.sessionId}/messages`;
      const headers = { 'idempotency-key': 'taken' };
      expect((await callRest(world, elsewhere, { sub, body, headers })).status).toBe(422);
      expect((await callRest(world, 'POST /api/chat/sessions', { sub, body: {}, headers })).status).toBe(422);
      expect(
        await refusalOf(trpc.message.send.mutate({ sessionId, message: 'x', idempotencyKey: 'taken' })),
      ).toMatchObject({ code: 'IDEMPOTENCY_KEY_REUSED' });
      // The same request written in another way is the same request.
      const same = await callRest<Sent>(world, `POST /api/chat/sessions/${sessionId}/messages`, {
        sub,
        headers,
        raw: ` {"parameters" : {"temperature":1.0}, "message":"This \\u006fne."}`,
      });
      expect([same.status, isReplayed(same)]).toEqual([200, true]);
      expect(await messages()).toHaveLength(2);
    });

    it('is not remembered when it was refused before admission', async () => {
      const { send, start, messages } = await newcomer();
      const message = 'Later';
      expect((await send('again', { message, modelId: 'keyless-model' })).status).toBe(503);
      expect((await send('again', { message, parameters: { temperature: 9 } })).status).toBe(400);
      expect((await start('again', { message, modelId: 'no-such-model' })).status).toBe(400);
      expect(await messages()).toEqual([]);
      const sent = await send('again', { message });
      expect([sent.status, isReplayed(sent)]).toEqual([200, false]);
    });

    it.each([
      ['MODEL_ERROR', 502, { fault: { at: 1, kind: 'error' } }, {}],
      ['MODEL_TIMEOUT', 504, { fault: { at: 1, kind: 'stall' } }, { modelId: 'idle-model' }],
    ] as const)('repeats %s with its ids', async (code, status, plan, more) => {
      const { sub, trpc, sessionId, send, stream, messages } = await newcomer();
      const message = `${code} ${sub}`;
      world.openai.script(message, { chunks: ['half', 'whole'], ...plan });
      const body = { message, ...more };
      const sent = send('failed', body);
      await callFor(world.openai, message);
      const reader = follow(trpc, { sessionId });
      await reader.until(2);
      const first = await clock.passUntil(sent, isLimit('idle'));
      expect([first.status, first.body.code]).toEqual([status, code]);
      const [question, answer] = await messages();
      const ids = { streamId: answer?.id, userMessageId: question?.id };
      expect(first.body).toMatchObject(ids);
      const again = await send('failed', body);
      expect([again.status, again.body]).toEqual([status, { ...first.body, requestId: again.body.requestId }]);
      expect(again.body.requestId).not.toBe(first.body.requestId);
      expect(await refusalOf(trpc.message.send.mutate({ sessionId, ...body, idempotencyKey: 'failed' }))).toMatchObject(
        {
          code,
          ...ids,
        },
      );
      const replay = await stream('failed', body);
      await replay.over;
      expect([replay.status, replay.events.at(-1)?.data]).toMatchObject([
        200,
        { type: 'error', error: { code }, message: answer },
      ]);
      expect(callsFor(message)).toBe(1);
      // To try again: without a message, under a new key.
      world.openai.script(message, { chunks: ['good'] });
      const retried = await send('anew', more);
      expect([retried.status, retried.body.message.content]).toEqual([200, 'good']);
      expect(retried.body.userMessage.id).toBe(question?.id);
    });

    it('reads a stopped answer again, and is 404 once it is deleted', async () => {
      const { sub, path, send, messages } = await newcomer();
      const message = `Stop ${sub}`;
      world.openai.script(message, { chunks: ['half', 'whole'], hold: [1] });
      const sent = send('stopped', { message });
      const call = await callFor(world.openai, message);
      await call.reached(1);
      const stopped = await callRest<{ message: Message }>(world, `POST ${path}/stop`, { sub });
      const answer = await sent;
      expect([answer.status, answer.body.message]).toEqual([200, stopped.body.message]);
      expect(answer.body.message).toMatchObject({ status: 'stopped', stoppedBy: 'user', content: 'half' });
      const again = await send('stopped', { message });
      expect([again.status, isReplayed(again), again.body]).toEqual([200, true, answer.body]);
      const id = answer.body.message.id;
      expect((await callRest(world, `DELETE ${path}/messages/${id}`, { sub })).status).toBe(204);
      const gone = await send('stopped', { message });
      expect([gone.status, gone.body.code, isReplayed(gone)]).toEqual([404, 'NOT_FOUND', false]);
      expect(await messages()).toHaveLength(1);
      expect(callsFor(message)).toBe(1);
    });

    it('is scoped to the user, and each stream without one is an attempt of its own', async () => {
      const [one, two] = [await newcomer(), await newcomer()];
      const sent = await Promise.all([one, two].map(({ send }) => send('shared', { message: 'Mine' })));
      expect(sent.map(isReplayed)).toEqual([false, false]);
      expect(new Set(sent.map(({ body }) => body.message.id)).size).toBe(2);
      for (let index = 0; index < 2; index += 1) {
        const stream = await openRestStream<GenerationEvent>(world, `POST ${one.path}/stream`, {
          sub: one.sub,
          body: { message: 'Unkeyed' },
        });
        await stream.over;
        expect(isReplayed(stream)).toBe(false);
      }
      expect(await one.messages()).toHaveLength(6);
    });

    it('takes 1 to 255 printable characters of ASCII', async () => {
      const { send } = await newcomer();
      for (const key of ['x', 'a b', '~!"#$%&\'()*+,-./:;<=>?@[]^_`{|}', 'k'.repeat(255)]) {
        expect([key, (await send(key, { message: 'Hi' })).status]).toEqual([key, 200]);
      }
    });

    it('20 times at once over both doors is one answer', async () => {
      const { sub, trpc, sessionId, send, messages } = await newcomer();
      const message = `Once ${sub}`;
      const answers = await Promise.all(
        Array.from({ length: 20 }, async (_, index) =>
          index % 2 === 0
            ? (await send('once', { message })).body
            : trpc.message.send.mutate({ sessionId, message, idempotencyKey: 'once' }),
        ),
      );
      for (const answer of answers) expect(answer).toEqual(answers[0]);
      expect(answers[0]?.message).toMatchObject({ status: 'complete' });
      expect(callsFor(message)).toBe(1);
      expect(await messages()).toHaveLength(2);
    });
  });

  it('of a new session makes one, over both doors, whatever the order of its members', async () => {
    const { sub, trpc } = await newcomer();
    const headers = { 'idempotency-key': 'session' };
    const body = { title: 'Mine', metadata: { a: '1', b: '2' }, initialMessage: 'Hi' };
    type Created = { sessionId: string; session: Session } & Problem;
    const create = (sent: object) => callRest<Created>(world, 'POST /api/chat/sessions', { sub, headers, body: sent });
    const first = await create(body);
    expect([first.status, isReplayed(first)]).toEqual([201, false]);
    expect(first.headers.get('location')).toBe(`/api/chat/sessions/${first.body.sessionId}`);
    const again = await create({ initialMessage: 'Hi', metadata: { b: '2', a: '1' }, title: 'Mine' });
    expect([again.status, isReplayed(again), again.body]).toEqual([201, true, first.body]);
    expect(again.headers.get('location')).toBe(first.headers.get('location'));
    expect(await trpc.session.create.mutate({ ...body, idempotencyKey: 'session' })).toEqual(first.body);
    expect((await create({ ...body, title: 'Other' })).status).toBe(422);
    const { trpc: stranger } = world.trpc(`${sub}-other`);
    expect((await stranger.session.create.mutate({ ...body, idempotencyKey: 'session' })).sessionId).not.toBe(
      first.body.sessionId,
    );
    // Read again from its row, as it is now.
    await trpc.session.update.mutate({ sessionId: first.body.sessionId, title: 'Changed' });
    expect((await create(body)).body.session.title).toBe('Changed');
    await trpc.session.delete.mutate({ sessionId: first.body.sessionId });
    const gone = await create(body);
    expect([gone.status, gone.body.code]).toEqual([404, 'NOT_FOUND']);
  });
});
