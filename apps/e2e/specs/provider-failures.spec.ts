import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { callFor } from '../src/call-for.ts';
import { collect, textOf } from '../src/collect.ts';
import { describeEachDatabase } from '../src/describe-databases.ts';
import type { FakePlan } from '../src/fake-openai.ts';
import { createHandClock } from '../src/hand-clock.ts';
import { isAnyLimit, isLimit, limitedModels, type Limit } from '../src/model-limits.ts';
import { callOverHttp } from '../src/raw-http.ts';
import { callRest } from '../src/rest.ts';
import { startWorld, type World } from '../src/world.ts';

/** What an upstream says of itself in an error; nobody outside may read it. */
const secret = 'upstream-canary';
const errorBody = { error: { message: `${secret}: key sk-123 of tenant 7`, type: secret, code: 'x', param: 'y' } };

/** A model for each test: five failures in a row keep a model from being called for a while. */
const modelIds = Array.from({ length: 24 }, (_, index) => `model-${index}`);

describeEachDatabase('a provider that fails', (kind) => {
  const clock = createHandClock(isAnyLimit);
  let world: World;
  beforeAll(async () => {
    world = await startWorld({
      kind,
      clock,
      env: { PROVIDER_TEST_KEY: 'sk-test', OPENAI_API_KEY: 'sk-not-for-others' },
      models: [
        ...modelIds.map((id) => ({ id })),
        ...limitedModels,
        { id: 'impatient-model', timeouts: { firstToken: 15 } },
        { id: 'keyless-model', apiKeyEnv: 'NO_SUCH_KEY' },
        { id: 'keyed-model', apiKeyEnv: 'PROVIDER_TEST_KEY' },
        { id: 'priced-model', creditCost: { input: 0.123457, output: 2.5 } },
        { id: 'failing-model' },
        { id: 'covered-model', fallback: 'other-model' },
      ],
    });
  });
  afterAll(() => world[Symbol.asyncDispose]());

  const unused = [...modelIds];
  let users = 0;
  /**
   * Sends under a plan and waits; everything that the client was told is in `text`. With a limit, that one passes once the
   * model has come to chunk `at`, and everybody has been told what it wrote before.
   */
  async function sendTo(
    modelId: string,
    plan: FakePlan | ((call: number) => FakePlan),
    passing?: { readonly limit: Limit; readonly at: number },
  ) {
    users += 1;
    const user = `user-${users}`;
    const message = `Question ${user}.`;
    let call = 0;
    world.openai.script(message, () => (typeof plan === 'function' ? plan((call += 1)) : plan));
    const token = await world.token(user);
    const { trpc } = world.trpc(user);
    const { sessionId } = await trpc.session.create.mutate({ modelId });
    const sent = callOverHttp(world.url, {
      type: 'mutation',
      path: 'message.send',
      input: { sessionId, message },
      token,
    });
    if (passing !== undefined) {
      const asked = await callFor(world.openai, message);
      if (passing.at >= 0) await asked.reached(passing.at);
      const reader = collect((subscriber) => trpc.message.follow.subscribe({ sessionId }, subscriber));
      await reader.until(1 + Math.max(0, passing.at));
      await clock.passUntil(sent, isLimit(passing.limit));
      await asked.ended;
    }
    const answer = await sent;
    const messages = (await trpc.message.list.query({ sessionId })).messages;
    const calls = world.openai.calls.filter(({ lastUserMessage }) => lastUserMessage === message);
    const [question, stored] = messages;
    expect(answer.text + JSON.stringify(messages)).not.toContain(secret);
    expect((await trpc.session.get.query({ sessionId })).session.status).toBe('idle');
    const retries = world.logs
      .map((line) => JSON.parse(line) as { generationId?: string; wait?: number })
      .filter(({ generationId, wait }) => generationId === stored?.id && wait !== undefined);
    return { ...answer, trpc, sessionId, messages, question, stored, calls, retries };
  }
  const send = (plan: FakePlan | ((call: number) => FakePlan)) => sendTo(unused.pop() ?? 'test-model', plan);

  /** The answer to a send that failed is the problem with its ids, and the message is stored as failed. */
  function expectFailure(sent: Awaited<ReturnType<typeof send>>, code: 'MODEL_ERROR' | 'MODEL_TIMEOUT', content = '') {
    const { status, refusal, stored, question, messages } = sent;
    expect(status).toBe(code === 'MODEL_ERROR' ? 502 : 504);
    expect(refusal).toMatchObject({ code, streamId: stored?.id, userMessageId: question?.id });
    expect(messages).toHaveLength(2);
    expect(stored).toMatchObject({ status: 'failed', error: { code }, content, finishReason: null });
    if (content === '') expect(stored?.usage).toBeNull();
    else expect(stored?.usage).toMatchObject({ estimated: true, outputTokens: expect.any(Number) });
  }

  describe('before its first token', () => {
    it.concurrent('is asked again after a 500', async () => {
      const sent = await send((call) => (call < 3 ? { status: 500, errorBody } : {}));
      expect(sent.status).toBe(200);
      expect(sent.stored).toMatchObject({ status: 'complete', content: 'Hello from the fake.' });
      expect(sent.calls).toHaveLength(3);
      for (const { body } of sent.calls) expect(body).toEqual(sent.calls[0]?.body);
    });

    it.concurrent('is asked three times at the most', async () => {
      const sent = await send({ status: 503, errorBody });
      expectFailure(sent, 'MODEL_ERROR');
      expect(sent.calls).toHaveLength(3);
    });

    it.concurrent('is asked again after the pause that a 429 names', async () => {
      const sent = await send((call) =>
        call === 1 ? { status: 429, headers: { 'retry-after': '2' }, errorBody } : {},
      );
      expect(sent.status).toBe(200);
      expect(sent.calls).toHaveLength(2);
      expect(sent.retries.map(({ wait }) => wait)).toEqual([2000]);
    });

    it.concurrent('is asked again after a connection that broke', async () => {
      const sent = await send((call) => (call === 1 ? { fault: { at: -1, kind: 'reset' } } : {}));
      expect(sent.stored).toMatchObject({ status: 'complete' });
      expect(sent.calls).toHaveLength(2);
      const broken = await send((call) => (call === 1 ? { fault: { at: 0, kind: 'reset' } } : {}));
      expect(broken.stored).toMatchObject({ status: 'complete', content: 'Hello from the fake.' });
      expect(broken.calls).toHaveLength(2);
    });

    it('is not asked again by a call that would wait too long', async () => {
      const sent = await send({ status: 429, headers: { 'retry-after': '3600' }, errorBody });
      expectFailure(sent, 'MODEL_ERROR');
      expect(sent.calls).toHaveLength(1);
      const impatient = await sendTo('impatient-model', { status: 429, headers: { 'retry-after': '18' }, errorBody });
      expectFailure(impatient, 'MODEL_ERROR');
      expect(impatient.calls).toHaveLength(1);
    });

    it.each([400, 401, 403, 404, 422])('is not asked again after a %i', async (status) => {
      const sent = await send({ status, errorBody });
      expectFailure(sent, 'MODEL_ERROR');
      expect(sent.calls).toHaveLength(1);
    });

    it('has timed out when none comes', async () => {
      const limit = 'firstToken';
      const silent = await sendTo('late-model', { fault: { at: -1, kind: 'stall' } }, { limit, at: -1 });
      expectFailure(silent, 'MODEL_TIMEOUT');
      expect(silent.calls.map(({ state }) => state)).toEqual(['cancelled']);
      const begun = await sendTo('late-model', { fault: { at: 0, kind: 'stall' } }, { limit, at: 0 });
      expectFailure(begun, 'MODEL_TIMEOUT');
    });

    it('is told as an error event after the start', async () => {
      const { trpc } = world.trpc('watcher');
      const { sessionId } = await trpc.session.create.mutate({ modelId: unused.pop() ?? '' });
      world.openai.script('Watch this', { status: 400, errorBody });
      const stream = collect((subscriber) =>
        trpc.message.stream.subscribe({ sessionId, message: 'Watch this', idempotencyKey: 'watch' }, subscriber),
      );
      await stream.done;
      expect(stream.events.map(({ event }) => event.type)).toEqual(['start', 'error']);
      expect(stream.events[1]?.event).toMatchObject({
        error: { code: 'MODEL_ERROR', message: expect.any(String), retryable: true },
        message: { status: 'failed', content: '', usage: null, error: { code: 'MODEL_ERROR' } },
      });
      expect(JSON.stringify(stream.events)).not.toContain(secret);
    });
  });

  describe('after its first token', () => {
    it.each([
      ['tells an error', 'error', 'MODEL_ERROR', 'test'],
      ['breaks the connection', 'reset', 'MODEL_ERROR', 'test'],
      ['ends the response', 'end', 'MODEL_ERROR', 'test'],
      ['falls silent', 'stall', 'MODEL_TIMEOUT', 'idle-model'],
    ] as const)('is not asked again when it %s, and what it wrote is kept', async (_, fault, code, modelId) => {
      const plan: FakePlan = { chunks: ['This', ' much', ' not this'], fault: { at: 2, kind: fault } };
      const sent = modelId === 'test' ? await send(plan) : await sendTo(modelId, plan, { limit: 'idle', at: 2 });
      expectFailure(sent, code, 'This much');
      expect(sent.calls).toHaveLength(1);
      const { trpc, sessionId, stored } = sent;
      const replay = collect((subscriber) =>
        trpc.message.follow.subscribe({ sessionId, streamId: stored?.id }, subscriber),
      );
      await replay.done;
      expect(replay.events.at(-1)?.event).toMatchObject({
        type: 'error',
        error: { code, retryable: true },
        message: stored,
      });
      expect(textOf(replay.events)).toBe('This much');
    });

    it('has failed when its stream has no finish reason, however well it ends otherwise', async () => {
      expectFailure(await send({ chunks: ['All of it'], finishReason: null }), 'MODEL_ERROR', 'All of it');
      expectFailure(
        await send({ chunks: ['All of it'], finishReason: null, usage: null, doneMarker: false }),
        'MODEL_ERROR',
        'All of it',
      );
      expectFailure(await send({ chunks: [], finishReason: null }), 'MODEL_ERROR');
    });

    it('is cut off when it does not keep to its output limit', async () => {
      const { trpc } = world.trpc('greedy');
      const { sessionId } = await trpc.session.create.mutate({ parameters: { maxTokens: 10 } });
      const piece = 'x'.repeat(100);
      world.openai.script('Without end.', { chunks: Array.from({ length: 200 }, () => piece), hold: [100] });
      const { message } = await trpc.message.send.mutate({ sessionId, message: 'Without end.' });
      // Held before its hundredth piece, it can only have ended by being cut off.
      expect(message).toMatchObject({ status: 'complete', finishReason: 'length', usage: { estimated: true } });
      expect(message.content.length).toBeGreaterThan(10 * 32);
      expect(message.content.length).toBeLessThan(100 * piece.length);
      const call = world.openai.calls.find(({ lastUserMessage }) => lastUserMessage === 'Without end.');
      await call?.ended;
      expect(call?.state).toBe('cancelled');
    });

    it('has timed out when it never comes to an end', async () => {
      const plan: FakePlan = { chunks: Array.from({ length: 500 }, () => '.'), pace: 20, hold: [499] };
      const sent = await sendTo('endless-model', plan, { limit: 'total', at: 3 });
      expect(sent.refusal).toMatchObject({ code: 'MODEL_TIMEOUT' });
      expect(sent.stored?.content).toMatch(/^\.+$/u);
      expect(sent.calls.map(({ state }) => state)).toEqual(['cancelled']);
      expect(sent.calls[0]?.sent.join('')).toContain(sent.stored?.content);
    });
  });

  describe('while it is away', () => {
    it('is not available without its key: users are told so, the operator which variable is missing', async () => {
      const { trpc } = world.trpc('keyless');
      const { models } = await trpc.model.list.query();
      const byId = new Map(models.map((model) => [model.id, model]));
      expect(byId.get('keyless-model')).toMatchObject({
        available: false,
        unavailableReason: 'This model is not configured on this server: choose another one.',
      });
      expect(byId.get('keyed-model')).toMatchObject({ available: true, unavailableReason: null });
      const { sessionId } = await trpc.session.create.mutate({ modelId: 'keyless-model' });
      const calls = world.openai.calls.length;
      const token = await world.token('keyless');
      const input = { sessionId, message: 'Hello?' };
      const { status, refusal, headers, text } = await callOverHttp(world.url, {
        type: 'mutation',
        path: 'message.send',
        input,
        token,
      });
      expect(status).toBe(503);
      expect(refusal).toMatchObject({ code: 'MODEL_UNAVAILABLE', retryAfter: expect.any(Number) });
      expect(text).toContain('not configured on this server: choose another one');
      const listed = await callRest(world, 'GET /api/models', { sub: 'keyless' });
      expect(listed.text).toContain('not configured on this server: choose another one');
      for (const told of [text, listed.text, JSON.stringify(models)]) expect(told).not.toContain('NO_SUCH_KEY');
      const lines = world.logs.filter((line) => line.includes('NO_SUCH_KEY')).map((line): unknown => JSON.parse(line));
      expect(lines).toEqual([
        expect.objectContaining({ level: 'info', variable: 'NO_SUCH_KEY', models: ['keyless-model'] }),
      ]);
      expect(world.logs.join('')).not.toContain('PROVIDER_TEST_KEY');
      expect(Number(headers.get('retry-after'))).toBeGreaterThan(0);
      expect((await trpc.session.get.query({ sessionId })).messages).toEqual([]);
      expect(world.openai.calls).toHaveLength(calls);
    });

    it('gets the key that its model names, and no other', async () => {
      const keyed = await sendTo('keyed-model', {});
      expect(keyed.calls[0]?.headers['authorization']).toBe('Bearer sk-test');
      const open = await send({});
      expect(open.calls[0]?.headers['authorization']).toBeUndefined();
    });

    it('is not called for a while after it has failed several times in a row', async () => {
      for (let failure = 0; failure < 5; failure += 1) {
        expectFailure(await sendTo('failing-model', { status: 401, errorBody }), 'MODEL_ERROR');
      }
      const { trpc } = world.trpc('later');
      const { models } = await trpc.model.list.query();
      const model = models.find(({ id }) => id === 'failing-model');
      expect(model).toMatchObject({ available: false, unavailableReason: expect.any(String) });
      expect(JSON.stringify(models)).not.toContain(secret);
      const refused = await sendTo('failing-model', {});
      expect(refused).toMatchObject({ status: 503, refusal: { code: 'MODEL_UNAVAILABLE' }, messages: [], calls: [] });
    });

    it('is replaced by its fallback while it is not called', async () => {
      for (let failure = 0; failure < 5; failure += 1) {
        const { stored } = await sendTo('covered-model', (call) => (call === 1 ? { status: 401 } : {}));
        expect(stored).toMatchObject({ status: 'complete', modelId: 'other-model', fallbackFrom: 'covered-model' });
      }
      const spared = await sendTo('covered-model', {});
      expect(spared.stored).toMatchObject({
        status: 'complete',
        modelId: 'other-model',
        fallbackFrom: 'covered-model',
      });
      expect(spared.calls.map(({ body }) => body.model)).toEqual(['fake-2']);
    });
  });

  describe('and one that does not: its usage', () => {
    it('is what the provider counted, priced and rounded up to a millionth', async () => {
      const usage = {
        prompt_tokens: 7,
        completion_tokens: 3,
        total_tokens: 10,
        prompt_tokens_details: { cached_tokens: 4 },
        completion_tokens_details: { reasoning_tokens: 2 },
      };
      const { result, stored } = await sendTo('priced-model', { usage });
      expect(stored?.usage).toEqual({
        inputTokens: 7,
        outputTokens: 3,
        totalTokens: 10,
        cachedInputTokens: 4,
        reasoningTokens: 2,
        // (7 × 0.123457 + 3 × 2.5) / 1000 = 0.008364199
        credits: 0.008365,
        estimated: false,
      });
      expect(result).toMatchObject({ usage: stored?.usage, message: stored });
      const none = await sendTo('priced-model', { usage: { prompt_tokens: 0, completion_tokens: 0 }, chunks: [] });
      expect(none.stored?.usage).toMatchObject({ totalTokens: 0, credits: 0, estimated: false });
    });

    it.each([
      ['told', null],
      ['told as numbers', { prompt_tokens: '7', completion_tokens: 3 }],
      ['told in numbers that can be', { prompt_tokens: -7, completion_tokens: 3 }],
    ])('is counted here where it is not %s', async (_, usage) => {
      const { stored } = await send({ usage, chunks: ['Hello', ' from', ' here'] });
      expect(stored).toMatchObject({
        status: 'complete',
        usage: { estimated: true, outputTokens: 3, cachedInputTokens: 0, reasoningTokens: 0 },
      });
      const { inputTokens = 0, outputTokens = 0, totalTokens, credits } = stored?.usage ?? {};
      expect(inputTokens).toBeGreaterThan(3);
      expect(totalTokens).toBe(inputTokens + outputTokens);
      expect(credits).toBe(totalTokens === undefined ? null : totalTokens / 1000);
    });

    it.each([
      ['stop', 'stop'],
      ['length', 'length'],
      ['content_filter', 'content_filter'],
      ['tool_calls', 'stop'],
    ])('comes with the finish reason %s as %s', async (told, finishReason) => {
      expect((await sendTo('test-model', { finishReason: told })).stored).toMatchObject({
        status: 'complete',
        finishReason,
      });
    });
  });

  it('is a matter for the log alone', () => {
    expect(world.logs.some((line) => line.includes('"the model failed"'))).toBe(true);
    expect(world.logs.join('\n')).not.toContain('sk-123');
    expect(world.logs.join('\n')).not.toContain('sk-test');
  });
});
