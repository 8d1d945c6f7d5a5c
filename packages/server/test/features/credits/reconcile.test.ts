import { eq } from 'drizzle-orm';
import { beforeEach, expect, it } from 'vitest';
import type { GenerationStatus, OutboxState } from '../../../src/db/column-types.ts';
import { createGrantCredits } from '../../../src/features/credits/grant-credits.ts';
import { createReconcile } from '../../../src/features/credits/reconcile.ts';
import { createRetryParked } from '../../../src/features/credits/retry-parked.ts';
import { newUuid } from '../../../src/platform/ids.ts';
import {
  clearLedger,
  createLedgerWorld,
  credit,
  once,
  plansOf,
  type Checked,
} from '../../clients/accounting/ledger-world.ts';
import { describeEachDatabase } from '../../support/databases.ts';
import { generationRow, sessionRow, userRow } from '../../support/rows.ts';

describeEachDatabase('reconciling', (fixture) => {
  const plans = plansOf({ free: { grant: once(10) }, staff: { grant: null } });
  let sessions = 0;

  beforeEach(async () => {
    await fixture.clear();
    await clearLedger(fixture.database);
    const { query, tables } = fixture.database;
    await query.insert(tables.users).values(userRow('user'));
    sessions = 0;
  });

  const reconcile = async (kind: 'embedded' | 'http' = 'embedded') => {
    const told: string[] = [];
    const result = await createReconcile({ database: fixture.database, kind })((problem) => told.push(problem));
    expect(result.problems).toBe(told.length);
    return { result, told };
  };
  const generate = async (id: string, status: GenerationStatus, isAdmitted = true) => {
    const { query, tables } = fixture.database;
    sessions += 1;
    const sessionId = `session-${sessions}`;
    await query.insert(tables.sessions).values(sessionRow(sessionId, 'user'));
    const admittedAt = isAdmitted ? new Date() : null;
    await query.insert(tables.generations).values({ ...generationRow(id, sessionId, sessions), status, admittedAt });
  };
  /** A hold with its generation, the usage ended as `end` says. */
  const use = async (status: GenerationStatus, end?: (usage: Checked) => Promise<void>, plan = 'free') => {
    const usage = await createLedgerWorld(fixture.database, plans).check('ada', { plan });
    await generate(usage.usageId, status, status !== 'reserving');
    await end?.(usage);
    return usage;
  };
  const outbox = async (state: OutboxState, ageMilliseconds = 0) => {
    const { query, tables, dialect } = fixture.database;
    const createdAt = dialect.nowPlus(-ageMilliseconds);
    const id = newUuid();
    const body = { kind: 'release', usageId: id, userId: 'ada' } as const;
    await query
      .insert(tables.accountingOutbox)
      .values({ id, usageId: id, body, state, nextAttemptAt: createdAt, createdAt });
  };

  it('finds nothing wrong where there is nothing', async () => {
    expect((await reconcile()).result).toEqual({
      credits: { accounts: 0, granted: 0n, available: 0n, held: 0n, spent: 0n, absorbed: 0n },
      usage: { held: 0, charged: 0, released: 0 },
      generations: 0,
      outbox: { pending: 0, parked: 0, oldestSeconds: null },
      problems: 0,
    });
  });

  it('adds up what users do', async () => {
    const world = createLedgerWorld(fixture.database, plans);
    await use('reserving');
    await use('running');
    await use('complete', (usage) => world.settle(usage, { credits: credit / 4, absorbed: 3 }));
    await use('failed', (usage) => world.release(usage));
    await use('complete', (usage) => world.settle(usage, { credits: 50 * credit }), 'staff');
    await world.release({ usageId: newUuid(), userId: 'eve' });
    await createGrantCredits({ database: fixture.database, newId: newUuid })('bob', 5 * credit);
    const { told, result } = await reconcile();
    expect(told).toEqual([]);
    expect(result).toMatchObject({
      credits: {
        accounts: 3,
        granted: 15_000_000n,
        available: 12_750_000n,
        held: 2_000_000n,
        spent: 250_000n,
        absorbed: 3n,
      },
      usage: { held: 2, charged: 2, released: 2 },
      generations: 4,
    });
  });

  it('reads more rows than fit into one batch', async () => {
    const { transaction, tables } = fixture.database;
    const now = new Date();
    const userIds = Array.from({ length: 1_050 }, (_, index) => `user-${index}`);
    await transaction(async (tx) => {
      await tx.insert(tables.creditAccounts).values(userIds.map((userId) => ({ userId, granted: 5, createdAt: now })));
      const entry = { key: 'plan:free', kind: 'grant', amount: 5, createdAt: now } as const;
      await tx.insert(tables.ledgerEntries).values(userIds.map((userId) => ({ userId, ...entry })));
      const usage = { userId: 'user-1', sessionId: 's', modelId: 'm', plan: 'free', state: 'released' } as const;
      const values = userIds.map((usageId) => ({ usageId, ...usage, createdAt: now }));
      await tx.insert(tables.usageRecords).values(values);
    });
    const { told, result } = await reconcile();
    expect(told).toEqual([]);
    expect(result).toMatchObject({ credits: { accounts: 1_050, granted: 5_250n }, usage: { released: 1_050 } });
  });

  it('finds an account that differs from the ledger and from the usage records', async () => {
    const { query, tables } = fixture.database;
    const { creditAccounts } = tables;
    await use('running');
    await query
      .update(creditAccounts)
      .set({ granted: 11 * credit, held: 2 * credit, spent: 1, absorbed: 4 })
      .where(eq(creditAccounts.userId, 'ada'));
    expect((await reconcile()).told).toEqual([
      'user "ada": granted credits differ: 11 on the account, 10 in the ledger',
      'user "ada": spent credits differ: 0.000001 on the account, 0 in the ledger',
      'user "ada": spent credits differ: 0.000001 on the account, 0 in usage records',
      'user "ada": held credits differ: 2 on the account, 1 in usage records',
      'user "ada": absorbed credits differ: 0.000004 on the account, 0 in usage records',
    ]);
  });

  it('finds a ledger without its account', async () => {
    const { query, tables } = fixture.database;
    await createLedgerWorld(fixture.database, plans).balance('ada');
    await query.delete(tables.creditAccounts);
    expect((await reconcile()).told).toEqual(['user "ada": the ledger has entries, and there is no account']);
  });

  it('finds charges whose entries make up for one another', async () => {
    const { query, tables } = fixture.database;
    const { ledgerEntries } = tables;
    const world = createLedgerWorld(fixture.database, plans);
    const ids = [];
    for (const credits of [credit, credit / 2]) {
      ids.push((await use('complete', (usage) => world.settle(usage, { credits }))).usageId);
    }
    expect((await reconcile()).told).toEqual([]);
    for (const id of ids) {
      await query
        .update(ledgerEntries)
        .set({ amount: -0.75 * credit })
        .where(eq(ledgerEntries.key, `charge:${id}`));
    }
    expect((await reconcile()).told).toEqual([
      `user "ada": the charge for generation ${ids[0]} differs: 1 by its usage record, 0.75 in the ledger`,
      `user "ada": the charge for generation ${ids[1]} differs: 0.5 by its usage record, 0.75 in the ledger`,
    ]);
  });

  it('finds generations that are not settled, settled too early, and unknown', async () => {
    const world = createLedgerWorld(fixture.database, plans);
    const unsettled = await use('complete');
    const early = await use('running', (usage) => world.release(usage));
    const unknown = newUuid();
    await generate(unknown, 'stopped');
    await generate(newUuid(), 'refused', false);
    const { told } = await reconcile();
    expect(told).toEqual([
      `user "ada": usage is held for generation ${unsettled.usageId}, which is not live: credits 1`,
      `generation ${unsettled.usageId} is over (complete), and its usage is still held`,
      `generation ${early.usageId} is live (running), and its usage is released already`,
      `generation ${unknown} (stopped) was admitted, and there is no usage record of it`,
    ]);
  });

  it.each([
    ['free', ': credits 1'],
    ['staff', ''],
  ])('finds a hold on the plan %s that nobody will end', async (plan, words) => {
    const { usageId } = await createLedgerWorld(fixture.database, plans).check('ada', { plan });
    expect((await reconcile()).told).toEqual([
      `user "ada": usage is held for generation ${usageId}, which is not live${words}`,
    ]);
  });

  it('tells what waits for the Accounting Service, and what it refused', async () => {
    await outbox('pending', 90_000);
    await outbox('pending');
    const { told, result } = await reconcile('http');
    expect(told).toEqual([]);
    expect(result).toMatchObject({ credits: null, outbox: { pending: 2, parked: 0 } });
    expect(result.outbox.oldestSeconds).toSatisfy((seconds: number) => seconds >= 90 && seconds < 600);
    await outbox('parked');
    const parked = expect.stringMatching(/^the release of \S+ is parked: the Accounting Service refused it with /u);
    expect((await reconcile('http')).told).toEqual([parked]);
    const stranded = 'deliveries that wait for an Accounting Service, while ACCOUNTING_URL is not set: 2';
    expect((await reconcile()).told).toEqual([parked, stranded]);
    expect(await createRetryParked(fixture.database)()).toBe(1);
    expect((await reconcile('http')).result).toMatchObject({ outbox: { pending: 3, parked: 0 } });
  });

  it('compares usage with generations where an Accounting Service keeps the credits', async () => {
    const { query, tables } = fixture.database;
    const usageId = newUuid();
    await generate(usageId, 'complete');
    const what = { usageId, userId: 'ada', sessionId: 's', modelId: 'm', plan: 'free', held: 5, holdId: 'theirs' };
    await query.insert(tables.usageRecords).values({ ...what, state: 'charged', charged: 3, createdAt: new Date() });
    expect((await reconcile('http')).told).toEqual([]);
    expect((await reconcile('embedded')).told).toEqual([]);
    await query.update(tables.usageRecords).set({ state: 'held' });
    expect((await reconcile('http')).told).toHaveLength(2);
  });
});
