import { beforeEach, expect, it } from 'vitest';
import { newUuid } from '../../../src/platform/ids.ts';
import type { Database } from '../../../src/db/database.ts';
import { describeEachDatabase } from '../../support/databases.ts';
import { clearLedger, createLedgerWorld, credit, once, plansOf, readLedger } from './ledger-world.ts';

describeEachDatabase('the embedded ledger, asked by many at once', (fixture) => {
  beforeEach(() => clearLedger(fixture.database));

  const ten = plansOf({ free: { grant: once(10) } });

  /** Two instances of the service: on Postgres each with its own connections. */
  async function withInstances(work: (worlds: ReturnType<typeof createLedgerWorld>[]) => Promise<void>): Promise<void> {
    const { kind, database } = fixture;
    await using other: AsyncDisposable & Partial<Database> =
      kind === 'postgres' ? await fixture.open() : { [Symbol.asyncDispose]: () => Promise.resolve() };
    const second = 'query' in other ? (other as Database) : database;
    await work([database, second].map((one) => createLedgerWorld(one, ten)));
  }
  const accountOfAda = async () => {
    const [row] = (await readLedger(fixture.database)).accounts;
    return row === undefined ? null : [row.granted, row.held, row.spent].map((micro) => micro / credit);
  };

  it('grants one of a hundred where credit is there for one', async () => {
    await withInstances(async (worlds) => {
      const checks = await Promise.all(
        Array.from({ length: 100 }, (_, index) => worlds[index % 2]?.check('ada', { credits: 6 * credit })),
      );
      const kinds = checks.map((checked) => checked?.decision.kind);
      expect(kinds.filter((kind) => kind === 'granted')).toHaveLength(1);
      expect(kinds.filter((kind) => kind === 'insufficient')).toHaveLength(99);
      for (const checked of checks) {
        if (checked?.decision.kind === 'insufficient')
          expect([4, 10]).toContain((checked.decision.remaining ?? 0) / credit);
      }
    });
    expect(await accountOfAda()).toEqual([10, 6, 0]);
    expect((await readLedger(fixture.database)).usage).toHaveLength(1);
  });

  it('makes one account and gives one grant to a hundred first checks', async () => {
    await withInstances(async (worlds) => {
      const checks = Array.from({ length: 100 }, (_, index) =>
        worlds[index % 2]?.check('ada', { credits: credit / 10 }),
      );
      for (const checked of await Promise.all(checks)) expect(checked?.decision.kind).toBe('granted');
      expect((await worlds[0]?.check('ada', { credits: 1 }))?.decision.kind).toBe('insufficient');
    });
    expect(await accountOfAda()).toEqual([10, 10, 0]);
    expect((await readLedger(fixture.database)).entries).toHaveLength(1);
  });

  it('holds once for copies of one check', async () => {
    await withInstances(async (worlds) => {
      const usageId = newUuid();
      const copies = Array.from({ length: 20 }, (_, index) => worlds[index % 2]?.check('ada', { usageId }));
      const decisions = (await Promise.all(copies)).map((checked) => checked?.decision);
      for (const decision of decisions) expect(decision).toEqual(decisions[0]);
      expect(decisions[0]?.kind).toBe('granted');
    });
    expect(await accountOfAda()).toEqual([10, 1, 0]);
  });

  it('ends a hold once, whether it is settled or released first', async () => {
    const ends: string[] = [];
    await withInstances(async ([one, other]) => {
      for (let round = 0; round < 10; round += 1) {
        const checked = await one?.check('ada', { credits: credit });
        if (one === undefined || other === undefined || checked === undefined) throw new Error('two instances');
        const race = [
          () => one.settle(checked, { credits: credit / 2, computeMilliseconds: 10 }),
          () => other.release(checked, { computeMilliseconds: 10 }),
          () => other.settle(checked, { credits: credit / 2, computeMilliseconds: 10 }),
          () => one.release(checked, { computeMilliseconds: 10 }),
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
    const counted = { messages: charged, tokens: charged * 30, computeMilliseconds: 100 };
    expect(quotas).toMatchObject([counted, counted]);
  });

  it('holds nothing for a check that races with its release and loses, and gives back what it held where it wins', async () => {
    await withInstances(async ([one, other]) => {
      if (one === undefined || other === undefined) throw new Error('two instances');
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
    expect(usage).toMatchObject(Array(20).fill({ state: 'released' }));
    for (const row of quotas) expect(row).toMatchObject({ messages: 0, tokens: 0 });
  });

  it('is not held up by a claim that locks its usage record before its account', async () => {
    const { database } = fixture;
    const { usageRecords } = database.tables;
    await withInstances(async ([one, other]) => {
      const checked = await one?.check('ada');
      if (one === undefined || other === undefined || checked === undefined) throw new Error('two instances');
      const { usageId, userId, hold } = checked;
      const refuse = async (world: typeof one) =>
        database.transaction(async (tx) => {
          await database.dialect.forUpdate(tx.select().from(usageRecords));
          await world.accounting.release(tx, { usageId, userId, hold, quotaTokens: 0, computeMilliseconds: 0 });
        });
      await Promise.all([
        refuse(one),
        ...Array.from({ length: 10 }, () => other.settle(checked, { credits: credit })),
        ...Array.from({ length: 10 }, () => other.check('ada', { credits: 0 })),
        refuse(one),
      ]);
    });
    expect((await readLedger(fixture.database)).accounts).toMatchObject([{ held: 0 }]);
  });
});
