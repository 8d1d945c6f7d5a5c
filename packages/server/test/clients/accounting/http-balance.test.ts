import { describe, expect, it } from 'vitest';
import { fakeFaults, type FakeFault } from '../../../../../apps/e2e/src/fake-accounting.ts';
import { ok, prepareAskingWorlds, unavailable } from './asking-worlds.ts';
import { checkOf, errorOf, serviceToken } from './http-world.ts';

const start = prepareAskingWorlds();

describe('balance', () => {
  it('tells credits, holds, plan and quotas', async () => {
    const { fake, accounting } = await start();
    fake.setAccount('alice', 3_000_000, 'pro');
    await accounting.check(checkOf());
    expect(await accounting.balance(checkOf())).toEqual({
      credits: 1_500_000,
      held: 1_500_000,
      plan: 'pro',
      quotas: [],
    });
    expect(fake.requests.at(-1)).toMatchObject({
      path: '/api/credits/alice',
      headers: { authorization: `Bearer ${serviceToken}`, userToken: undefined, idempotencyKey: undefined },
    });
    const resetsAt = '2026-11-23T00:00:00Z';
    const quota = { name: 'messages', period: 'day', used: 3, limit: 10 };
    fake.fault('balance', ok({ credits: null, plan: 'x', quotas: [{ ...quota, resetsAt, extra: 1 }], extra: 2 }));
    expect(await accounting.balance(checkOf())).toEqual({
      credits: null,
      held: 0,
      plan: 'x',
      quotas: [{ ...quota, resetsAt: new Date(resetsAt) }],
    });
  });

  it('knows nobody whom the service does not know, whatever the name', async () => {
    const { fake, accounting } = await start();
    expect(await accounting.balance(checkOf({ userId: 'nobody' }))).toBeNull();
    const strange = 'a/../b?c#d%2e&ü';
    fake.setAccount(strange, 1);
    expect(await accounting.balance(checkOf({ userId: strange }))).toMatchObject({ credits: 1 });
    for (const userId of ['.', '..']) expect(await accounting.balance(checkOf({ userId }))).toBeNull();
    expect(fake.requests).toHaveLength(2);
  });

  it.each<[string, FakeFault]>([
    ['500', fakeFaults.serverError],
    ['401', fakeFaults.unauthorized],
    ['HTML', fakeFaults.html],
    ['no plan', ok({ credits: 1, quotas: [] })],
    ['no quotas', ok({ credits: 1, plan: 'free' })],
    [
      'a quota without a limit',
      ok({ credits: 1, plan: 'free', quotas: [{ name: 'messages', period: 'day', used: 1 }] }),
    ],
  ])('%s is no answer', async (_, fault) => {
    const { fake, accounting } = await start();
    fake.fault('balance', fault);
    expect(await errorOf(accounting.balance(checkOf()))).toMatchObject(unavailable);
    expect(fake.requests.length).toBeLessThanOrEqual(2);
  });

  it('opens no circuit', async () => {
    const { fake, accounting } = await start();
    fake.fault('balance', fakeFaults.serverError);
    for (let call = 0; call < 6; call += 1) await errorOf(accounting.balance(checkOf()));
    expect(await accounting.check(checkOf())).toMatchObject({ kind: 'granted' });
  });
});
