import { beforeEach, describe, expect, it } from 'vitest';
import type { QuotaLimits } from '../../../src/clients/accounting/embedded/plans.ts';
import { describeEachDatabase } from '../../support/databases.ts';
import { clearLedger, createLedgerWorld, credit, databaseAt, once, plansOf, readLedger } from './ledger-world.ts';

const dayEnd = new Date('2026-11-23T00:00:00.000Z');
const monthEnd = new Date('2026-12-01T00:00:00.000Z');

describeEachDatabase('quotas of the embedded ledger', (fixture) => {
  let now = '';
  beforeEach(async () => {
    now = '2026-11-22T12:00:00.000Z';
    await clearLedger(fixture.database);
  });

  const setUp = (
    quotas: { day?: QuotaLimits; month?: QuotaLimits },
    grant: { free: ReturnType<typeof once> | null } = { free: null },
  ) =>
    createLedgerWorld(
      databaseAt(fixture.database, () => now),
      plansOf({ free: { grant: grant.free, ...quotas } }),
    );
  const counted = async () =>
    Object.fromEntries(
      (await readLedger(fixture.database)).quotas.map(({ period, sessions, messages, tokens, computeMilliseconds }) => [
        period,
        [sessions, messages, tokens, computeMilliseconds],
      ]),
    );

  it('count messages up to the limit, and again when the day is over', async () => {
    const world = setUp({ day: { messages: 2 } });
    for (const _ of [1, 2]) expect((await world.check('ada')).decision.kind).toBe('granted');
    expect((await world.check('ada')).decision).toEqual({ kind: 'quota', quota: 'messages', resetsAt: dayEnd });
    expect((await world.check('bob')).decision.kind).toBe('granted');
    now = '2026-11-22T23:59:59.999Z';
    expect((await world.check('ada')).decision.kind).toBe('quota');
    now = '2026-11-23T00:00:00.000Z';
    expect((await world.check('ada')).decision.kind).toBe('granted');
  });

  it('count messages of the month', async () => {
    const world = setUp({ month: { messages: 1 }, day: { messages: 5 } });
    await world.check('ada');
    now = '2026-11-30T23:59:59.999Z';
    expect((await world.check('ada')).decision).toEqual({ kind: 'quota', quota: 'messages', resetsAt: monthEnd });
    now = '2026-12-01T00:00:00.000Z';
    expect((await world.check('ada')).decision.kind).toBe('granted');
  });

  it('count nothing for what is refused, and give a message back that is released', async () => {
    const world = setUp({ day: { messages: 1 } }, { free: once(1) });
    expect((await world.check('ada', { credits: 2 * credit })).decision.kind).toBe('insufficient');
    expect(await counted()).toEqual({});
    const checked = await world.check('ada');
    expect((await world.check('ada')).decision.kind).toBe('quota');
    await world.release(checked);
    expect(await counted()).toEqual({ '2026-11': [0, 0, 0, 0], '2026-11-22': [0, 0, 0, 0] });
    expect((await world.check('ada')).decision.kind).toBe('granted');
  });

  it('count tokens at their worst case, tell what is left, and are corrected at the end', async () => {
    const world = setUp({ day: { tokens: 1_000 }, month: { tokens: 1_300 } });
    const first = await world.check('ada', { tokens: 600 });
    expect((await world.check('ada', { tokens: 401 })).decision).toEqual({
      kind: 'quota',
      quota: 'tokens',
      resetsAt: dayEnd,
      remainingTokens: 400,
    });
    await world.settle(first, { inputTokens: 50, outputTokens: 51 });
    expect(await counted()).toEqual({ '2026-11': [0, 1, 101, 0], '2026-11-22': [0, 1, 101, 0] });
    expect((await world.check('ada', { tokens: 899 })).decision.kind).toBe('granted');
    now = '2026-11-23T12:00:00.000Z';
    expect((await world.check('ada', { tokens: 301 })).decision).toEqual({
      kind: 'quota',
      quota: 'tokens',
      resetsAt: monthEnd,
      remainingTokens: 300,
    });
    expect((await world.check('ada', { tokens: 300 })).decision.kind).toBe('granted');
    expect((await world.check('ada', { tokens: 1 })).decision).toMatchObject({ remainingTokens: 0 });
  });

  it('let compute go over its limit once it has begun, not twice', async () => {
    const world = setUp({ month: { compute: 10 } });
    for (const computeMilliseconds of [9_999, 60_000]) {
      await world.settle(await world.check('ada'), { computeMilliseconds });
    }
    expect((await world.check('ada')).decision).toEqual({ kind: 'quota', quota: 'compute', resetsAt: monthEnd });
  });

  it('count compute to the second', async () => {
    const world = setUp({ day: { compute: 10 } });
    await world.settle(await world.check('ada'), { computeMilliseconds: 9_999 });
    await world.settle(await world.check('ada'), { computeMilliseconds: 1 });
    expect((await world.check('ada')).decision.kind).toBe('quota');
  });

  it('count no compute of a clock that was set back', async () => {
    const world = setUp({});
    await world.settle(await world.check('ada'), { computeMilliseconds: -5_000 });
    expect(await counted()).toMatchObject({ '2026-11': [0, 1, 30, 0] });
  });

  it('count sessions where they are made', async () => {
    const world = setUp({ day: { sessions: 2 }, month: { sessions: 3 } });
    const ask = () => world.accounting.checkSession({ userId: 'ada', plan: 'free', sessionId: 's', userToken: null });
    for (const _ of [1, 2, 3]) expect(await ask()).toEqual({ kind: 'granted' });
    for (const _ of [1, 2]) expect(await world.openSession('ada')).toEqual({ kind: 'granted' });
    const refusal = { kind: 'quota', quota: 'sessions', resetsAt: dayEnd };
    expect(await world.openSession('ada')).toEqual(refusal);
    expect(await ask()).toEqual(refusal);
    expect((await world.check('ada')).decision.kind).toBe('granted');
    now = '2026-11-23T00:00:00.000Z';
    expect(await world.openSession('ada')).toEqual({ kind: 'granted' });
    expect(await world.openSession('ada')).toEqual({ ...refusal, resetsAt: monthEnd });
    expect(await counted()).toMatchObject({ '2026-11': [3, 1, 100, 0], '2026-11-23': [1, 0, 0, 0] });
  });

  it('of sessions hold for many at once', async () => {
    const world = setUp({ day: { sessions: 3 } });
    const decisions = await Promise.all(Array.from({ length: 20 }, () => world.openSession('ada')));
    expect(decisions.filter(({ kind }) => kind === 'granted')).toHaveLength(3);
  });

  it('of messages hold for many at once', async () => {
    const world = setUp({ month: { messages: 3 } });
    const checks = await Promise.all(Array.from({ length: 20 }, () => world.check('ada')));
    expect(checks.filter(({ decision }) => decision.kind === 'granted')).toHaveLength(3);
    expect(await counted()).toMatchObject({ '2026-11': [0, 3, 300, 0] });
  });

  it('that are used up are told before missing credit, the first of them in their order', async () => {
    const limits = { messages: 1, tokens: 150, compute: 1 };
    const world = setUp({ day: limits, month: limits }, { free: once(1) });
    await world.settle(await world.check('ada'), { computeMilliseconds: 2_000, outputTokens: 200, credits: credit });
    const told = [];
    for (const names of [['messages', 'tokens', 'compute'], ['tokens', 'compute'], ['compute'], []] as const) {
      const day = Object.fromEntries(names.map((name) => [name, limits[name]]));
      const { decision } = await setUp({ day, month: limits }, { free: once(1) }).check('ada');
      told.push(
        decision.kind === 'quota' ? `${decision.quota} until ${decision.resetsAt.toISOString()}` : decision.kind,
      );
    }
    // Of one quota the month is told where both are used up: a repeat on the next day would be refused again.
    expect(told).toEqual(Array(4).fill('messages until 2026-12-01T00:00:00.000Z'));
    const { decision } = await setUp({ day: { tokens: 150 } }, { free: once(1) }).check('ada');
    expect(decision).toMatchObject({ kind: 'quota', quota: 'tokens', remainingTokens: 0 });
    expect((await setUp({}, { free: once(1) }).check('ada')).decision.kind).toBe('insufficient');
  });

  it('of nothing allow nothing', async () => {
    const none = { sessions: 0, messages: 0 };
    expect((await setUp({ day: none }).check('ada')).decision).toMatchObject({ quota: 'messages' });
    expect(await setUp({ month: none }).openSession('ada')).toMatchObject({ quota: 'sessions', resetsAt: monthEnd });
    expect((await setUp({ day: { compute: 0 } }).check('ada')).decision).toMatchObject({ quota: 'compute' });
  });

  describe('over midnight', () => {
    beforeEach(() => {
      now = '2026-11-30T23:59:59.000Z';
    });

    it.each([
      ['settle', [0, 1, 30, 700]],
      ['release', [0, 0, 0, 0]],
    ] as const)('a %s corrects the periods of its hold', async (end, before) => {
      const world = setUp({});
      const checked = await world.check('ada', { tokens: 500 });
      expect(checked.hold.periods).toEqual({ day: '2026-11-30', month: '2026-11' });
      now = '2026-12-01T00:00:01.000Z';
      await world.check('ada', { tokens: 40 });
      await (end === 'settle' ? world.settle(checked, { computeMilliseconds: 700 }) : world.release(checked));
      expect(await counted()).toEqual({
        '2026-11': before,
        '2026-11-30': before,
        '2026-12': [0, 1, 40, 0],
        '2026-12-01': [0, 1, 40, 0],
      });
    });

    it('a repeated check keeps the periods of its hold', async () => {
      const world = setUp({});
      const { usageId, hold } = await world.check('ada');
      now = '2026-12-01T00:00:01.000Z';
      expect((await world.check('ada', { usageId })).hold).toEqual(hold);
      expect(Object.keys(await counted())).toEqual(['2026-11', '2026-11-30']);
    });

    it('a correction brings no counters back that were removed', async () => {
      const { database } = fixture;
      const world = setUp({});
      const checked = await world.check('ada');
      await database.query.delete(database.tables.quotaUsage);
      await world.release(checked);
      expect(await counted()).toEqual({});
    });
  });

  it('are told with the balance', async () => {
    const world = setUp({ day: { messages: 5, compute: 60 }, month: { sessions: 7, tokens: 900 } }, { free: once(10) });
    await world.openSession('ada');
    await world.settle(await world.check('ada', { tokens: 500 }), { computeMilliseconds: 1_001, credits: credit });
    await world.check('ada', { tokens: 500 });
    expect(await world.balance('ada')).toEqual({
      credits: 8 * credit,
      held: credit,
      plan: 'free',
      quotas: [
        { name: 'sessions', period: 'month', used: 1, limit: 7, resetsAt: monthEnd },
        { name: 'messages', period: 'day', used: 2, limit: 5, resetsAt: dayEnd },
        { name: 'tokens', period: 'month', used: 530, limit: 900, resetsAt: monthEnd },
        { name: 'compute', period: 'day', used: 2, limit: 60, resetsAt: dayEnd },
      ],
    });
    now = '2026-12-31T23:00:00.000Z';
    expect((await world.balance('ada'))?.quotas).toMatchObject([
      { used: 0, resetsAt: new Date('2027-01-01T00:00:00.000Z') },
      { used: 0, resetsAt: new Date('2027-01-01T00:00:00.000Z') },
      { used: 0 },
      { used: 0 },
    ]);
  });

  it('are those of the plan that the token says at the time', async () => {
    const plans = plansOf({ free: { grant: null, day: { messages: 1 } }, pro: { grant: null, day: { messages: 2 } } });
    const world = createLedgerWorld(
      databaseAt(fixture.database, () => now),
      plans,
    );
    await world.check('ada');
    expect((await world.check('ada')).decision.kind).toBe('quota');
    expect((await world.check('ada', { plan: 'pro' })).decision.kind).toBe('granted');
    expect((await world.check('ada', { plan: 'unheard of' })).decision.kind).toBe('quota');
  });
});
