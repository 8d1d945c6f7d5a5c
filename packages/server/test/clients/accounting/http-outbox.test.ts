import { beforeEach, describe, expect, it } from 'vitest';
import { fakeFaults, type FakeFault } from '../../../../../apps/e2e/src/fake-accounting.ts';
import { newUuid } from '../../../src/platform/ids.ts';
import { describeEachDatabase } from '../../support/databases.ts';
import { eventually } from '../../support/eventually.ts';
import { chargeOf, checkOf, createHttpWorld, errorOf, never, refusing, releaseOf, userToken } from './http-world.ts';
import { clearLedger, createLedgerWorld, databaseAt, readLedger } from './ledger-world.ts';
import { openOutbox } from './outbox-rows.ts';

describeEachDatabase('outbox of the Accounting Service', (fixture) => {
  const look = () => openOutbox(fixture.database);
  const start = () => createHttpWorld(fixture.database);
  /** Where the database's clock does not go on, so that what is left of a pause does not depend on when one looks. */
  async function startWithStoppedClock() {
    const database = databaseAt(fixture.database, () => '2026-11-22T10:00:00.000Z');
    return { ...(await createHttpWorld(database)), rows: openOutbox(database) };
  }
  beforeEach(() => look().clear());

  describe('what is decided', () => {
    it('is charged in the row of its usage, and once in the outbox', async () => {
      const { accounting } = await start();
      const usageId = newUuid();
      await look().hold(usageId);
      const hold = { held: 1_500_000, holdId: 'hold-1', periods: null };
      await look().settle(accounting, chargeOf(usageId, { hold, absorbed: 7 }));
      expect(await look().record(usageId)).toMatchObject({
        state: 'charged',
        charged: 250_001,
        absorbed: 7,
        inputTokens: 10,
        outputTokens: 20,
        outcome: 'complete',
        settledAt: expect.any(Date) as unknown,
      });
      const body = {
        kind: 'record',
        usageId,
        holdId: 'hold-1',
        userId: 'alice',
        sessionId: 'session',
        messageId: usageId,
        modelId: 'model',
        inputTokens: 10,
        outputTokens: 20,
        credits: 0.250001,
        outcome: 'complete',
        occurredAt: '2026-11-22T10:00:00.000Z',
      };
      expect(await look().rows()).toMatchObject([
        { usageId, body, state: 'pending', attempts: 0, refusals: 0, leasedBy: null, lastStatus: null },
      ]);

      await look().settle(accounting, chargeOf(usageId, { credits: 1 }));
      await look().release(accounting, releaseOf(usageId));
      expect(await look().record(usageId)).toMatchObject({ state: 'charged', charged: 250_001 });
      expect(await look().rows()).toMatchObject([{ body }]);
    });

    it('is given back once, with and without a row of its usage', async () => {
      const { accounting } = await start();
      const held = newUuid();
      await look().hold(held);
      const refused = newUuid();
      for (const usageId of [held, refused, held, refused]) await look().release(accounting, releaseOf(usageId));
      await look().settle(accounting, chargeOf(held));
      expect(await look().record(held)).toMatchObject({ state: 'released', charged: 0, outcome: null });
      expect(await look().record(refused)).toBeUndefined();
      const rows = await look().rows();
      expect(rows.map(({ body }) => body)).toEqual(
        expect.arrayContaining([
          { kind: 'release', usageId: held, userId: 'alice' },
          { kind: 'release', usageId: refused, userId: 'alice' },
        ]),
      );
      expect(rows).toHaveLength(2);
    });

    it('is not told again once it has been delivered', async () => {
      const { accounting, fake } = await start();
      const usageId = newUuid();
      await look().hold(usageId);
      await look().settle(accounting, chargeOf(usageId));
      await accounting.deliverDue(never());
      await look().settle(accounting, chargeOf(usageId));
      await look().release(accounting, releaseOf(usageId));
      expect(await look().rows()).toEqual([]);
      expect(fake.effectsOf(usageId)).toHaveLength(1);
    });

    it('stays with the ledger that holds it, from before there was an Accounting Service', async () => {
      const { accounting } = await start();
      await clearLedger(fixture.database);
      const ledger = createLedgerWorld(fixture.database);
      const [charged, released] = [await ledger.check('alice'), await ledger.check('alice')];
      await look().settle(accounting, chargeOf(charged.usageId, { hold: charged.hold }));
      await look().release(accounting, { ...releaseOf(released.usageId), hold: released.hold });
      expect(await look().rows()).toEqual([]);
      const { accounts, usage } = await readLedger(fixture.database);
      expect(accounts).toMatchObject([{ userId: 'alice', held: 0, spent: 250_001 }]);
      expect(usage.map(({ state }) => state).toSorted()).toEqual(['charged', 'released']);
      await clearLedger(fixture.database);
    });

    it('goes with the transaction that it is decided in', async () => {
      const { accounting } = await start();
      const usageId = newUuid();
      await look().hold(usageId);
      const failed = fixture.database.transaction(async (tx) => {
        await accounting.settle(tx, chargeOf(usageId));
        throw new Error('rolled back');
      });
      expect(await errorOf(failed)).toMatchObject({ message: 'rolled back' });
      expect(await look().record(usageId)).toMatchObject({ state: 'held', charged: null });
      expect(await look().rows()).toEqual([]);
    });
  });

  describe('a delivery', () => {
    it('charges what was held, under its key and without the token of the user', async () => {
      const { accounting, fake } = await start();
      const check = checkOf();
      const decision = await accounting.check(check);
      if (decision.kind !== 'granted') throw new Error('not granted');
      await look().settle(accounting, chargeOf(check.usageId, { hold: decision.hold }));
      expect(JSON.stringify(await look().rows())).not.toContain(userToken);
      await accounting.deliverDue(never());
      expect(await look().rows()).toEqual([]);
      expect(fake.requests.at(-1)).toMatchObject({
        path: '/api/usage/record',
        headers: { idempotencyKey: check.usageId, userToken: undefined },
        answer: { status: 201 },
      });
      expect(fake.effectsOf(check.usageId)).toMatchObject([
        { kind: 'hold', credits: 1_500_000 },
        { kind: 'charge', credits: 250_001 },
      ]);
      expect(fake.totals('alice')).toMatchObject({ held: 0, spent: 250_001 });
    });

    it('gives back what was held, and what was not', async () => {
      const { accounting, fake } = await start();
      const check = checkOf();
      await accounting.check(check);
      await look().release(accounting, releaseOf(check.usageId));
      const unknown = await look().release(accounting);
      await accounting.deliverDue(never());
      expect(await look().rows()).toEqual([]);
      expect(fake.effectsOf(check.usageId)).toMatchObject([{ kind: 'hold' }, { kind: 'release' }]);
      expect(fake.requestsOf(unknown)).toMatchObject([{ path: '/api/credits/release', answer: { status: 404 } }]);
    });

    it.each<[string, FakeFault]>([
      ['recorded by 200', { done: true, answer: { status: 200, body: { recorded: true, at: 'x' } } }],
      ['recorded by 201', { done: true, answer: { status: 201, body: { recorded: true } } }],
      ['recorded before', fakeFaults.already],
      ['recorded before, in HTML', { done: true, answer: { status: 409, body: '<p>Conflict</p>' } }],
    ])('is over when it is %s', async (_, fault) => {
      const { accounting, fake } = await start();
      const usageId = await look().settle(accounting);
      fake.fault('record', fault);
      await accounting.deliverDue(never());
      expect(await look().rows()).toEqual([]);
      expect(fake.chargesOf(usageId)).toHaveLength(1);
    });

    it.each<[string, FakeFault, number | null]>([
      ['an answer that is lost', fakeFaults.lostAnswer, null],
      ['a connection that breaks', fakeFaults.reset, null],
      ['500', fakeFaults.serverError, 500],
      ['401', fakeFaults.unauthorized, 401],
      ['403', refusing(403), 403],
      ['408', refusing(408), 408],
      ['425', refusing(425), 425],
      ['429', refusing(429), 429],
      ['a redirect', { done: false, answer: { status: 301, headers: { location: '/' } } }, 301],
      ['HTML', fakeFaults.html, 200],
      ['another JSON', fakeFaults.wrongJson, 200],
      ['what is not recorded', { done: false, answer: { status: 200, body: { recorded: false } } }, 200],
      ['another status of success', { done: false, answer: { status: 202, body: { recorded: true } } }, 202],
    ])('is made again after %s, under the same key', async (_, fault, lastStatus) => {
      const { accounting, fake } = await start();
      const usageId = await look().settle(accounting);
      fake.fault('record', fault, 1);
      await accounting.deliverDue(never());
      expect(await look().rows()).toMatchObject([
        { state: 'pending', attempts: 1, refusals: 0, leasedBy: null, lastStatus },
      ]);
      await look().makeDue();
      await accounting.deliverDue(never());
      expect(await look().rows()).toEqual([]);
      expect(fake.chargesOf(usageId)).toHaveLength(1);
      expect(fake.requests.map(({ headers }) => headers.idempotencyKey)).toEqual([usageId, usageId]);
    });

    it('is made again as long as it takes', async () => {
      const { accounting, fake, clock } = await start();
      const usageId = await look().settle(accounting);
      const faults = [fakeFaults.serverError, fakeFaults.unauthorized, refusing(429), fakeFaults.html];
      let calls = 0;
      fake.fault('record', () => faults[calls++ % faults.length] ?? null, 24);
      for (let attempt = 1; attempt <= 24; attempt += 1) {
        await accounting.deliverDue(never());
        expect(await look().rows()).toMatchObject([{ state: 'pending', attempts: attempt, refusals: 0 }]);
        await look().makeDue();
        // Whatever the circuit makes of it.
        clock.advance(5_000);
      }
      await accounting.deliverDue(never());
      expect(await look().rows()).toEqual([]);
      expect(fake.chargesOf(usageId)).toHaveLength(1);
    });

    it('of a release takes 200, 204 and 404, and nothing else', async () => {
      const { accounting, fake } = await start();
      const faults = [refusing(409), fakeFaults.serverError, fakeFaults.reset, fakeFaults.html];
      for (const fault of faults) {
        const usageId = await look().release(accounting);
        const takeBack = fake.fault('release', fault);
        await accounting.deliverDue(never());
        expect(await look().row(usageId)).toMatchObject({ state: 'pending' });
        takeBack();
      }
      await look().makeDue();
      fake.fault('release', { done: false, answer: { status: 200 } }, 1);
      fake.fault('release', { done: false, answer: { status: 204 } }, 1);
      await accounting.deliverDue(never());
      expect(await look().rows()).toEqual([]);
      const statuses = fake.requests.slice(-4).map(({ answer }) => answer?.status);
      expect(new Set(statuses)).toEqual(new Set([200, 204, 404]));
    });

    it('is given up after 2 s', async () => {
      const { accounting, fake, clock } = await start();
      const usageId = await look().settle(accounting);
      fake.fault('record', fakeFaults.hang);
      const delivered = accounting.deliverDue(never());
      await eventually(() => expect(fake.requests).toHaveLength(1));
      expect(await look().row(usageId)).toMatchObject({ attempts: 1, leasedBy: expect.any(String) as unknown });
      clock.advance(2_000);
      await delivered;
      expect(await look().row(usageId)).toMatchObject({ state: 'pending', leasedBy: null, lastStatus: null });
    });

    it('waits twice as long each time, up to five minutes, and as long as it is asked to, up to an hour', async () => {
      const { another, fake, clock, rows } = await startWithStoppedClock();
      const accounting = another({ random: () => 1 });
      const usageId = await rows.settle(accounting);
      fake.fault('record', fakeFaults.serverError);
      const pauses: number[] = [];
      for (let attempt = 0; attempt < 11; attempt += 1) {
        await accounting.deliverDue(never());
        pauses.push((await rows.pauseOf(usageId)) / 1_000);
        await rows.makeDue();
        clock.advance(5_000);
      }
      expect(pauses).toEqual([1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
      for (const [retryAfter, seconds] of [
        ['900', 900],
        ['90000', 3600],
      ] as const) {
        fake.fault('record', { done: false, answer: { status: 503, headers: { 'retry-after': retryAfter } } }, 1);
        await accounting.deliverDue(never());
        expect((await rows.pauseOf(usageId)) / 1_000).toBe(seconds);
        await rows.makeDue();
        clock.advance(5_000);
      }
    });

    it('jitters by half', async () => {
      const { another, fake, rows } = await startWithStoppedClock();
      const accounting = another({ random: () => 0 });
      const usageId = await rows.settle(accounting);
      fake.fault('record', fakeFaults.serverError);
      await accounting.deliverDue(never());
      expect(await rows.pauseOf(usageId)).toBe(500);
    });

    it('that is refused ten times is parked, counted and told, without what the service said', async () => {
      const { accounting, fake, log } = await start();
      const usageId = await look().settle(accounting);
      const other = await look().settle(accounting);
      fake.fault((request) => request.usageId === usageId, refusing(422));
      // No answer is no refusal.
      fake.fault((request) => request.usageId === usageId, fakeFaults.serverError, 3);
      for (let attempt = 1; attempt <= 12; attempt += 1) {
        await accounting.deliverDue(never());
        expect(await look().row(usageId)).toMatchObject({ state: 'pending', refusals: Math.max(0, attempt - 3) });
        await look().makeDue();
      }
      await accounting.deliverDue(never());
      expect(await look().rows()).toMatchObject([
        { usageId, state: 'parked', attempts: 13, refusals: 10, lastStatus: 422, leasedBy: null },
      ]);
      await look().makeDue();
      await accounting.deliverDue(never());
      expect(fake.requestsOf(usageId)).toHaveLength(13);
      expect(fake.chargesOf(other)).toHaveLength(1);
      expect(await accounting.outboxStats()).toEqual({ pending: 0, parked: 1, oldestAgeMs: 0 });
      const errors = log.lines.filter((line) => line.includes('it is parked'));
      expect(errors.map((line) => JSON.parse(line) as unknown)).toMatchObject([{ level: 50, usageId, status: 422 }]);
      expect(log.lines.join('')).not.toContain('upstream-secret');
      expect(accounting.reachability()).toBe('ok');
    });

    it('goes on however many rows there are, eight at a time', async () => {
      const { accounting, fake } = await start();
      const ids = await look().settleMany(accounting, 70);
      fake.fault('record', fakeFaults.lateAnswer, 8);
      const delivered = accounting.deliverDue(never());
      await eventually(() => expect(fake.requests).toHaveLength(8));
      fake.answerHung();
      await delivered;
      expect(await look().rows()).toEqual([]);
      expect(fake.requests).toHaveLength(70);
      expect(new Set(fake.effects.map(({ usageId }) => usageId))).toEqual(new Set(ids));
    });

    it('of one row waits for no other', async () => {
      const { accounting, fake } = await start();
      const [stuck = '', ...others] = await look().settleMany(accounting, 3);
      fake.fault((request) => request.usageId === stuck, fakeFaults.hang);
      const delivered = accounting.deliverDue(never());
      await eventually(async () => expect(await look().rows()).toHaveLength(1));
      for (const other of others) expect(fake.chargesOf(other)).toHaveLength(1);
      await eventually(() => expect(fake.requestsOf(stuck)).toHaveLength(1));
      fake.answerHung();
      await delivered;
    });
  });
});
