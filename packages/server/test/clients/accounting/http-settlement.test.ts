import { beforeEach, expect, it } from 'vitest';
import { newUuid } from '../../../src/platform/ids.ts';
import { describeEachDatabase } from '../../support/databases.ts';
import { chargeOf, createHttpWorld, errorOf, never, releaseOf } from './http-world.ts';
import { openOutbox } from './outbox-rows.ts';

describeEachDatabase('what is decided for the Accounting Service', (fixture) => {
  const look = () => openOutbox(fixture.database);
  const start = () => createHttpWorld(fixture.database);
  beforeEach(() => look().clear());

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
