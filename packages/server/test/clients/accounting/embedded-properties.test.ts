import fc from 'fast-check';
import { expect, it } from 'vitest';
import { newUuid } from '../../../src/platform/ids.ts';
import { compareAccounts } from '../../../src/features/credits/compare-accounts.ts';
import { createGrantCredits } from '../../../src/features/credits/grant-credits.ts';
import { createReconciliationStore } from '../../../src/features/credits/reconciliation-store.ts';
import type { Database } from '../../../src/db/database.ts';
import { describeEachDatabase } from '../../support/databases.ts';
import { seed } from '../../../../shared/test/support/seed.ts';
import { LedgerModel } from './ledger-model.ts';
import {
  clearLedger,
  createLedgerWorld,
  databaseAt,
  monthly,
  once,
  plansOf,
  readLedger,
  type Checked,
} from './ledger-world.ts';

const runs = { ci: 100, full: 1_000 }[process.env['SOAK'] ?? ''] ?? 5;
const timeout = 120_000 + runs * 1_000;

const plans = plansOf({
  free: { grant: monthly(3), day: { messages: 6, tokens: 900 }, month: { compute: 8 } },
  pro: { grant: once(9), month: { messages: 12 } },
  staff: { grant: null, day: { tokens: 2_000 } },
});

const user = fc.constantFrom('ada', 'bob', 'eve');
/** Which of the holds there are: a fraction of their number. */
const which = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
const milliseconds = fc.constantFrom(0, 400, 2_500);
const step = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant('check' as const),
      user,
      plan: fc.constantFrom('free', 'pro', 'staff', 'gold'),
      credits: fc.oneof(fc.integer({ min: 0, max: 3_000_000 }), fc.constant(3_000_000)),
      tokens: fc.integer({ min: 0, max: 400 }),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('settle' as const),
      which,
      part: fc.constantFrom(0, 0.3, 1),
      absorbed: fc.constantFrom(0, 7),
      tokens: fc.integer({ min: 0, max: 500 }),
      milliseconds,
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('release' as const), which, milliseconds }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('repeat' as const), which }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('top-up' as const),
      user,
      credits: fc.integer({ min: 1, max: 5_000_000 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('wait' as const), hours: fc.constantFrom(5, 24, 24 * 31) }) },
);
type Step = typeof step extends fc.Arbitrary<infer Value> ? Value : never;
const steps = fc.array(step, { minLength: 5, maxLength: 40 });

function setUp(database: Database) {
  let now = Date.parse('2026-11-22T20:00:00.000Z');
  const model = new LedgerModel(plans);
  const world = createLedgerWorld(
    databaseAt(database, () => new Date(now).toISOString()),
    plans,
  );
  const grantCredits = createGrantCredits({ database, newId: newUuid });
  const holds: (Checked & { plan: string })[] = [];
  const held = (fraction: number) => holds[Math.floor(fraction * holds.length)];

  /** Does one step, in the model too where the order of the steps is known. */
  async function play(one: Step, compare: boolean): Promise<void> {
    switch (one.kind) {
      case 'check': {
        const { user: userId, ...request } = one;
        const checked = await world.check(userId, request);
        if (compare) expect(checked.decision).toEqual(model.check(checked.usageId, userId, request, new Date(now)));
        if (checked.decision.kind === 'granted') holds.push({ ...checked, plan: one.plan });
        return;
      }
      case 'settle': {
        const hold = held(one.which);
        if (hold === undefined) return;
        const credits = Math.floor((hold.hold.held ?? 1_000) * one.part);
        const what = { credits, absorbed: one.absorbed, computeMilliseconds: one.milliseconds };
        await world.settle(hold, { ...what, inputTokens: one.tokens, outputTokens: 0 });
        if (compare) model.settle(hold.usageId, { ...what, tokens: one.tokens });
        return;
      }
      case 'release': {
        const hold = held(one.which);
        if (hold === undefined) return;
        await world.release(hold);
        if (compare) model.release(hold.usageId);
        return;
      }
      case 'repeat': {
        const hold = held(one.which);
        if (hold === undefined) return;
        const again = await world.check(hold.userId, { usageId: hold.usageId, plan: hold.plan }).catch(() => null);
        if (compare) expect(again === null).toBe(!model.isHeld(hold.usageId));
        if (again !== null) expect(again.decision).toEqual(hold.decision);
        return;
      }
      case 'top-up':
        await grantCredits(one.user, one.credits);
        if (compare) model.topUp(one.user, one.credits);
        return;
      case 'wait':
        now += one.hours * 3_600_000;
    }
  }
  return { model, play };
}

describeEachDatabase('the embedded ledger, whatever happens', (fixture) => {
  it('is what its model says after every step', { timeout }, async () => {
    await fc.assert(
      fc.asyncProperty(steps, async (all) => {
        await clearLedger(fixture.database);
        const { model, play } = setUp(fixture.database);
        for (const one of all) {
          await play(one, true);
          const { accounts, entries, quotas } = await readLedger(fixture.database);
          expect(accounts).toMatchObject(model.accounts());
          expect(quotas).toEqual(model.quotas());
          for (const { userId, granted, held, spent } of accounts) {
            const own = entries.filter((entry) => entry.userId === userId);
            const total = own.reduce((sum, { amount }) => sum + amount, 0);
            expect(total).toBe(granted - spent);
            expect(granted - spent - held).toBeGreaterThanOrEqual(0);
          }
        }
      }),
      { seed, numRuns: runs },
    );
  });

  it('adds up at every commit while everybody acts at once, at two instances', { timeout }, async () => {
    const { kind, database } = fixture;
    const second = kind === 'postgres' ? await fixture.open() : database;
    try {
      await fc.assert(
        fc.asyncProperty(steps, steps, async (some, others) => {
          await clearLedger(database);
          const instances = [setUp(database), setUp(second)];
          const problems: string[] = [];
          const look = () => compareAccounts(createReconciliationStore(database), (problem) => problems.push(problem));
          const work = [some, others].flatMap((all, index) =>
            // Four at a time of each instance, so that holds of earlier ones are there to be ended.
            [0, 1, 2, 3].map(async (lane) => {
              for (const [place, one] of all.entries())
                if (place % 4 === lane) await instances[index]?.play(one, false);
            }),
          );
          let over = false;
          const watching = (async () => {
            while (!over) await look();
          })();
          await Promise.all(work).finally(() => {
            over = true;
          });
          await watching;
          const totals = await look();
          expect(problems).toEqual([]);
          expect(totals.granted).toBe(totals.available + totals.held + totals.spent);
          const { usage, quotas } = await readLedger(database);
          for (const { userId, period, messages, tokens } of quotas) {
            const counted = usage.filter((row) => row.userId === userId && [row.day, row.month].includes(period));
            expect(messages).toBe(counted.filter(({ state }) => state !== 'released').length);
            expect(tokens).toBe(counted.reduce((sum, { quotaTokens }) => sum + quotaTokens, 0));
          }
        }),
        { seed, numRuns: runs },
      );
    } finally {
      if (second !== database) await second[Symbol.asyncDispose]();
    }
  });
});
