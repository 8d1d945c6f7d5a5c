import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import {
  costOf,
  heldPromptTokens,
  isWhole,
  promptTokens,
  serviceToken,
  startAccountingWorld,
  words,
  type AccountingWorld,
  type AccountUser,
} from '../src/accounting-world.ts';
import { patience } from '../src/call-for.ts';
import { describeEachDatabase } from '../src/describe-databases.ts';
import type { FakeFault } from '../src/fake-accounting.ts';
import { callOverHttp } from '../src/raw-http.ts';
import { callRest, type Problem } from '../src/rest.ts';
import type { World } from '../src/world.ts';

const anInstant = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/u) as string;
const models = [{ id: 'odd-model', creditCost: { input: 0.000333, output: 0.000777 } }];

describeEachDatabase('what an Accounting Service is asked and told', (kind) => {
  let started: AccountingWorld;
  let world: World;
  beforeAll(async () => {
    started = await startAccountingWorld(kind, { models });
    ({ world } = started);
  });
  afterAll(() => started[Symbol.asyncDispose]());

  it('is asked once before the model and told once after it, under the id of the answer', async () => {
    const user = await started.user();
    const sessionId = await user.openSession();
    world.openai.script('Hi', { chunks: words, times: 1 });
    const { result } = await user.send(sessionId);
    const { message, usage } = result as { message: { id: string }; usage: { credits: number } };
    await started.journal.check({ userIds: [user.id] });
    const [, check, record, ...more] = user.requests();
    expect(more).toEqual([]);

    expect(check).toMatchObject({ operation: 'check', path: '/api/credits/check', method: 'POST' });
    expect(check?.headers).toEqual({
      authorization: `Bearer ${serviceToken}`,
      idempotencyKey: message.id,
      userToken: user.token,
      contentType: 'application/json',
    });
    expect(check?.body).toEqual({
      usageId: message.id,
      userId: user.id,
      plan: 'free',
      sessionId,
      modelId: 'test-model',
      operation: 'message',
      estimate: { inputTokens: heldPromptTokens, outputTokens: 100, credits: costOf(heldPromptTokens, 100) / 1e6 },
      // The longest answer of the catalogue takes twice 600 s, one model after the other.
      holdSeconds: 1500,
    });

    expect(record).toMatchObject({ operation: 'record', path: '/api/usage/record', method: 'POST' });
    expect(record?.headers).toEqual({
      authorization: `Bearer ${serviceToken}`,
      idempotencyKey: message.id,
      userToken: undefined,
      contentType: 'application/json',
    });
    // The fake model counts words of the prompt and chunks of the answer.
    expect(record?.body).toEqual({
      usageId: message.id,
      holdId: world.accounting.holdOf(message.id)?.holdId,
      userId: user.id,
      sessionId,
      messageId: message.id,
      modelId: 'test-model',
      inputTokens: 1,
      outputTokens: words.length,
      credits: costOf(1, words.length) / 1e6,
      outcome: 'complete',
      occurredAt: anInstant,
    });
    expect(usage.credits).toBe(costOf(1, words.length) / 1e6);
    expect(world.accounting.effectsOf(message.id).map(({ kind: what, credits }) => [what, credits])).toEqual([
      ['hold', costOf(heldPromptTokens, 100)],
      ['charge', costOf(1, words.length)],
    ]);
  });

  if (isWhole(kind)) {
    it('rounds once, up, in millionths, for what is held as for what is charged', async () => {
      const user = await started.user();
      const sessionId = await user.openSession();
      const usage = { prompt_tokens: 8, completion_tokens: 3, total_tokens: 11 };
      world.openai.script('Hi', { chunks: words.slice(1), usage, times: 1 });
      const { result } = await user.send(sessionId, { modelId: 'odd-model', parameters: { maxTokens: 7 } });
      const { message } = result as { message: { id: string } };
      await started.journal.check({ userIds: [user.id] });
      // (10 × 333 + 7 × 777) / 1000 = 8.769, and (8 × 333 + 3 × 777) / 1000 = 4.995.
      expect(world.accounting.holdOf(message.id)?.credits).toBe(9);
      expect(world.accounting.chargesOf(message.id).map(({ credits }) => credits)).toEqual([5]);
      const [check, record] = world.accounting.requestsOf(message.id);
      expect(check?.body).toMatchObject({ estimate: { credits: 0.000009 } });
      expect(record?.body).toMatchObject({ credits: 0.000005 });
    });
  }

  it('leaves no token of the user in a log line, a row or a raw file, nor its own', async () => {
    const user = await started.user();
    const sessionId = await user.openSession();
    // Failures are told in the log: of a check and its repeat, of a delivery, of the balance.
    const takeBack = world.accounting.fault(({ userId }) => userId === user.id, { done: false, answer: 'reset' });
    expect((await user.send(sessionId)).status).toBe(503);
    const usage = { type: 'query', path: 'account.usage', token: user.token } as const;
    expect((await callOverHttp(world.url, usage)).status).toBe(503);
    takeBack();
    expect((await user.send(sessionId)).status).toBe(200);
    await started.journal.check({ userIds: [user.id] });
    const { query, tables } = started.journal.database;
    const places = [...world.logs];
    for (const table of Object.values(tables)) {
      if ('usageId' in table || 'id' in table || 'userId' in table)
        places.push(JSON.stringify(await query.select().from(table)));
    }
    const [, , signature = ''] = user.token.split('.');
    expect(places.join('').length).toBeGreaterThan(1000);
    for (const secret of [user.token, signature, serviceToken]) {
      expect(places.filter((place) => place.includes(secret))).toEqual([]);
      expect(started.rawFilesWith(secret)).toEqual([]);
    }
    // The search finds what is there.
    if (kind === 'sqlite') expect(started.rawFilesWith(sessionId)).not.toEqual([]);
  });

  it('asks for a session with an estimate of nothing, holds nothing, and asks for a repeat no second time', async () => {
    const user = await started.user();
    const input = { idempotencyKey: 'the same' };
    const made = await user.call('session.create', input);
    const { sessionId } = made.result as { sessionId: string };
    const [check, ...more] = user.requests();
    expect(more).toEqual([]);
    expect(check?.headers).toMatchObject({ idempotencyKey: sessionId, userToken: user.token });
    expect(check?.body).toEqual({
      usageId: sessionId,
      userId: user.id,
      plan: 'free',
      sessionId,
      modelId: null,
      operation: 'session',
      estimate: { inputTokens: 0, outputTokens: 0, credits: 0 },
      holdSeconds: 0,
    });
    const again = await user.call('session.create', input);
    expect(again.result).toEqual(made.result);
    expect(user.requests()).toHaveLength(1);
    expect(world.accounting.effectsOf(sessionId)).toEqual([]);
    await started.journal.check({ userIds: [user.id] });
  });

  const resetsAt = new Date(Date.now() + 86_400_000);
  const refusals: readonly [string, FakeFault['answer'], { status: number; told: Record<string, unknown> }][] = [
    ['402', { status: 402, body: {} }, { status: 402, told: { code: 'INSUFFICIENT_CREDITS' } }],
    [
      '402 with a remainder of nothing',
      { status: 402, body: { remainingCredits: 0 } },
      { status: 402, told: { code: 'INSUFFICIENT_CREDITS' } },
    ],
    [
      'not sufficient',
      { status: 200, body: { sufficient: false } },
      { status: 402, told: { code: 'INSUFFICIENT_CREDITS' } },
    ],
    [
      '429',
      { status: 429, body: { quota: 'images', resetsAt: resetsAt.toISOString() } },
      { status: 429, told: { code: 'QUOTA_EXCEEDED', quota: 'images', resetsAt: resetsAt.toISOString() } },
    ],
  ];

  const tried = refusals.filter(([name]) => isWhole(kind) || name === '429');

  it.each(tried)('tells %s of a message on every door, and nothing has happened', async (_, answer, expected) => {
    const user = await started.user();
    const sessionId = await user.openSession();
    const calls = world.openai.calls.length;
    world.accounting.fault(({ userId }) => userId === user.id, { done: false, answer });
    const overTrpc = await user.send(sessionId);
    expect(overTrpc).toMatchObject({ status: expected.status, refusal: expected.told });
    for (const path of ['messages', 'stream']) {
      const target = `POST /api/chat/sessions/${sessionId}/${path}`;
      const rest = await callRest<Problem>(world, target, { token: user.token, body: { message: 'Hi' } });
      expect(rest).toMatchObject({ status: expected.status, body: expected.told });
      const retryAfter = Number(rest.headers.get('retry-after') ?? 0);
      if (expected.status === 429) {
        expect(retryAfter).toBeGreaterThanOrEqual(Math.floor((resetsAt.getTime() - Date.now()) / 1000));
        expect(retryAfter).toBeLessThanOrEqual(86_400);
        expect(rest.body.retryAfter).toBe(retryAfter);
      } else expect(rest.headers.has('retry-after')).toBe(false);
    }
    await nothingHappened(user, sessionId, calls);
    expect(user.operations()).toEqual(['check', 'check', 'check', 'check']);
  });

  it.each(tried)('tells %s of a session, which is not made', async (_, answer, expected) => {
    const user = await started.user();
    world.accounting.fault(({ userId }) => userId === user.id, { done: false, answer });
    const overTrpc = await user.call('session.create', { idempotencyKey: 'refused' });
    expect(overTrpc).toMatchObject({ status: expected.status, refusal: expected.told });
    const { token } = user;
    const rest = await callRest<Problem>(world, 'POST /api/chat/sessions', { token, body: {} });
    expect(rest).toMatchObject({ status: expected.status, body: expected.told });
    expect(user.operations()).toEqual(['check', 'check']);
    const list = await callRest<{ sessions: unknown[] }>(world, 'GET /api/chat/sessions', { token });
    expect(list.body.sessions).toEqual([]);
    // The key was not used up.
    world.accounting.clearFaults();
    expect((await user.call('session.create', { idempotencyKey: 'refused' })).status).toBe(200);
    await started.journal.check({ userIds: [user.id] });
  });

  async function nothingHappened(user: AccountUser, sessionId: string, calls: number): Promise<void> {
    const { generations } = await started.journal.check({ userIds: [user.id] });
    const own = generations.filter(({ userId }) => userId === user.id);
    expect(own.filter(({ status }) => status !== 'refused')).toEqual([]);
    expect(world.openai.calls).toHaveLength(calls);
    const { trpc } = world.trpc(user.id);
    const read = await trpc.session.get.query({ sessionId });
    expect(read).toMatchObject({ messages: [], session: { messageCount: 0, status: 'idle' } });
    expect(world.accounting.totals(user.id)).toMatchObject({ held: 0, spent: 0 });
  }

  if (isWhole(kind)) {
    it('makes an answer as short as the remainder pays for, after one second check', async () => {
      const user = await started.user(costOf(heldPromptTokens, 3) + 1_999);
      const sessionId = await user.openSession();
      world.openai.script('Hi', { chunks: words.slice(0, 3), finishReason: 'length', times: 1 });
      const { result } = await user.send(sessionId);
      expect(result).toMatchObject({ message: { status: 'complete', finishReason: 'length' } });
      expect(world.openai.calls.at(-1)?.body['max_tokens']).toBe(3);
      await started.journal.check({ userIds: [user.id] });
      expect(user.operations()).toEqual(['check', 'check', 'check', 'record']);
      const [, first, second] = user.requests().map(({ body }) => body as { usageId: string; estimate: unknown });
      expect(second?.usageId).toBe(first?.usageId);
      expect(second?.estimate).toEqual({
        inputTokens: heldPromptTokens,
        outputTokens: 3,
        credits: costOf(heldPromptTokens, 3) / 1e6,
      });
    });
  }

  if (isWhole(kind)) {
    it('uses credit up to the last token, and refuses below one', async () => {
      const user = await started.user(costOf(heldPromptTokens, 1));
      const sessionId = await user.openSession();
      const usage = { prompt_tokens: 9, completion_tokens: 1, total_tokens: 10 };
      world.openai.script('Hi', { chunks: ['One'], usage, finishReason: 'length', times: 1 });
      expect((await user.send(sessionId)).status).toBe(200);
      await started.journal.check({ userIds: [user.id] });
      expect(world.accounting.totals(user.id).available).toBe(1_000);
      const calls = world.openai.calls.length;
      expect(await user.send(sessionId)).toMatchObject({ status: 402, refusal: { code: 'INSUFFICIENT_CREDITS' } });
      expect(world.openai.calls).toHaveLength(calls);
      // What is left pays for no token: it is not asked for one.
      expect(user.operations()).toEqual(['check', 'check', 'check', 'record', 'check']);
      await started.journal.check({ userIds: [user.id] });
    });
  }

  if (isWhole(kind)) {
    it('does not ask a third time where the remainder has gone meanwhile', async () => {
      const user = await started.user();
      const sessionId = await user.openSession();
      const answer = { status: 200, body: { sufficient: false, remainingCredits: 0.05 } };
      world.accounting.fault(({ userId }) => userId === user.id, { done: false, answer });
      expect((await user.send(sessionId)).status).toBe(402);
      expect(user.operations()).toEqual(['check', 'check', 'check']);
      await started.journal.check({ userIds: [user.id] });
    });
  }

  it('answers as many of thirty sends at once as there is credit for, and not one more', async () => {
    const one = costOf(heldPromptTokens, 10);
    const user = await started.user(3 * one + promptTokens);
    const sessions = await Promise.all(Array.from({ length: 30 }, () => user.openSession()));
    world.openai.script('Hi', { chunks: words, hold: [0] });
    const calls = world.openai.calls.length;
    const input = { parameters: { maxTokens: 10 } };
    const answers: number[] = [];
    const all = sessions.map(async (sessionId) => {
      answers.push((await user.send(sessionId, input)).status);
    });
    await vi.waitFor(() => expect(answers).toEqual(Array.from({ length: 27 }, () => 402)), patience);
    expect(world.accounting.totals(user.id)).toMatchObject({ held: 3 * one, spent: 0 });
    for (const index of [0, 1, 2]) (await world.openai.call(calls + index)).releaseAll();
    await Promise.all(all);
    world.openai.script('Hi', {});
    expect(answers.filter((status) => status === 200)).toHaveLength(3);
    await started.journal.check({ userIds: [user.id] });
    expect(world.accounting.totals(user.id).spent).toBe(3 * costOf(1, words.length));
  });

  it('asks, holds and charges once for a key that is sent twice at once, and for its repeats', async () => {
    const user = await started.user();
    const sessionId = await user.openSession();
    world.openai.script('Hi', { chunks: words, hold: [0], times: 1 });
    const calls = world.openai.calls.length;
    const twins = [1, 2].map(() => user.send(sessionId, { idempotencyKey: 'twins' }));
    (await world.openai.call(calls)).releaseAll();
    const [one, two] = await Promise.all(twins);
    expect(one).toMatchObject({ status: 200, result: two?.result as object });
    expect((await user.send(sessionId, { idempotencyKey: 'twins' })).result).toEqual(one?.result);
    await started.journal.check({ userIds: [user.id] });
    expect(user.operations()).toEqual(['check', 'check', 'record']);
  });

  if (isWhole(kind)) {
    it('tells account.usage from the service, and nothing of a user whom it does not know', async () => {
      const user = await started.user(5_000_000);
      const usageOf = (token: string) => callRest<object>(world, 'GET /api/account/usage', { token });
      const sessionId = await user.openSession();
      const { call } = await user.streamUntil(sessionId, 1);
      const held = costOf(heldPromptTokens, 100) / 1e6;
      expect((await usageOf(user.token)).body).toMatchObject({ credits: 5 - held, held, plan: 'free', quotas: [] });
      call.releaseAll();
      await started.journal.check({ userIds: [user.id] });
      const left = { credits: 5 - costOf(1, words.length) / 1e6, held: 0, plan: 'free', quotas: [] };
      expect((await usageOf(user.token)).body).toMatchObject(left);
      const balance = world.accounting.requests.findLast(({ operation }) => operation === 'balance');
      expect(balance).toMatchObject({ path: `/api/credits/${user.id}`, headers: { userToken: undefined } });

      const stranger = await usageOf(await world.token('nobody/they know', { plan: 'pro' }));
      expect(stranger).toMatchObject({ status: 200, body: { credits: null, held: 0, plan: 'pro', quotas: [] } });
      world.accounting.fault('balance', { done: false, answer: { status: 500 } });
      expect(await usageOf(user.token)).toMatchObject({ status: 503, body: { code: 'ACCOUNTING_UNAVAILABLE' } });
      world.accounting.clearFaults();
    });
  }
});
