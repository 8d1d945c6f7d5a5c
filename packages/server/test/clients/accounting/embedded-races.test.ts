import { beforeEach, expect, it } from 'vitest';
import type { Database } from '../../../src/db/database.ts';
import { newUuid } from '../../../src/platform/ids.ts';
import { describeEachDatabase } from '../../support/databases.ts';
import {
  clearLedger,
  createLedgerWorld,
  credit,
  databaseAt,
  once,
  plansOf,
  readLedger,
  type LedgerWorld,
} from './ledger-world.ts';

describeEachDatabase('the embedded ledger, asked by many at once', (fixture) => {
  beforeEach(() => clearLedger(fixture.database));

  const ten = plansOf({ free: { grant: once(10) } });

  /** Two instances of the service: on Postgres each with its own connections. */
  async function withInstances(work: (one: LedgerWorld, other: LedgerWorld) => Promise<void>): Promise<void> {
    const { kind, database } = fixture;
    const second = kind === 'postgres' ? await fixture.open() : null;
    // All of it on one day.
    const worldOf = (of: Database) =>
      createLedgerWorld(
        databaseAt(of, () => '2026-11-22T12:00:00.000Z'),
        ten,
      );
    try {
      await work(worldOf(database), worldOf(second ?? database));
    } finally {
      await second?.[Symbol.asyncDispose]();
    }
  }
  /** So many checks of one user at once, by turns at either instance. */
  const checkOfAda = (instances: LedgerWorld[], count: number, changes: Parameters<LedgerWorld['check']>[1]) =>
    Promise.all(
      Array.from({ length: count / instances.length }, () => instances.map((one) => one.check('ada', changes))).flat(),
    );
  const accountOfAda = async () => {
    const [row] = (await readLedger(fixture.database)).accounts;
    return row === undefined ? null : [row.granted, row.held, row.spent].map((micro) => micro / credit);
  };

  it('grants one of a hundred where credit is there for one', async () => {
    await withInstances(async (...instances) => {
      const checks = await checkOfAda(instances, 100, { credits: 6 * credit });
      const refused = checks.filter(({ decision }) => decision.kind !== 'granted').map(({ decision }) => decision);
      expect(refused).toEqual(Array.from({ length: 99 }, () => ({ kind: 'insufficient', remaining: 4 * credit })));
    });
    expect(await accountOfAda()).toEqual([10, 6, 0]);
    expect((await readLedger(fixture.database)).usage).toHaveLength(1);
  });

  it('makes one account and gives one grant to a hundred first checks', async () => {
    await withInstances(async (...instances) => {
      const checks = await checkOfAda(instances, 100, { credits: credit / 10 });
      for (const { decision } of checks) expect(decision.kind).toBe('granted');
      expect((await instances[0].check('ada', { credits: 1 })).decision.kind).toBe('insufficient');
    });
    expect(await accountOfAda()).toEqual([10, 10, 0]);
    expect((await readLedger(fixture.database)).entries).toHaveLength(1);
  });

  it('holds once for copies of one check', async () => {
    await withInstances(async (...instances) => {
      const [first, ...copies] = await checkOfAda(instances, 20, { usageId: newUuid() });
      expect(first?.decision.kind).toBe('granted');
      for (const { decision } of copies) expect(decision).toEqual(first?.decision);
    });
    expect(await accountOfAda()).toEqual([10, 1, 0]);
  });

  it('ends a hold once, whether it is settled or released first', async () => {
    const ends: string[] = [];
    await withInstances(async (one, other) => {
      for (let round = 0; round < 10; round += 1) {
        const checked = await one.check('ada', { credits: credit });
        const race = [
          () => one.settle(checked, { credits: credit / 2, computeMilliseconds: 10 }),
          () => other.release(checked),
          () => other.settle(checked, { credits: credit / 2, computeMilliseconds: 10 }),
          () => one.release(checked),
        ];
        if (round % 2 === 1) race.reverse();
        await Promise.all(race.map((end) => end()));
        ends.push((await readLedger(fixture.database)).usage.at(-1)?.state ?? '');
      }
    });
    const charged = ends.filter((state) => state === 'charged').length;
    expect(ends.filter((state) => state === 'released').length + charged).toBe(10);
    expect(await accountOfAda()).toEqual([10, 0, charged / 2]);
    const { entries, quotas } = await readLedger(fixture.database);
    expect(entries).toHaveLength(1 + charged);
    const counted = { messages: charged, tokens: charged * 30, computeMilliseconds: charged * 10 };
    expect(quotas).toMatchObject([counted, counted]);
  });

  it('holds nothing for a check that races with its release and loses, and gives back what it held where it wins', async () => {
    await withInstances(async (one, other) => {
      for (let round = 0; round < 20; round += 1) {
        const usage = { usageId: newUuid(), userId: 'ada' };
        const check = () => one.check('ada', { usageId: usage.usageId });
        const release = () => other.release(usage);
        const [checked] =
          round % 2 === 0
            ? await Promise.allSettled([check(), release()])
            : (await Promise.allSettled([release(), check()])).toReversed();
        if (checked?.status === 'rejected') expect(checked.reason).toMatchObject({ code: 'UNAVAILABLE' });
      }
    });
    expect(await accountOfAda()).toSatisfy((account: number[] | null) => account?.[1] === 0 && account[2] === 0);
    const { usage, quotas } = await readLedger(fixture.database);
    expect(usage).toMatchObject(Array.from({ length: 20 }, () => ({ state: 'released' })));
    for (const row of quotas) expect(row).toMatchObject({ messages: 0, tokens: 0 });
  });
});
