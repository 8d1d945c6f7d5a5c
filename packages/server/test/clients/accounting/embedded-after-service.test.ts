import { beforeEach, expect, it } from 'vitest';
import type { Accounting } from '../../../src/clients/accounting/accounting.ts';
import { createEmbeddedAccounting } from '../../../src/clients/accounting/embedded/embedded-accounting.ts';
import { builtInPlans } from '../../../src/clients/accounting/embedded/plans.ts';
import { warnOfUndelivered } from '../../../src/clients/accounting/http/warn-of-undelivered.ts';
import type { Queryable } from '../../../src/db/database.ts';
import { createSettleUsage, type SettleUsage } from '../../../src/features/credits/settle-usage.ts';
import { createUsageRecordsStore } from '../../../src/features/credits/usage-records-store.ts';
import { newUuid } from '../../../src/platform/ids.ts';
import { createRecordingLogger } from '../providers/provider-world.ts';
import { describeEachDatabase } from '../../support/databases.ts';
import { checkOf, createHttpWorld, errorOf, never } from './http-world.ts';
import { clearLedger, readLedger } from './ledger-world.ts';
import { openOutbox } from './outbox-rows.ts';

const occurredAt = new Date('2026-11-22T10:00:00.000Z');

describeEachDatabase('the embedded ledger after an Accounting Service', (fixture) => {
  beforeEach(() => clearLedger(fixture.database));

  const look = () => openOutbox(fixture.database);
  const settling = (accounting: Accounting): SettleUsage =>
    createSettleUsage({ accounting, store: createUsageRecordsStore(fixture.database) });

  /** A service that is asked, and the ledger that a later start has in its place. */
  async function start(failOpen = false) {
    const { database } = fixture;
    const http = await createHttpWorld(database, { failOpen });
    const log = createRecordingLogger();
    const embedded = createEmbeddedAccounting({ database, plans: builtInPlans, logger: log.logger, newId: newUuid });
    return { ...http, service: settling(http.accounting), ledger: settling(embedded), embedded, log };
  }
  type Started = Awaited<ReturnType<typeof start>>;

  /** A generation that the service was asked for, and that is admitted. */
  async function admit({ accounting, service }: Started): Promise<string> {
    const check = checkOf();
    const { usageId, userId, sessionId, modelId, plan } = check;
    const decision = await accounting.check(check);
    if (decision.kind !== 'granted') throw new Error('not granted');
    const reservation = { hold: decision.hold, plan, maxTokens: 100, quotaTokens: 110 };
    const usage = { usageId, userId, sessionId, modelId, at: new Date() };
    await fixture.database.transaction((tx) => service.admit(tx, usage, reservation));
    return usageId;
  }

  const used = { inputTokens: 10, outputTokens: 20, cost: 250_001, modelId: 'model' };
  const endIn = (tx: Queryable, by: SettleUsage, usageId: string, isUsed = true) => {
    const how = { outcome: 'interrupted', computeMilliseconds: 7, occurredAt } as const;
    return by.end(tx, { usageId, userId: 'alice', used: isUsed ? used : null, ...how });
  };
  const end = (by: SettleUsage, usageId: string, isUsed?: boolean) =>
    fixture.database.transaction((tx) => endIn(tx, by, usageId, isUsed));

  it('keeps the charge of what the service held until that can be told, word for word as if it were there', async () => {
    const world = await start();
    const { fake, ledger, service, log, accounting } = world;
    const [left, ended] = [await admit(world), await admit(world)];
    expect(await end(ledger, left)).toBe(250_001);
    expect(await end(ledger, left)).toBe(250_001);
    await end(service, ended);
    const [row, other] = [await look().row(left), await look().row(ended)];
    const holdOf = (usageId: string) => ({ usageId, messageId: usageId, holdId: fake.holdOf(usageId)?.holdId });
    expect(row?.body).toEqual({ ...other?.body, ...holdOf(left) });
    expect(row).toMatchObject({ state: 'pending', attempts: 0 });
    const { createdAt: _, settledAt, usageId, holdId, ...record } = (await look().record(left)) ?? {};
    expect(await look().record(ended)).toMatchObject(record);
    expect([usageId, holdId, settledAt]).toEqual([left, fake.holdOf(left)?.holdId, expect.any(Date)]);
    const { accounts, entries, quotas } = await readLedger(fixture.database);
    expect({ accounts, entries, quotas }).toEqual({ accounts: [], entries: [], quotas: [] });
    expect(log.lines.filter((line) => line.includes(left) && line.includes('ACCOUNTING_URL'))).toHaveLength(1);

    expect(fake.effects.filter(({ kind }) => kind !== 'hold')).toEqual([]);
    await accounting.deliverDue(never());
    expect(fake.effectsOf(left)).toMatchObject([{ kind: 'hold' }, { kind: 'charge', credits: 250_001 }]);
    expect(fake.requestsOf(left)).toHaveLength(2);
    expect(fake.totals('alice')).toMatchObject({ held: 0, spent: 2 * 250_001 });
    expect(await look().rows()).toEqual([]);
  });

  it('keeps the release of it', async () => {
    const world = await start();
    const { fake, ledger, accounting } = world;
    const usageId = await admit(world);
    for (const isUsed of [false, false, true]) expect(await end(ledger, usageId, isUsed)).toBe(0);
    expect(await look().record(usageId)).toMatchObject({ state: 'released', charged: 0 });
    expect(await look().rows()).toMatchObject([{ usageId, body: { kind: 'release' } }]);
    expect((await readLedger(fixture.database)).accounts).toEqual([]);
    await accounting.deliverDue(never());
    expect(fake.effectsOf(usageId)).toMatchObject([{ kind: 'hold' }, { kind: 'release' }]);
    expect(fake.totals('alice')).toMatchObject({ held: 0, spent: 0 });
  });

  it('keeps the charge of what was answered without an answer to the check', async () => {
    const world = await start(true);
    const { fake, ledger, accounting } = world;
    await fake.goDown();
    const usageId = await admit(world);
    expect(await look().record(usageId)).toMatchObject({ held: null, holdId: null });
    await end(ledger, usageId);
    await fake.comeUp();
    await accounting.deliverDue(never());
    expect(fake.effectsOf(usageId)).toMatchObject([{ kind: 'charge', credits: 250_001 }]);
  });

  it('keeps it in the transaction that ends the answer, or not at all', async () => {
    const world = await start();
    const usageId = await admit(world);
    const failed = fixture.database.transaction(async (tx) => {
      await endIn(tx, world.ledger, usageId);
      throw new Error('rolled back');
    });
    expect(await errorOf(failed)).toMatchObject({ message: 'rolled back' });
    expect(await look().record(usageId)).toMatchObject({ state: 'held' });
    expect(await look().rows()).toEqual([]);
  });

  it('leaves nothing for a service of what it holds itself, or of what nothing is known', async () => {
    const { embedded, ledger } = await start();
    const { transaction } = fixture.database;
    for (const plan of ['free', 'unlimited']) {
      for (const isUsed of [true, false]) {
        const check = checkOf({ plan });
        const decision = await embedded.check(check);
        expect(decision).toMatchObject({ kind: 'granted' });
        await end(ledger, check.usageId, isUsed);
      }
    }
    await transaction((tx) => ledger.refuse(tx, { usageId: newUuid(), userId: 'alice' }));
    expect(await look().rows()).toEqual([]);
  });

  it('tells at a start what waits, and nothing where nothing does', async () => {
    const world = await start();
    const { ledger, log } = world;
    await warnOfUndelivered(fixture.database, log.logger);
    expect(log.lines).toEqual([]);
    for (const usageId of [await admit(world), await admit(world)]) await end(ledger, usageId);
    const before = log.lines.length;
    await warnOfUndelivered(fixture.database, log.logger);
    const told = log.lines.slice(before).map((line) => JSON.parse(line) as unknown);
    expect(told).toMatchObject([{ level: 40, pending: 2, parked: 0, oldestSeconds: expect.any(Number) as unknown }]);
    const { query, tables } = fixture.database;
    await query.update(tables.accountingOutbox).set({ state: 'parked' });
    await warnOfUndelivered(fixture.database, log.logger);
    expect(JSON.parse(log.lines.at(-1) ?? '')).toMatchObject({ pending: 0, parked: 2 });
  });
});
