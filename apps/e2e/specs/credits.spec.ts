import { creditsFor, toMicro } from '@chat-service/server/features/credits/credit-amount';
import type { Database } from '@chat-service/server/db/database';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { callFor, patience } from '../src/call-for.ts';
import { describeEachDatabase } from '../src/describe-databases.ts';
import { callOverHttp, type RawAnswer } from '../src/raw-http.ts';
import { refusalOf } from '../src/refusal.ts';
import { callRest, type Problem } from '../src/rest.ts';
import { startWorld, type World } from '../src/world.ts';

const price = { input: 1, output: 2 };
/** The prompt "Hi" as it is counted for a model with a vocabulary of its own: a quarter on top of 8 tokens. */
const promptTokens = 10;
const limit = 10;
/** What one answer of at most `limit` tokens is held for. */
const oneAnswer = creditsFor({ inputTokens: promptTokens, outputTokens: limit }, price);
const plans = {
  free: { grant: { credits: 0, every: 'once' }, quotas: {} },
  one: { grant: { credits: oneAnswer, every: 'once' }, quotas: {} },
  uncounted: { grant: null, quotas: {} },
  few: { grant: { credits: 1000, every: 'once' }, quotas: { day: { messages: 2, sessions: 3 } } },
  short: { grant: { credits: 1000, every: 'once' }, quotas: { month: { tokens: 25 } } },
};
const sends = 100;

describeEachDatabase('credit', (kind) => {
  let world: World;
  let database: Database;
  beforeAll(async () => {
    world = await startWorld({ kind, plans, env: { MAX_CONCURRENT_GENERATIONS: '1000' } });
    database = await world.openDatabase();
  });
  afterAll(() => world[Symbol.asyncDispose]());

  const tokenOf = (sub: string, plan: string) => world.token(sub, { plan });
  const call = (token: string, path: string, input: unknown, url = world.url) =>
    callOverHttp(url, { type: 'mutation', path, input, token });
  const usageOf = async (token: string) => {
    const answer = await callOverHttp(world.url, { type: 'query', path: 'account.usage', token });
    return answer.result as { credits: number | null; held: number; plan: string; quotas: Record<string, unknown>[] };
  };
  async function openSession(token: string): Promise<string> {
    const { result } = await call(token, 'session.create', {});
    return (result as { sessionId: string }).sessionId;
  }
  const sendTo = async (token: string, sessionId: string, further: Record<string, unknown> = {}) =>
    call(token, 'message.send', { sessionId, message: 'Hi', parameters: { maxTokens: limit }, ...further });

  /** The account as the database has it. */
  async function accountOf(sub: string) {
    const rows = await database.query.select().from(database.tables.creditAccounts);
    return rows.find(({ userId }) => userId === sub);
  }

  /** What the model was asked by this user's sends, told apart by their text. */
  const callsAbout = (text: string) => world.openai.calls.filter(({ lastUserMessage }) => lastUserMessage === text);

  async function expectOneOfMany(sub: string, urls: readonly string[]) {
    const token = await tokenOf(sub, 'one');
    const text = `Hi ${sub}`;
    world.openai.script(text, { hold: [0], chunks: ['a', 'b', 'c'] });
    const opened = await Promise.all(Array.from({ length: sends }, () => openSession(token)));
    const settled: RawAnswer[] = [];
    const all = Promise.all(
      opened.map(async (sessionId, index) => {
        const input = { sessionId, message: text, parameters: { maxTokens: limit } };
        const answer = await call(token, 'message.send', input, urls[index % urls.length]);
        settled.push(answer);
      }),
    );
    await vi.waitFor(() => expect(settled).toHaveLength(sends - 1), patience);
    expect(settled.map(({ status, refusal }) => [status, refusal?.['code']])).toEqual(
      Array.from({ length: sends - 1 }, () => [402, 'INSUFFICIENT_CREDITS']),
    );
    expect(await accountOf(sub)).toMatchObject({ spent: 0 });
    (await callFor(world.openai, text)).releaseAll();
    await all;
    expect(settled.at(-1)?.status).toBe(200);
    expect(callsAbout(text)).toHaveLength(1);
    const account = await accountOf(sub);
    const charged = creditsFor({ inputTokens: 0, outputTokens: 3 }, price);
    expect(account).toMatchObject({ granted: expect.any(Number), held: 0, absorbed: 0 });
    expect(account?.spent).toBeGreaterThanOrEqual(toMicro(charged));
    expect(account?.spent).toBeLessThanOrEqual(account?.granted ?? 0);
  }

  it('pays for one of a hundred sends at once where there is enough for one', async () => {
    await expectOneOfMany('hundredfold', [world.url]);
  });

  // A SQLite file has one server.
  if (kind === 'postgres') {
    it('pays for one of a hundred over two processes', async () => {
      await using other = await world.spawn();
      await expectOneOfMany('everywhere', [world.url, other.url]);
    });
  }

  it('pays once for a key that is sent twice, and both get the answer', async () => {
    const token = await tokenOf('twice', 'one');
    const sessionId = await openSession(token);
    world.openai.script('Hi', { hold: [0], times: 1 });
    const both = [1, 2].map(() => sendTo(token, sessionId, { idempotencyKey: 'one of two' }));
    (await world.openai.call(world.openai.calls.length)).releaseAll();
    const answers = await Promise.all(both);
    expect(answers.map(({ status }) => status)).toEqual([200, 200]);
    const [one, two] = answers.map(({ result }) => result as { usage: { credits: number } });
    expect(one).toEqual(two);
    const usage = one?.usage ?? { credits: 0 };
    expect(usage.credits).toBeGreaterThan(0);
    expect(await usageOf(token)).toMatchObject({
      credits: (toMicro(oneAnswer) - toMicro(usage.credits)) / 1e6,
      held: 0,
    });
  });

  it('makes an answer as short as what is left pays for', async () => {
    const token = await tokenOf('shortened', 'one');
    const sessionId = await openSession(token);
    world.openai.script('Hi', { chunks: ['a', 'b'], finishReason: 'length', times: 1 });
    const { result } = await sendTo(token, sessionId, { parameters: { maxTokens: 500 } });
    expect(world.openai.calls.at(-1)?.body['max_tokens']).toBe(limit);
    expect(result).toMatchObject({ message: { finishReason: 'length', status: 'complete' } });
  });

  it('refuses below one token on every door, and stores, counts and asks nothing', async () => {
    const token = await tokenOf('penniless', 'free');
    const sessionId = await openSession(token);
    const before = world.openai.calls.length;
    expect((await sendTo(token, sessionId)).refusal).toMatchObject({ code: 'INSUFFICIENT_CREDITS', httpStatus: 402 });
    const path = `/api/chat/sessions/${sessionId}`;
    const rest = await callRest<Problem>(world, `POST ${path}/messages`, { token, body: { message: 'Hi' } });
    expect(rest).toMatchObject({ status: 402, body: { code: 'INSUFFICIENT_CREDITS' } });
    const streamed = await callRest<Problem>(world, `POST ${path}/stream`, { token, body: { message: 'Hi' } });
    expect(streamed).toMatchObject({ status: 402, body: { code: 'INSUFFICIENT_CREDITS' } });
    const { trpc } = world.trpc('penniless');
    expect(await refusalOf(trpc.message.start.mutate({ sessionId, message: 'Hi' }))).toMatchObject({
      code: 'INSUFFICIENT_CREDITS',
    });
    expect(world.openai.calls).toHaveLength(before);
    expect(await trpc.session.get.query({ sessionId })).toMatchObject({
      session: { messageCount: 0, status: 'idle' },
      messages: [],
    });
    expect(await usageOf(token)).toMatchObject({ credits: 0, held: 0, plan: 'free' });
  });

  it('shows what is held while an answer is written, and gives back what it did not take', async () => {
    const token = await tokenOf('holding', 'one');
    const sessionId = await openSession(token);
    const asked = world.openai.calls.length;
    world.openai.script('Hi', { hold: [0], chunks: ['a'], times: 1 });
    const answer = sendTo(token, sessionId);
    const held = await world.openai.call(asked);
    expect(await usageOf(token)).toMatchObject({ credits: 0, held: oneAnswer });
    held.releaseAll();
    const { usage } = (await answer).result as {
      usage: { inputTokens: number; outputTokens: number; credits: number };
    };
    expect(usage.credits).toBe(creditsFor(usage, price));
    expect(await usageOf(token)).toMatchObject({ held: 0 });
    expect(await accountOf('holding')).toMatchObject({ held: 0, spent: toMicro(usage.credits) });
  });

  it('charges no more than was held where a provider counts more', async () => {
    const token = await tokenOf('miscounted', 'one');
    const sessionId = await openSession(token);
    const usage = { prompt_tokens: 5000, completion_tokens: 3, total_tokens: 5003 };
    world.openai.script('Hi', { chunks: ['a', 'b', 'c'], usage, times: 1 });
    const { result } = await sendTo(token, sessionId);
    expect(result).toMatchObject({ usage: { inputTokens: 5000, outputTokens: 3, credits: oneAnswer } });
    const cost = toMicro(creditsFor({ inputTokens: 5000, outputTokens: 3 }, price));
    const account = await accountOf('miscounted');
    expect(account).toMatchObject({ spent: toMicro(oneAnswer), held: 0, absorbed: cost - toMicro(oneAnswer) });
  });

  it('charges nothing for a failure before the first token, and gives the message back', async () => {
    const token = await tokenOf('unlucky', 'few');
    const sessionId = await openSession(token);
    world.openai.script('Hi', { fault: { at: -1, kind: 'reset' }, times: 3 });
    expect((await sendTo(token, sessionId)).refusal).toMatchObject({ code: 'MODEL_ERROR' });
    expect(await usageOf(token)).toMatchObject({ credits: 1000, held: 0 });
    expect((await usageOf(token)).quotas).toContainEqual(expect.objectContaining({ name: 'messages', used: 0 }));

    world.openai.script('Hi', { chunks: ['a', 'b', 'c'], fault: { at: 2, kind: 'reset' }, times: 1 });
    expect((await sendTo(token, sessionId)).refusal).toMatchObject({ code: 'MODEL_ERROR' });
    const { credits, quotas } = await usageOf(token);
    expect(credits).toBeLessThan(1000);
    expect(quotas).toContainEqual(expect.objectContaining({ name: 'messages', used: 1 }));
  });

  it('counts quotas of the UTC day, and tells which one is used up and until when', async () => {
    const token = await tokenOf('busy', 'few');
    const sessionId = await openSession(token);
    await openSession(token);
    for (const _ of [1, 2]) expect((await sendTo(token, sessionId)).status).toBe(200);
    const midnight = new Date(new Date().setUTCHours(24, 0, 0, 0)).toISOString();
    const refused = await sendTo(token, sessionId);
    expect(refused).toMatchObject({ status: 429 });
    expect(refused.refusal).toMatchObject({ code: 'QUOTA_EXCEEDED', quota: 'messages', resetsAt: midnight });
    const body = { message: 'Hi' };
    const rest = await callRest<Problem>(world, `POST /api/chat/sessions/${sessionId}/messages`, { token, body });
    expect(rest).toMatchObject({
      status: 429,
      body: { code: 'QUOTA_EXCEEDED', quota: 'messages', resetsAt: midnight },
    });
    expect(Number(rest.headers.get('retry-after'))).toBe(rest.body.retryAfter);
    expect(rest.body.retryAfter).toBeGreaterThan(0);

    await openSession(token);
    const fourth = await call(token, 'session.create', {});
    expect(fourth.refusal).toMatchObject({ code: 'QUOTA_EXCEEDED', quota: 'sessions', resetsAt: midnight });
    expect((await usageOf(token)).quotas).toEqual([
      { name: 'sessions', period: 'day', used: 3, limit: 3, resetsAt: midnight },
      { name: 'messages', period: 'day', used: 2, limit: 2, resetsAt: midnight },
    ]);
  });

  it('counts a repeat under a key once, also of a session', async () => {
    const token = await tokenOf('again', 'few');
    const create = () => call(token, 'session.create', { idempotencyKey: 'the same' });
    const made = [await create(), await create(), await create(), await create()];
    expect(made.map(({ status }) => status)).toEqual([200, 200, 200, 200]);
    expect((await usageOf(token)).quotas).toContainEqual(expect.objectContaining({ name: 'sessions', used: 1 }));
  });

  it('makes an answer as short as the quota of tokens, which the end corrects', async () => {
    const token = await tokenOf('terse', 'short');
    const sessionId = await openSession(token);
    world.openai.script('Hi', { chunks: ['a'], usage: { prompt_tokens: 8, completion_tokens: 1, total_tokens: 9 } });
    expect((await sendTo(token, sessionId, { parameters: { maxTokens: 100 } })).status).toBe(200);
    expect(world.openai.calls.at(-1)?.body['max_tokens']).toBe(25 - promptTokens);
    expect((await usageOf(token)).quotas).toEqual([expect.objectContaining({ name: 'tokens', used: 9, limit: 25 })]);
    const more = await openSession(token);
    expect((await sendTo(token, more)).status).toBe(200);
    expect((await sendTo(token, await openSession(token))).refusal).toMatchObject({
      code: 'QUOTA_EXCEEDED',
      quota: 'tokens',
    });
    world.openai.script('Hi', {});
  });

  it('counts no credits for a plan without a grant', async () => {
    const token = await tokenOf('staff', 'uncounted');
    const sessionId = await openSession(token);
    const { result } = await sendTo(token, sessionId, { parameters: {} });
    expect(result).toMatchObject({ usage: { credits: expect.any(Number) } });
    expect(await usageOf(token)).toEqual(expect.objectContaining({ credits: null, held: 0, plan: 'uncounted' }));
  });

  it('says over REST what account.usage says', async () => {
    const token = await tokenOf('busy', 'few');
    const rest = await callRest<Record<string, unknown>>(world, 'GET /api/account/usage', { token });
    const { rateLimit, ...usage } = rest.body;
    const { rateLimit: _, ...same } = (await usageOf(token)) as Record<string, unknown>;
    expect({ status: rest.status, usage }).toEqual({ status: 200, usage: same });
    expect(rateLimit).toEqual({
      limit: expect.any(Number),
      remaining: expect.any(Number),
      resetsAt: expect.stringMatching(/Z$/u),
    });
  });
});
