import type { ProbePoint } from '@chat-service/server/features/generations/probe';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { callsOf } from '../src/accounting-journal.ts';
import {
  costOf,
  heldPromptTokens,
  isWhole,
  promptTokens,
  startAccountingWorld,
  words,
  type AccountingWorld,
  type AccountUser,
} from '../src/accounting-world.ts';
import { patience } from '../src/call-for.ts';
import { collect } from '../src/collect.ts';
import { describeEachDatabase } from '../src/describe-databases.ts';
import { fakeFaults } from '../src/fake-accounting.ts';
import type { World } from '../src/world.ts';

const models = [
  { id: 'first-model', creditCost: { input: 2, output: 1 }, fallback: 'second-model' },
  { id: 'second-model', creditCost: { input: 1, output: 3 } },
];

describeEachDatabase('what an Accounting Service charges', (kind) => {
  let started: AccountingWorld;
  let world: World;
  beforeAll(async () => {
    started = await startAccountingWorld(kind, { models });
    ({ world } = started);
  });
  afterAll(() => started[Symbol.asyncDispose]());

  /** Five failures in a row would open the circuit of a model. */
  async function expectRecovery(modelId = 'test-model'): Promise<void> {
    const user = await started.user();
    expect((await user.send(await user.openSession(), { modelId })).status).toBe(200);
  }

  const held = costOf(heldPromptTokens, 100);

  /** Asserts that of this one answer of the user so much was charged, null being a release, and nothing else at all. */
  async function expectCharge(user: AccountUser, amount: number | null, hold = held): Promise<void> {
    await started.journal.check({ userIds: [user.id] });
    const effects = world.accounting.effects.filter(({ userId }) => userId === user.id);
    expect(effects.map(({ kind: what, credits }) => [what, credits])).toEqual([
      ['hold', hold],
      amount === null ? ['release', hold] : ['charge', amount],
    ]);
    expect(world.accounting.totals(user.id)).toMatchObject({ held: 0, spent: amount ?? 0 });
    expect(user.operations()).toEqual(['check', 'check', amount === null ? 'release' : 'record']);
  }

  /** Sends, and stops the answer while it waits at the point; what both calls are answered. */
  async function stopAt(point: ProbePoint, user: AccountUser) {
    const sessionId = await user.openSession();
    const gate = started.gates.hold(point);
    const sent = user.send(sessionId);
    await gate.reached;
    const stop = user.call('message.stop', { sessionId });
    await vi.waitFor(async () => {
      const { generations } = await started.journal.rows();
      expect(generations.find((row) => row.sessionId === sessionId)?.stopRequestedBy).toBe('user');
    }, patience);
    gate.release();
    return Promise.all([sent, stop]);
  }

  const recordOf = (user: AccountUser) => user.requests().find(({ operation }) => operation === 'record')?.body;

  it.each([0, 1, 2, 3, 4])(
    'takes the prompt and %i tokens where that many were written before a stop',
    async (count) => {
      const user = await started.user();
      const sessionId = await user.openSession();
      const { streamId, call } = await user.streamUntil(sessionId, count);
      const { result } = await user.call('message.stop', { sessionId });
      await call.ended;
      expect(call.sent).toEqual(words.slice(0, count));
      await expectCharge(user, costOf(promptTokens, count));
      expect(recordOf(user)).toMatchObject({
        usageId: streamId,
        inputTokens: promptTokens,
        outputTokens: count,
        outcome: 'stopped',
      });
      expect(result).toMatchObject({
        message: { usage: { credits: costOf(promptTokens, count) / 1e6, estimated: true } },
      });
    },
  );

  if (isWhole(kind)) {
    it('takes the prompt where a call was stopped that the model had not begun to answer', async () => {
      const user = await started.user();
      const sessionId = await user.openSession();
      const calls = world.openai.calls.length;
      world.openai.script('Hi', { fault: { at: -1, kind: 'stall' }, times: 1 });
      await user.call('message.start', { sessionId, message: 'Hi', parameters: { maxTokens: 100 } });
      const call = await world.openai.call(calls);
      await user.call('message.stop', { sessionId });
      await call.ended;
      await expectCharge(user, costOf(promptTokens, 0));
    });
  }

  it('takes nothing where a stop came before the model was called', async () => {
    const user = await started.user();
    const calls = world.openai.calls.length;
    await stopAt('provider-called', user);
    expect(world.openai.calls).toHaveLength(calls);
    await expectCharge(user, null);
  });

  if (isWhole(kind)) {
    it.each([
      ['a refusal of the model', { status: 400 }, 1],
      ['a model that is out of order', { status: 500 }, 3],
      ['a connection that breaks', { fault: { at: -1, kind: 'reset' } }, 3],
      ['an answer that ends before its first token', { fault: { at: 0, kind: 'end' } }, null],
    ] as const)('takes nothing for %s', async (_, plan, calls) => {
      const user = await started.user();
      const sessionId = await user.openSession();
      world.openai.script('Hi', { chunks: words, ...plan, times: 3 });
      const { refusal } = await user.send(sessionId);
      world.openai.script('Hi', {});
      expect(refusal).toMatchObject({ code: 'MODEL_ERROR' });
      if (calls !== null) expect(callsOf(world.openai, String(refusal?.['streamId']))).toHaveLength(calls);
      await expectCharge(user, null);
    });
  }

  it.each(
    (isWhole(kind) ? (['reset', 'error', 'end'] as const) : (['end'] as const)).flatMap((fault) =>
      [1, 3].map((at) => [fault, at] as const),
    ),
  )('takes the prompt and what is stored after a failure (%s) behind %i tokens', async (fault, at) => {
    const user = await started.user();
    const sessionId = await user.openSession();
    world.openai.script('Hi', { chunks: words, fault: { at, kind: fault }, times: 1 });
    expect((await user.send(sessionId)).refusal).toMatchObject({ code: 'MODEL_ERROR' });
    await expectCharge(user, costOf(promptTokens, at));
    expect(recordOf(user)).toMatchObject({ outcome: 'failed', outputTokens: at });
    await expectRecovery();
  });

  if (isWhole(kind)) {
    it('takes what was counted here where the model has told no figure', async () => {
      const user = await started.user();
      const sessionId = await user.openSession();
      world.openai.script('Hi', { chunks: words, usage: null, times: 1 });
      const { result } = await user.send(sessionId);
      expect(result).toMatchObject({ usage: { estimated: true } });
      await expectCharge(user, costOf(promptTokens, words.length));
    });
  }

  if (isWhole(kind)) {
    it('takes no more than is held where the model counts more', async () => {
      const user = await started.user(held);
      const sessionId = await user.openSession();
      const usage = { prompt_tokens: 90_000, completion_tokens: 9_000, total_tokens: 99_000 };
      world.openai.script('Hi', { chunks: words, usage, times: 1 });
      const { result } = await user.send(sessionId);
      expect(result).toMatchObject({ usage: { inputTokens: 90_000, outputTokens: 9_000, credits: held / 1e6 } });
      await expectCharge(user, held);
    });
  }

  if (isWhole(kind)) {
    it('takes what the client says of it for nothing', async () => {
      const user = await started.user();
      const sessionId = await user.openSession();
      world.openai.script('Hi', { chunks: words, times: 1 });
      await user.send(sessionId);
      const forged = { sessionId, completeResponse: '', tokensUsed: 0 };
      expect(await user.call('message.finalize', forged)).toMatchObject({ status: 200, result: { matches: false } });
      await expectCharge(user, costOf(1, words.length));
    });
  }

  if (isWhole(kind)) {
    it('takes an answer once that its reader has left', async () => {
      const user = await started.user();
      const sessionId = await user.openSession();
      const calls = world.openai.calls.length;
      world.openai.script('Hi', { chunks: words, hold: [2], times: 1 });
      const { trpc, socket } = world.trpc(user.id);
      const input = { sessionId, message: 'Hi', idempotencyKey: 'left', parameters: { maxTokens: 100 } };
      const reader = collect((subscriber) => trpc.message.stream.subscribe(input, subscriber));
      await reader.until(1);
      reader.unsubscribe();
      await socket.close();
      (await world.openai.call(calls)).releaseAll();
      await expectCharge(user, costOf(1, words.length));
      expect(recordOf(user)).toMatchObject({ outcome: 'complete' });
    });
  }

  it('takes an answer once whose session was deleted meanwhile, as far as it had come', async () => {
    const user = await started.user();
    const sessionId = await user.openSession();
    const { call } = await user.streamUntil(sessionId, 2);
    expect((await user.call('session.delete', { sessionId })).status).toBe(200);
    await call.ended;
    await expectCharge(user, costOf(promptTokens, 2));
    expect(recordOf(user)).toMatchObject({ sessionId, outcome: 'stopped', outputTokens: 2 });
    expect((await started.journal.rows()).generations.filter((row) => row.sessionId === sessionId)).toEqual([]);
  });

  // The dearest of both: 2 in, 3 out.
  const dearest = heldPromptTokens * 2_000 + 100 * 3_000;

  if (isWhole(kind)) {
    it('takes the price of the model that answered, holding the dearest of the chain', async () => {
      const user = await started.user();
      const sessionId = await user.openSession();
      world.openai.script(({ model }) => model === 'first-model', { status: 400, times: 1 });
      world.openai.script(({ model }) => model === 'second-model', { chunks: words, times: 1 });
      const { result } = await user.send(sessionId, { modelId: 'first-model' });
      expect(result).toMatchObject({ message: { modelId: 'second-model', fallbackFrom: 'first-model' } });
      await expectCharge(user, 1_000 + words.length * 3_000, dearest);
      expect(recordOf(user)).toMatchObject({ modelId: 'second-model' });
    });
  }

  if (isWhole(kind)) {
    it('takes the price of the fallback also where it was stopped, and never more than is held', async () => {
      const user = await started.user(heldPromptTokens * 2_000 + 2 * 3_000);
      const sessionId = await user.openSession();
      world.openai.script(({ model }) => model === 'first-model', { status: 400, times: 1 });
      const plan = { chunks: words, finishReason: 'length' };
      world.openai.script(({ model }) => model === 'second-model', { ...plan, usage: null, times: 1 });
      const { result } = await user.send(sessionId, { modelId: 'first-model' });
      expect(result).toMatchObject({ message: { modelId: 'second-model' } });
      expect(world.openai.calls.at(-1)?.body['max_tokens']).toBe(2);
      await started.journal.check({ userIds: [user.id] });
      // It wrote four tokens where two were paid for.
      expect(world.accounting.totals(user.id)).toMatchObject({ held: 0, spent: promptTokens * 1_000 + 4 * 3_000 });
    });
  }

  it('gives back what is held for an answer that was stopped before it was admitted', async () => {
    const user = await started.user();
    const answers = await stopAt('reserved', user);
    expect(answers.map(({ status }) => status)).toEqual([409, 409]);
    await expectCharge(user, null);
  });

  it.each(['reserving', 'reserved', 'admitting'] as const)(
    'gives back what is held for a claim that was given to somebody else at %s',
    async (point) => {
      const user = await started.user();
      const sessionId = await user.openSession();
      const gate = started.gates.hold(point);
      const sent = user.send(sessionId);
      await gate.reached;
      await started.journal.letWaitsPass();
      world.openai.script('Hi', { chunks: words, times: 1 });
      expect((await user.send(sessionId)).status).toBe(200);
      // The claim is given back, and the service has been told of it, before its owner comes to ask.
      await started.journal.atRest();
      gate.release();
      expect(await sent).toMatchObject({ status: 503, refusal: { code: 'UNAVAILABLE' } });
      await started.journal.check({ userIds: [user.id] });
      expect(world.accounting.totals(user.id)).toMatchObject({ held: 0, spent: costOf(1, words.length) });
    },
  );

  it('gives back what is held too late for the delivery that is under way', async () => {
    const user = await started.user();
    const sessionId = await user.openSession();
    const claim = started.gates.hold('reserving');
    const delivery = started.gates.hold('delivered');
    const sent = user.send(sessionId);
    await claim.reached;
    await started.journal.letWaitsPass();
    world.openai.script('Hi', { chunks: words, times: 1 });
    const next = user.send(sessionId);
    // The service says that nothing is held, which is so no more once the owner has asked.
    await delivery.reached;
    claim.release();
    expect(await sent).toMatchObject({ status: 503, refusal: { code: 'UNAVAILABLE' } });
    delivery.release();
    expect((await next).status).toBe(200);
    await started.journal.check({ userIds: [user.id] });
    expect(world.accounting.totals(user.id)).toMatchObject({ held: 0, spent: costOf(1, words.length) });
  });

  it('takes an answer once whose owner comes back after somebody else has ended it', async () => {
    const user = await started.user();
    const sessionId = await user.openSession();
    const { streamId, call } = await user.streamUntil(sessionId, 2);
    await vi.waitFor(async () => {
      const { query, tables } = started.journal.database;
      const segments = await query.select().from(tables.generationSegments);
      const own = segments.filter(({ generationId }) => generationId === streamId);
      expect(own.map(({ text }) => text).join('')).toBe(words.slice(0, 2).join(''));
    }, patience);
    const gate = started.gates.hold('ending');
    call.releaseAll();
    await gate.reached;
    world.openai.script('Hi', { chunks: words, times: 2 });
    started.clock.freeze();
    // A heartbeat that was under way may have renewed the lease once more.
    await vi.waitFor(async () => {
      await started.journal.letWaitsPass();
      expect((await user.send(sessionId)).status).toBe(200);
    }, patience);
    const { generations } = await started.journal.atRest();
    expect(generations.find(({ id }) => id === streamId)?.status).toBe('interrupted');
    started.clock.thaw();
    gate.release();
    expect((await user.send(sessionId)).status).toBe(200);
    await started.journal.check({ userIds: [user.id] });
    const charges = world.accounting.chargesOf(streamId).map(({ credits }) => credits);
    const stored = await world.trpc(user.id).trpc.session.get.query({ sessionId });
    const produced = stored.messages.find(({ id }) => id === streamId)?.content.split(/(?= )/u) ?? [];
    expect(words.slice(0, produced.length)).toEqual(produced);
    expect(charges).toEqual([costOf(promptTokens, produced.length)]);
    const records = world.accounting.requestsOf(streamId).filter(({ operation }) => operation === 'record');
    expect(records.map(({ body }) => body)).toMatchObject([{ outcome: 'interrupted' }]);
  });

  it('gives back what a late answer holds for a session that was deleted meanwhile', async () => {
    const user = await started.user();
    const sessionId = await user.openSession();
    const gate = started.gates.hold('reserving');
    const sent = user.send(sessionId);
    await gate.reached;
    const deleted = user.call('session.delete', { sessionId });
    await vi.waitFor(async () => {
      started.clock.passTwoSeconds();
      const { generations } = await started.journal.rows();
      expect(generations.filter((row) => row.sessionId === sessionId)).toEqual([]);
    }, patience);
    expect((await deleted).status).toBe(200);
    await started.journal.atRest();
    gate.release();
    expect((await sent).refusal).toMatchObject({ code: 'NOT_FOUND' });
    await started.journal.check({ userIds: [user.id] });
    expect(world.accounting.totals(user.id)).toMatchObject({ held: 0, spent: 0 });
  });

  it('gives back what turns out to be held where the answer to a check was lost', async () => {
    const user = await started.user();
    const sessionId = await user.openSession();
    world.accounting.fault(({ userId }) => userId === user.id, fakeFaults.lostAnswer, 2);
    expect((await user.send(sessionId)).refusal).toMatchObject({ code: 'ACCOUNTING_UNAVAILABLE' });
    await started.journal.check({ userIds: [user.id] });
    expect(user.operations()).toEqual(['check', 'check', 'check', 'release']);
    expect(world.accounting.totals(user.id)).toMatchObject({ held: 0, spent: 0 });
  });
});
