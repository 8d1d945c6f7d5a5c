import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import {
  costOf,
  heldPromptTokens,
  isWhole,
  promptTokens,
  startAccountingWorld,
  words,
  type AccountingWorld,
} from '../src/accounting-world.ts';
import { letThrough } from '../src/account-queue.ts';
import { patience } from '../src/call-for.ts';
import { describeEachDatabase } from '../src/describe-databases.ts';
import { fakeFaults, type FakeFault, type FakeRequest } from '../src/fake-accounting.ts';
import { callRest, type Problem } from '../src/rest.ts';
import { runCommand } from '../src/run-command.ts';
import type { World } from '../src/world.ts';

/** Beside its name: what goes wrong, how often the service is asked, and whether something is held all the same. */
const silences: readonly (readonly [name: string, fault: FakeFault, asked: number, isHeld: boolean])[] = [
  ['a connection that breaks', fakeFaults.reset, 2, false],
  ['an answer that is lost', fakeFaults.lostAnswer, 2, true],
  ['no answer in 2 s', fakeFaults.hang, 2, false],
  ['no answer in 2 s to what was done', fakeFaults.lateAnswer, 2, true],
  ['status 500', fakeFaults.serverError, 2, false],
  ['a page of HTML', fakeFaults.html, 2, false],
  ['JSON that says something else', fakeFaults.wrongJson, 2, false],
  ['a 429 of somebody in between', fakeFaults.rateLimited, 1, false],
  ['a token that it does not know', fakeFaults.unauthorized, 1, false],
  ['a request that it does not understand', fakeFaults.refused, 1, false],
];

describeEachDatabase('an Accounting Service that gives no answer', (kind) => {
  let started: AccountingWorld;
  let world: World;
  beforeAll(async () => {
    started = await startAccountingWorld(kind);
    ({ world } = started);
  });
  afterAll(() => started[Symbol.asyncDispose]());

  /** Lets `fault` happen to the user's requests of this kind; where it waits, the 2 s pass. */
  function failFor(userId: string, operation: FakeRequest['operation'], fault: FakeFault): void {
    world.accounting.fault(
      (request) => request.userId === userId && request.operation === operation,
      () => {
        if (fault.answer === 'hang') setImmediate(started.clock.passTwoSeconds);
        return fault;
      },
    );
  }

  const few = ['an answer that is lost', 'no answer in 2 s'];
  describe.each(silences.filter(([name]) => isWhole(kind) || few.includes(name)))(
    'but %s',
    (_, fault, asked, isHeld) => {
      it('to a check: refused, with nothing called, stored or held', async () => {
        const user = await started.user();
        const sessionId = await user.openSession();
        const calls = world.openai.calls.length;
        failFor(user.id, 'check', fault);
        const answer = await user.send(sessionId, { idempotencyKey: 'unanswered' });
        expect(answer).toMatchObject({ status: 503, refusal: { code: 'ACCOUNTING_UNAVAILABLE' } });
        expect(answer.refusal?.['retryAfter']).toBeGreaterThan(0);
        world.accounting.clearFaults();
        await started.journal.check({ userIds: [user.id] });
        const checks = Array.from({ length: asked }, () => 'check');
        expect(user.operations()).toEqual(['check', ...checks, 'release']);
        const effects = world.accounting.effects.filter(({ userId }) => userId === user.id);
        expect(effects.map(({ kind: what }) => what)).toEqual(isHeld ? ['hold', 'release'] : []);
        expect(world.openai.calls).toHaveLength(calls);
        const { trpc } = world.trpc(user.id);
        expect(await trpc.session.get.query({ sessionId })).toMatchObject({
          messages: [],
          session: { status: 'idle' },
        });
        // Its key stands for nothing: the same request is answered when the service is back.
        expect((await user.send(sessionId, { idempotencyKey: 'unanswered' })).status).toBe(200);
        await started.journal.check({ userIds: [user.id] });
      });

      it('to a record: it is told again, and charges once', async () => {
        const user = await started.user();
        const sessionId = await user.openSession();
        failFor(user.id, 'record', fault);
        world.openai.script('Hi', { chunks: words, times: 1 });
        expect((await user.send(sessionId)).status).toBe(200);
        const told = () => user.operations().filter((operation) => operation === 'record');
        await vi.waitFor(() => expect(told()).not.toEqual([]), patience);
        // The user does not feel it.
        expect((await user.send(sessionId)).status).toBe(200);
        await vi.waitFor(() => expect(told().length).toBeGreaterThan(1), patience);
        world.accounting.clearFaults();
        await started.journal.check({ userIds: [user.id] });
        const charges = world.accounting.effects.filter(
          (effect) => effect.userId === user.id && effect.kind === 'charge',
        );
        expect(charges).toHaveLength(2);
      });
    },
  );

  it('tells it to both copies of a request, and asks for one', async () => {
    const user = await started.user();
    const sessionId = await user.openSession();
    const gate = started.gates.hold('reserving');
    failFor(user.id, 'check', fakeFaults.hang);
    const first = user.send(sessionId, { idempotencyKey: 'twins' });
    await gate.reached;
    const tried = started.gates.count('claiming');
    const all = [first];
    await letThrough(world, {
      userId: user.id,
      count: 1,
      async begin() {
        all.push(user.send(sessionId, { idempotencyKey: 'twins' }));
        await vi.waitFor(() => expect(started.gates.count('claiming')).toBe(tried + 1), patience);
      },
      last: async () => (await started.user()).openSession(),
    });
    gate.release();
    for (const answer of await Promise.all(all)) {
      expect(answer).toMatchObject({ status: 503, refusal: { code: 'ACCOUNTING_UNAVAILABLE' } });
    }
    world.accounting.clearFaults();
    await started.journal.check({ userIds: [user.id] });
    expect(new Set(user.requests().map(({ usageId }) => usageId)).size).toBe(2);
    expect(user.operations().filter((operation) => operation === 'release')).toHaveLength(1);
  });

  if (isWhole(kind)) {
    it('tells it over REST with a time to come back, also of a session, which is not made', async () => {
      const user = await started.user();
      const { token } = user;
      const sessionId = await user.openSession();
      failFor(user.id, 'check', fakeFaults.unauthorized);
      for (const target of ['POST /api/chat/sessions', `POST /api/chat/sessions/${sessionId}/messages`]) {
        const body = target.endsWith('messages') ? { message: 'Hi' } : {};
        const rest = await callRest<Problem>(world, target, { token, body });
        expect(rest).toMatchObject({ status: 503, body: { code: 'ACCOUNTING_UNAVAILABLE' } });
        expect(Number(rest.headers.get('retry-after'))).toBe(rest.body.retryAfter);
        expect(rest.text).not.toContain('unauthorized');
      }
      world.accounting.clearFaults();
      const list = await callRest<{ sessions: unknown[] }>(world, 'GET /api/chat/sessions', { token });
      expect(list.body.sessions).toHaveLength(1);
      await started.journal.check({ userIds: [user.id] });
    });
  }

  if (isWhole(kind)) {
    it('parks what is refused ten times, tells it, and delivers everything else', async () => {
      const user = await started.user();
      const sessionId = await user.openSession();
      world.openai.script('Hi', { chunks: words, times: 1 });
      failFor(user.id, 'record', fakeFaults.refused);
      const { result } = await user.send(sessionId);
      const { id } = (result as { message: { id: string } }).message;
      await started.journal.atRest();
      expect(user.operations().filter((operation) => operation === 'record')).toHaveLength(10);
      const { outbox } = await started.journal.rows();
      expect(outbox).toMatchObject([{ usageId: id, state: 'parked', refusals: 10, lastStatus: 422 }]);
      world.accounting.clearFaults();

      const other = await started.user();
      const [one, two] = [await other.openSession(), await user.openSession()];
      expect((await other.send(one)).status).toBe(200);
      expect((await user.send(two)).status).toBe(200);
      await started.journal.atRest();
      expect(world.accounting.totals(other.id)).toMatchObject({ held: 0, spent: expect.any(Number) });
      expect(world.accounting.chargesOf(id)).toEqual([]);
      expect(user.operations().at(-1)).toBe('record');
      const reconciled = await runCommand(['reconcile', '--json'], world.env);
      expect(reconciled.code).toBe(1);
      expect(JSON.parse(reconciled.stdout)).toMatchObject({ ok: false, outbox: { pending: 0, parked: 1 } });
      expect(world.logs.filter((line) => line.includes(id) && line.includes('parked'))).toHaveLength(1);

      expect(reconciled.stdout).toContain(id);
      expect(await runCommand(['reconcile', '--retry-parked'], world.env)).toMatchObject({ code: 0 });
      await started.journal.check({ userIds: [user.id, other.id] });
    });
  }

  it('is felt by nobody whose answer was admitted, however long it is away', async () => {
    const user = await started.user();
    const sessionId = await user.openSession();
    const { streamId, call } = await user.streamUntil(sessionId, 2);
    await world.accounting.goDown();
    await user.call('message.stop', { sessionId });
    await call.ended;
    await vi.waitFor(async () => {
      const { outbox } = await started.journal.rows();
      expect(outbox.find(({ usageId }) => usageId === streamId)?.attempts).toBeGreaterThan(0);
    }, patience);
    expect((await user.send(sessionId)).refusal).toMatchObject({ code: 'ACCOUNTING_UNAVAILABLE' });
    await world.accounting.comeUp();
    started.clock.shift(6);
    await started.journal.check({ userIds: [user.id] });
    expect(world.accounting.totals(user.id)).toMatchObject({ held: 0, spent: costOf(promptTokens, 2) });
  });
});

describeEachDatabase('an Accounting Service that is not asked for a while', (kind) => {
  it('is told nothing of the messages that were refused unasked, and of all others', async () => {
    await using started = await startAccountingWorld(kind);
    const { world, journal, clock } = started;
    const { accounting } = world;
    const user = await started.user();
    // What pays for less than is asked for: a second check asks for that.
    const poor = await started.user(costOf(heldPromptTokens, 10));
    const poorSession = await poor.openSession();
    const sessions = await Promise.all(Array.from({ length: 20 }, () => user.openSession()));
    const [first = ''] = sessions;
    accounting.fault('release', fakeFaults.serverError);
    accounting.fault(({ userId, operation }) => userId === poor.id && operation === 'check', fakeFaults.lateAnswer, 1);
    const slow = poor.send(poorSession);
    await vi.waitFor(() => expect(poor.requests()).toHaveLength(2), patience);
    accounting.fault(({ userId, operation }) => userId === user.id && operation === 'check', fakeFaults.serverError);
    for (let check = 0; check < 5; check += 1) expect((await user.send(first)).status).toBe(503);
    // However slowly the rest goes, the circuit is open all the while.
    clock.shift(-60);
    accounting.answerHung();
    expect(await slow).toMatchObject({ status: 503, refusal: { code: 'ACCOUNTING_UNAVAILABLE' } });
    const isOfSends = ({ operation }: FakeRequest) => operation !== 'release';
    const before = accounting.requests.filter(isOfSends).length;
    const answers = await Promise.all(sessions.map((sessionId) => user.send(sessionId)));
    for (const answer of answers) {
      expect(answer).toMatchObject({ status: 503, refusal: { code: 'ACCOUNTING_UNAVAILABLE' } });
    }
    expect(accounting.requests.filter(isOfSends)).toHaveLength(before);

    // Six were asked for, one of them with an answer that was followed by no second check.
    const { generations, outbox, usage } = await journal.rows();
    const asked = new Set(accounting.requests.filter(isOfSends).map(({ usageId }) => usageId));
    const refused = generations.filter(({ status }) => status === 'refused').map(({ id }) => id);
    expect(refused).toHaveLength(26);
    expect(outbox.map(({ usageId }) => usageId).toSorted()).toEqual(refused.filter((id) => asked.has(id)).toSorted());
    expect(outbox).toHaveLength(6);
    expect(usage).toEqual([]);

    accounting.clearFaults();
    clock.shift(120);
    await journal.check();
    const unasked = refused.filter((id) => !asked.has(id));
    expect(accounting.requests.filter(({ usageId }) => unasked.includes(usageId ?? ''))).toEqual([]);
    world.openai.script('Hi', { chunks: words, times: 1 });
    expect((await user.send(first)).status).toBe(200);
    await journal.check();
  });
});

describeEachDatabase('ACCOUNTING_FAIL_OPEN', (kind) => {
  it('answers without asking, and what was used is charged when the service is back', async () => {
    await using started = await startAccountingWorld(kind, { env: { ACCOUNTING_FAIL_OPEN: 'true' } });
    const { world, journal, clock } = started;
    const user = await started.user();
    await world.accounting.goDown();
    const sessionId = await user.openSession();
    world.openai.script('Hi', { chunks: words, times: 1 });
    expect((await user.send(sessionId)).status).toBe(200);
    const { call } = await user.streamUntil(sessionId, 1);
    await user.call('message.stop', { sessionId });
    await call.ended;
    // Nothing produced, nothing charged.
    world.openai.script('Hi', { status: 400, times: 1 });
    expect((await user.send(sessionId)).status).toBe(502);
    expect(world.accounting.requests).toEqual([]);

    await world.accounting.comeUp();
    clock.shift(6);
    const { usage } = await journal.check({ mayBeUnheld: true });
    expect(user.operations().toSorted()).toEqual(['record', 'record', 'release']);
    // Nothing was held, so the prompt and the answer are charged as they are, without a bound.
    expect(usage.map(({ held }) => held)).toEqual([null, null, null]);
    const charges = world.accounting.effects.map(({ kind: what, credits }) => [what, credits]);
    expect(charges).toHaveLength(2);
    expect(charges).toContainEqual(['charge', costOf(1, words.length)]);
  });

  if (isWhole(kind)) {
    it('charges and ends a hold that exists although nobody said so', async () => {
      await using started = await startAccountingWorld(kind, { env: { ACCOUNTING_FAIL_OPEN: 'true' } });
      const { world, journal } = started;
      const user = await started.user();
      const sessionId = await user.openSession();
      world.accounting.fault('check', fakeFaults.lostAnswer);
      world.openai.script('Hi', { chunks: words, times: 1 });
      expect((await user.send(sessionId)).status).toBe(200);
      world.accounting.clearFaults();
      await journal.check();
      expect(world.accounting.totals(user.id)).toMatchObject({ held: 0, spent: costOf(1, words.length) });
    });
  }

  if (isWhole(kind)) {
    it('takes an answer that says no for what it is', async () => {
      await using started = await startAccountingWorld(kind, { env: { ACCOUNTING_FAIL_OPEN: 'true' } });
      const user = await started.user(0);
      const sessionId = await user.openSession();
      expect((await user.send(sessionId)).status).toBe(402);
      await started.journal.check();
    });
  }
});
