import { eq } from 'drizzle-orm';
import { beforeEach, expect, it } from 'vitest';
import { newUuid } from '../../../src/platform/ids.ts';
import { describeEachDatabase } from '../../support/databases.ts';
import {
  clearLedger,
  createLedgerWorld,
  credit,
  databaseAt,
  monthly,
  once,
  plansOf,
  readLedger,
} from './ledger-world.ts';

describeEachDatabase('the embedded ledger', (fixture) => {
  beforeEach(() => clearLedger(fixture.database));

  const ten = plansOf({ free: { grant: once(10) } });
  const accountOf = async (userId: string) => {
    const { accounts } = await readLedger(fixture.database);
    const row = accounts.find((account) => account.userId === userId);
    return row === undefined ? null : [row.granted, row.held, row.spent, row.absorbed].map((micro) => micro / credit);
  };
  const usageOf = async (usageId: string) =>
    (await readLedger(fixture.database)).usage.find((row) => row.usageId === usageId);
  const entryKeys = async () => (await readLedger(fixture.database)).entries.map(({ key }) => key);

  it('holds, charges what was used, and gives the rest back', async () => {
    const world = createLedgerWorld(fixture.database, ten);
    const checked = await world.check('ada', { credits: 4 * credit, tokens: 300 });
    expect(checked.decision).toEqual({
      kind: 'granted',
      hold: {
        held: 4 * credit,
        holdId: null,
        periods: { day: expect.stringMatching(/^\d{4}-\d\d-\d\d$/u), month: expect.stringMatching(/^\d{4}-\d\d$/u) },
      },
    });
    expect(await accountOf('ada')).toEqual([10, 4, 0, 0]);
    expect(await world.balance('ada')).toEqual({ credits: 6 * credit, held: 4 * credit, plan: 'free', quotas: [] });
    expect(await usageOf(checked.usageId)).toMatchObject({
      state: 'held',
      held: 4 * credit,
      charged: null,
      plan: 'free',
      quotaTokens: 300,
      settledAt: null,
    });

    const occurredAt = new Date('2026-11-22T01:02:03.004Z');
    await world.settle(checked, { credits: 1.5 * credit, absorbed: 0.25 * credit, occurredAt });
    expect(await accountOf('ada')).toEqual([10, 0, 1.5, 0.25]);
    expect(await usageOf(checked.usageId)).toMatchObject({
      state: 'charged',
      held: 4 * credit,
      charged: 1.5 * credit,
      absorbed: 0.25 * credit,
      inputTokens: 10,
      outputTokens: 20,
      quotaTokens: 30,
      outcome: 'complete',
      settledAt: occurredAt,
    });
    expect((await readLedger(fixture.database)).entries).toMatchObject([
      { key: `charge:${checked.usageId}`, kind: 'charge', amount: -1.5 * credit },
      { key: 'plan:free', kind: 'grant', amount: 10 * credit },
    ]);
  });

  it('holds down to the last millionth and not one more, and tells what is left', async () => {
    const world = createLedgerWorld(fixture.database, ten);
    expect((await world.check('ada', { credits: 10 * credit + 1 })).decision).toEqual({
      kind: 'insufficient',
      remaining: 10 * credit,
    });
    expect(await accountOf('ada')).toEqual([10, 0, 0, 0]);
    expect((await readLedger(fixture.database)).usage).toEqual([]);
    expect((await world.check('ada', { credits: 10 * credit })).decision.kind).toBe('granted');
    expect((await world.check('ada', { credits: 1 })).decision).toEqual({ kind: 'insufficient', remaining: 0 });
    expect((await world.check('ada', { credits: 0 })).decision.kind).toBe('granted');
  });

  it('gives one usage id one hold, however often and with whatever estimate it is asked', async () => {
    const world = createLedgerWorld(fixture.database, ten);
    const usageId = newUuid();
    const first = await world.check('ada', { usageId, credits: 2 * credit });
    const again = await Promise.all(
      [2, 9, 0].map((credits) => world.check('ada', { usageId, credits: credits * credit })),
    );
    for (const { decision } of again) expect(decision).toEqual(first.decision);
    expect(await accountOf('ada')).toEqual([10, 2, 0, 0]);
    expect((await readLedger(fixture.database)).quotas.map(({ messages }) => messages)).toEqual([1, 1]);
    await expect(world.check('bob', { usageId })).rejects.toThrow('one user');
  });

  it('asks a second time with less under the same id', async () => {
    const world = createLedgerWorld(fixture.database, ten);
    const usageId = newUuid();
    expect((await world.check('ada', { usageId, credits: 11 * credit })).decision.kind).toBe('insufficient');
    expect((await world.check('ada', { usageId, credits: 9 * credit })).decision.kind).toBe('granted');
    expect(await accountOf('ada')).toEqual([10, 9, 0, 0]);
  });

  it('gives back once what is released', async () => {
    const world = createLedgerWorld(fixture.database, ten);
    const checked = await world.check('ada', { credits: 4 * credit });
    for (const _ of [1, 2]) {
      await world.release(checked);
      expect(await accountOf('ada')).toEqual([10, 0, 0, 0]);
    }
    expect(await usageOf(checked.usageId)).toMatchObject({
      state: 'released',
      charged: 0,
      quotaTokens: 0,
      settledAt: expect.any(Date),
    });
    await world.settle(checked, { credits: 4 * credit });
    expect(await accountOf('ada')).toEqual([10, 0, 0, 0]);
    expect(await entryKeys()).toEqual(['plan:free']);
  });

  it('charges once', async () => {
    const world = createLedgerWorld(fixture.database, ten);
    const checked = await world.check('ada', { credits: 4 * credit });
    await world.settle(checked, { credits: 3 * credit });
    await world.settle(checked, { credits: 1 * credit, outputTokens: 5_000, computeMilliseconds: 5 });
    await world.release(checked);
    expect(await accountOf('ada')).toEqual([10, 0, 3, 0]);
    expect(await usageOf(checked.usageId)).toMatchObject({ state: 'charged', charged: 3 * credit, outputTokens: 20 });
    const { quotas } = await readLedger(fixture.database);
    const counted = { messages: 1, tokens: 30, computeMilliseconds: 0 };
    expect(quotas).toMatchObject([counted, counted]);
  });

  it('writes no entry for a charge of nothing', async () => {
    const world = createLedgerWorld(fixture.database, ten);
    const checked = await world.check('ada', { credits: 4 * credit });
    await world.settle(checked, { credits: 0 });
    expect(await accountOf('ada')).toEqual([10, 0, 0, 0]);
    expect(await usageOf(checked.usageId)).toMatchObject({ state: 'charged', charged: 0 });
    expect(await entryKeys()).toEqual(['plan:free']);
  });

  it.each([[4 * credit + 1], [-1], [0.5]])('refuses to charge %d for a hold of 4 credits', async (credits) => {
    const world = createLedgerWorld(fixture.database, ten);
    const checked = await world.check('ada', { credits: 4 * credit });
    await expect(world.settle(checked, { credits })).rejects.toThrow(/charge/u);
    expect(await accountOf('ada')).toEqual([10, 4, 0, 0]);
    expect(await usageOf(checked.usageId)).toMatchObject({ state: 'held' });
  });

  it('tells that it is asked before it holds anything', async () => {
    const world = createLedgerWorld(fixture.database, ten);
    const usageId = newUuid();
    const onAsk = () => {
      throw new Error('not yet');
    };
    await expect(world.check('ada', { usageId, onAsk })).rejects.toThrow('not yet');
    expect(await usageOf(usageId)).toBeUndefined();
  });

  it.each([[-1], [0.5], [Number.MAX_SAFE_INTEGER + 1]])('refuses to hold %d', async (credits) => {
    const world = createLedgerWorld(fixture.database, ten);
    await expect(world.check('ada', { credits })).rejects.toThrow('no amount to hold');
    expect(await accountOf('ada')).toBeNull();
  });

  it('rolls back with the transaction that it is part of', async () => {
    const { database } = fixture;
    const world = createLedgerWorld(database, ten);
    const { usageId, userId, hold } = await world.check('ada', { credits: 4 * credit });
    const release = database.transaction(async (tx) => {
      const what = { usageId, userId, hold, quotaTokens: 0 };
      await world.accounting.release(tx, what);
      throw new Error('no');
    });
    await expect(release).rejects.toThrow('no');
    expect(await accountOf('ada')).toEqual([10, 4, 0, 0]);
    expect(await usageOf(usageId)).toMatchObject({ state: 'held' });
  });

  it('holds nothing for a claim that was given back before its check came', async () => {
    const world = createLedgerWorld(fixture.database, ten);
    const usageId = newUuid();
    await world.release({ usageId, userId: 'ada' });
    await world.release({ usageId, userId: 'ada' });
    await expect(world.check('ada', { usageId })).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    expect(await accountOf('ada')).toEqual([0, 0, 0, 0]);
    expect((await readLedger(fixture.database)).quotas).toEqual([]);
  });

  it.each(['release', 'settle'] as const)('holds nothing anew after a %s', async (end) => {
    const world = createLedgerWorld(fixture.database, ten);
    const checked = await world.check('ada', { credits: 4 * credit });
    await world[end](checked);
    await expect(world.check('ada', { usageId: checked.usageId })).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    expect(await accountOf('ada')).toEqual([10, 0, 0, 0]);
  });

  it('counts no credits on a plan without a grant, and records what was used', async () => {
    const world = createLedgerWorld(fixture.database, plansOf({ free: { grant: once(0) }, staff: { grant: null } }));
    const checked = await world.check('ada', { plan: 'staff', credits: 4 * credit });
    expect(checked.decision).toMatchObject({ kind: 'granted', hold: { held: null } });
    await world.settle(checked, { credits: 7 * credit });
    const released = await world.check('ada', { plan: 'staff' });
    await world.release(released);
    expect(await accountOf('ada')).toEqual([0, 0, 0, 0]);
    expect(await entryKeys()).toEqual([]);
    expect(await usageOf(checked.usageId)).toMatchObject({ state: 'charged', held: null, charged: 7 * credit });
    expect(await usageOf(released.usageId)).toMatchObject({ state: 'released', held: null, charged: 0 });
    expect(await world.balance('ada', 'staff')).toEqual({ credits: null, held: 0, plan: 'staff', quotas: [] });
  });

  it('records a charge that nothing was held for, and moves no account', async () => {
    const world = createLedgerWorld(fixture.database, ten);
    const hold = { held: null, holdId: null, periods: null };
    const usage = { usageId: newUuid(), userId: 'ada', hold, tokens: 0, decision: { kind: 'granted', hold } } as const;
    for (const _ of [1, 2]) await world.settle(usage, { credits: 2 * credit });
    expect(await accountOf('ada')).toEqual([0, 0, 0, 0]);
    expect(await usageOf(usage.usageId)).toMatchObject({ state: 'charged', held: null, charged: 2 * credit });
  });

  it('moves no account for what an Accounting Service held', async () => {
    const { database } = fixture;
    const { usageRecords } = database.tables;
    const world = createLedgerWorld(database, ten);
    await world.balance('ada');
    const ids = [newUuid(), newUuid()];
    for (const usageId of ids) {
      const what = { usageId, userId: 'ada', sessionId: 'session', modelId: 'model', plan: 'free' };
      await database.query
        .insert(usageRecords)
        .values({ ...what, state: 'held', held: 3 * credit, holdId: 'theirs', createdAt: new Date() });
    }
    const [charged = '', released = ''] = ids;
    const hold = { held: 3 * credit, holdId: 'theirs', periods: null };
    await world.settle(
      { usageId: charged, userId: 'ada', hold, tokens: 0, decision: { kind: 'granted', hold } },
      { credits: credit },
    );
    await world.release({ usageId: released, userId: 'ada' });
    expect(await accountOf('ada')).toEqual([10, 0, 0, 0]);
    expect(await usageOf(charged)).toMatchObject({ state: 'charged', charged: credit });
    expect(await usageOf(released)).toMatchObject({ state: 'released' });
  });

  it('gives a plan’s grant once, whatever plans come between', async () => {
    const plans = plansOf({ free: { grant: once(10) }, pro: { grant: once(5) }, staff: { grant: null } });
    const world = createLedgerWorld(fixture.database, plans);
    for (const plan of ['free', 'pro', 'free', 'staff', 'nonsense', 'pro', 'constructor']) {
      await world.balance('ada', plan);
      await world.check('ada', { plan, credits: 0 });
    }
    expect(await accountOf('ada')).toEqual([15, 0, 0, 0]);
    expect(await entryKeys()).toEqual(['plan:free', 'plan:pro']);
    expect(await world.balance('ada', 'nonsense')).toMatchObject({ plan: 'free', credits: 15 * credit });
  });

  it('gives a monthly grant once a month of the database’s clock, in UTC', async () => {
    let now = '2026-11-01T00:00:00.000Z';
    const plans = plansOf({ free: { grant: monthly(10) }, pro: { grant: monthly(1) } });
    const world = createLedgerWorld(
      databaseAt(fixture.database, () => now),
      plans,
    );
    await Promise.all([1, 2, 3].map(() => world.check('ada', { credits: 0 })));
    now = '2026-11-30T23:59:59.999Z';
    await world.balance('ada');
    await world.check('ada', { plan: 'pro', credits: 0 });
    expect(await accountOf('ada')).toEqual([11, 0, 0, 0]);
    now = '2026-12-01T00:00:00.000Z';
    await world.balance('ada');
    await world.check('ada', { credits: 0 });
    now = '2027-01-31T12:00:00.000Z';
    await world.check('ada', { credits: 0 });
    expect(await accountOf('ada')).toEqual([31, 0, 0, 0]);
    expect(await entryKeys()).toEqual([
      'plan:free:2026-11',
      'plan:free:2026-12',
      'plan:free:2027-01',
      'plan:pro:2026-11',
    ]);
  });

  it('gives no grant twice to a user whose account was removed', async () => {
    const { database } = fixture;
    const { creditAccounts } = database.tables;
    const world = createLedgerWorld(database, ten);
    await world.balance('ada');
    await database.query.delete(creditAccounts).where(eq(creditAccounts.userId, 'ada'));
    expect(await world.balance('ada')).toMatchObject({ credits: 0 });
  });

  it('has the clock of the database by itself', async () => {
    const { periods } = (await createLedgerWorld(fixture.database).check('ada')).hold;
    const today = new Date();
    // The test may run while the day changes.
    const days = [0, -60_000].map((shift) => new Date(today.getTime() + shift).toISOString().slice(0, 10));
    expect(days).toContain(periods?.day);
    expect(periods?.month).toBe(periods?.day.slice(0, 7));
  });
});
