import { eq } from 'drizzle-orm';
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { fakeFaults } from '../../../../../apps/e2e/src/fake-accounting.ts';
import { createOutboxStore, type DueDelivery } from '../../../src/clients/accounting/http/outbox-store.ts';
import { describeEachDatabase } from '../../support/databases.ts';
import { eventually } from '../../support/eventually.ts';
import { checkOf, createHttpWorld, errorOf, never, refusing } from './http-world.ts';
import { databaseAt } from './ledger-world.ts';
import { openOutbox } from './outbox-rows.ts';

describeEachDatabase('deliveries to the Accounting Service', (fixture) => {
  const look = () => openOutbox(fixture.database);
  const start = () => createHttpWorld(fixture.database);
  beforeEach(() => look().clear());

  describe('a nudge', () => {
    it('delivers without being waited for, also what comes while one is under way', async () => {
      const { accounting, fake } = await start();
      fake.fault('record', fakeFaults.lateAnswer, 1);
      await look().settle(accounting);
      accounting.nudge();
      await eventually(() => expect(fake.requests).toHaveLength(1));
      await look().settle(accounting);
      accounting.nudge();
      fake.answerHung();
      await eventually(async () => expect(await look().rows()).toEqual([]));
      expect(fake.effects).toHaveLength(2);
    });

    it('after the end does nothing', async () => {
      const { accounting, fake } = await start();
      await look().settle(accounting);
      await accounting[Symbol.asyncDispose]();
      accounting.nudge();
      await accounting.deliverDue(never());
      // Longer than a delivery takes.
      for (let check = 0; check < 10; check += 1) await accounting.check(checkOf());
      expect(new Set(fake.requests.map(({ operation }) => operation))).toEqual(new Set(['check']));
      expect(await look().rows()).toMatchObject([{ attempts: 0 }]);
    });
  });

  describe('the circuit of records', () => {
    it('opens after five failures and leaves rows as they are; checks do not feel it', async () => {
      const { accounting, fake, clock } = await start();
      const ids = await look().settleMany(accounting, 20);
      fake.fault('record', fakeFaults.serverError);
      await accounting.deliverDue(never());
      const asked = fake.requests.length;
      // Eight may be under way when the fifth fails.
      expect(asked).toBeLessThan(5 + 8);
      const untouched = (await look().rows()).filter(({ attempts }) => attempts === 0);
      expect(untouched).toHaveLength(20 - asked);
      await look().makeDue();
      await accounting.deliverDue(never());
      expect(fake.requests).toHaveLength(asked);
      expect(accounting.reachability()).toBe('degraded');
      expect(await accounting.check(checkOf())).toMatchObject({ kind: 'granted' });
      expect(accounting.reachability()).toBe('degraded');

      clock.advance(5_000);
      await accounting.deliverDue(never());
      expect(fake.requestsOf(ids[0] ?? '')).not.toEqual([]);
      expect(fake.requests.filter(({ operation }) => operation === 'record')).toHaveLength(asked + 1);

      fake.clearFaults();
      clock.advance(5_000);
      await look().makeDue();
      for (let round = 0; round < 2; round += 1) await accounting.deliverDue(never());
      expect(await look().rows()).toEqual([]);
      expect(accounting.reachability()).toBe('ok');
      for (const usageId of ids) expect(fake.chargesOf(usageId)).toHaveLength(1);
    });

    it('does not feel that of checks', async () => {
      const { accounting, fake } = await start();
      fake.fault('check', fakeFaults.serverError);
      for (let check = 0; check < 6; check += 1) await errorOf(accounting.check(checkOf()));
      expect(accounting.reachability()).toBe('degraded');
      await look().settle(accounting);
      await accounting.deliverDue(never());
      expect(await look().rows()).toEqual([]);
    });
  });

  describe('another instance', () => {
    it('delivers what one left that stopped, at once', async () => {
      const { accounting, another, fake } = await start();
      const usageId = await look().settle(accounting);
      fake.fault('record', fakeFaults.lateAnswer, 1);
      const stopping = new AbortController();
      const delivered = accounting.deliverDue(stopping.signal);
      await eventually(() => expect(fake.requests).toHaveLength(1));
      stopping.abort();
      await delivered;
      expect(await look().rows()).toMatchObject([{ attempts: 1, leasedBy: null, state: 'pending' }]);
      await another().deliverDue(never());
      expect(await look().rows()).toEqual([]);
      expect(fake.requests.map(({ answer }) => answer?.status)).toEqual([undefined, 409]);
      expect(fake.chargesOf(usageId)).toHaveLength(1);
    });

    it.each(['delivering', 'delivered'] as const)(
      'delivers what one left that died %s, once its lease is over',
      async (at) => {
        const { another, fake } = await start();
        const { promise: end, reject: bury } = Promise.withResolvers<never>();
        let hasDied = false;
        const dead = another({
          probe: (point) => {
            hasDied ||= point === at;
            return hasDied ? end : undefined;
          },
        });
        onTestFinished(() => bury(new Error('dead')));
        const usageId = await look().settle(dead);
        dead.deliverDue(never()).catch(() => undefined);
        await eventually(() => expect(hasDied).toBe(true));
        const survivor = another();
        await survivor.deliverDue(never());
        expect(fake.requests).toHaveLength(at === 'delivering' ? 0 : 1);
        expect(await look().pauseOf(usageId)).toBeGreaterThan(20_000);
        await look().makeDue();
        await survivor.deliverDue(never());
        expect(await look().rows()).toEqual([]);
        expect(fake.chargesOf(usageId)).toHaveLength(1);
      },
    );

    it('takes no row from one that has it in hand, and one that lost it changes nothing', async () => {
      const { accounting, another, fake } = await start();
      const usageId = await look().settle(accounting);
      fake.fault('record', fakeFaults.hang, 1);
      const slow = accounting.deliverDue(never());
      await eventually(() => expect(fake.requests).toHaveLength(1));
      const other = another();
      await other.deliverDue(never());
      expect(fake.requests).toHaveLength(1);

      await look().makeDue();
      fake.fault('record', refusing(422), 1);
      await other.deliverDue(never());
      const taken = await look().row(usageId);
      expect(taken).toMatchObject({ attempts: 2, refusals: 1 });
      fake.answerHung();
      await slow;
      expect(fake.chargesOf(usageId)).toHaveLength(1);
      expect(await look().row(usageId)).toEqual(taken);
      await look().makeDue();
      await other.deliverDue(never());
      expect(await look().rows()).toEqual([]);
      expect(fake.chargesOf(usageId)).toHaveLength(1);
    });

    it('delivers at the same time: everything is charged once', async () => {
      const { accounting, another, fake, clock } = await start();
      const ids = await look().settleMany(accounting, 30);
      let calls = 0;
      fake.fault('record', () => ((calls += 1) % 3 === 0 ? fakeFaults.lostAnswer : null));
      await using second = await (fixture.kind === 'postgres' ? fixture.open() : null);
      const instances = [accounting, another(second === null ? {} : { database: second }), another()];
      for (let round = 0; (await look().rows()).length > 0 && round < 30; round += 1) {
        await look().makeDue();
        // Whatever the circuits make of it.
        clock.advance(5_000);
        await Promise.all(instances.map((instance) => instance.deliverDue(never())));
      }
      expect(await look().rows()).toEqual([]);
      for (const usageId of ids) expect(fake.chargesOf(usageId)).toHaveLength(1);
      expect(fake.totals('alice').spent).toBe(30 * 250_001);
    });
  });

  it('have each row in one hand, as it was read, when it is due and not parked', async () => {
    const { accounting } = await start();
    const usageId = await look().settle(accounting);
    const store = createOutboxStore(fixture.database);
    const lease = async (row: DueDelivery | undefined) => (row === undefined ? null : store.lease(row, 'me', 30_000));
    const [read] = await store.listDue(10);
    const leased = await lease(read);
    expect(leased).toMatchObject({ usageId, attempts: 1, refusals: 0 });
    expect(await lease(read)).toBeNull();
    await look().makeDue();
    expect(await lease(read)).toBeNull();
    const [again] = await store.listDue(10);
    const { query, tables, dialect } = fixture.database;
    await query.update(tables.accountingOutbox).set({ nextAttemptAt: dialect.nowPlus(60_000) });
    expect(await lease(again)).toBeNull();
    await look().makeDue();
    if (leased !== null) await store.park(leased, { lastStatus: 422, refusals: 10 });
    expect(await look().row(usageId)).toMatchObject({ state: 'parked' });
    expect(await lease(again)).toBeNull();
    expect(await store.listDue(10)).toEqual([]);
  });

  it('tell how much waits, and for how long', async () => {
    // Its clock does not go on.
    const database = databaseAt(fixture.database, () => '2026-11-22T10:00:00.000Z');
    const { accounting } = await createHttpWorld(database);
    expect(await accounting.outboxStats()).toEqual({ pending: 0, parked: 0, oldestAgeMs: 0 });
    const rows = openOutbox(database);
    const usageId = await rows.settle(accounting);
    await rows.settle(accounting);
    const { query, tables, dialect } = database;
    const { accountingOutbox: outbox } = tables;
    await query
      .update(outbox)
      .set({ createdAt: dialect.nowPlus(-60_000) })
      .where(eq(outbox.usageId, usageId));
    expect(await accounting.outboxStats()).toEqual({ pending: 2, parked: 0, oldestAgeMs: 60_000 });
  });
});
