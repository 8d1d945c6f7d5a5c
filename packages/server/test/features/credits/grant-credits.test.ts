import { beforeEach, expect, it } from 'vitest';
import { createGrantCredits } from '../../../src/features/credits/grant-credits.ts';
import { newUuid } from '../../../src/platform/ids.ts';
import {
  clearLedger,
  createLedgerWorld,
  credit,
  once,
  plansOf,
  readLedger,
} from '../../clients/accounting/ledger-world.ts';
import { describeEachDatabase } from '../../support/databases.ts';
import { userRow } from '../../support/rows.ts';

describeEachDatabase('granting credits', (fixture) => {
  beforeEach(async () => {
    await fixture.clear();
    await clearLedger(fixture.database);
  });
  const setUp = () => createGrantCredits({ database: fixture.database, newId: newUuid });
  const plans = plansOf({ free: { grant: once(10) } });

  it('adds to what a user has', async () => {
    const world = createLedgerWorld(fixture.database, plans);
    await fixture.database.query.insert(fixture.database.tables.users).values(userRow('ada'));
    await world.check('ada', { credits: 10 * credit });
    expect(await setUp()('ada', 2.5 * credit)).toEqual({ available: 2.5 * credit, isKnown: true });
    expect(await world.balance('ada')).toMatchObject({ credits: 2.5 * credit, held: 10 * credit });
    const { entries } = await readLedger(fixture.database);
    expect(entries).toMatchObject([
      { key: 'plan:free', kind: 'grant' },
      { key: expect.stringMatching(/^top-up:[\da-f-]{36}$/u), kind: 'top-up', amount: 2.5 * credit },
    ]);
  });

  it('makes the account of who has not been here, whose plan gives its grant later', async () => {
    expect(await setUp()('eve', credit)).toEqual({ available: credit, isKnown: false });
    expect((await readLedger(fixture.database)).entries).toHaveLength(1);
    expect(await createLedgerWorld(fixture.database, plans).balance('eve')).toMatchObject({ credits: 11 * credit });
  });

  it('is done by many at once', async () => {
    const world = createLedgerWorld(fixture.database, plans);
    const grants = Array.from({ length: 20 }, () => setUp()('ada', credit));
    await Promise.all([...grants, ...Array.from({ length: 10 }, () => world.check('ada', { credits: 0 }))]);
    expect(await world.balance('ada')).toMatchObject({ credits: 30 * credit });
  });

  it('goes up to what can be counted and no further', async () => {
    const grantCredits = setUp();
    const most = 5_000_000_000 * credit;
    expect(await grantCredits('ada', most - 5)).toMatchObject({ available: most - 5 });
    expect(await grantCredits('ada', 6)).toBeNull();
    expect(await grantCredits('ada', 5)).toMatchObject({ available: most });
    expect((await readLedger(fixture.database)).entries).toHaveLength(2);
  });

  it.each([0, -1, 0.5, Number.MAX_SAFE_INTEGER + 1])('refuses %d', async (amount) => {
    await expect(setUp()('ada', amount)).rejects.toThrow(RangeError);
  });
});
