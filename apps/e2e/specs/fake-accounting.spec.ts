import { describe, expect, it, onTestFinished } from 'vitest';
import { fakeFaults, startFakeAccounting, type FakeAccountingOptions } from '../src/fake-accounting.ts';

/** The fake, and calls of it as the service makes them. */
async function start(options: FakeAccountingOptions = {}) {
  let now = 1_000_000;
  const fake = await startFakeAccounting({ now: () => now, ...options });
  onTestFinished(() => fake[Symbol.asyncDispose]());
  async function call(path: string, body?: Record<string, unknown>, headers: Record<string, string> = {}) {
    const response = await fetch(fake.url + path, {
      ...(body !== undefined && { method: 'POST', body: JSON.stringify(body) }),
      headers: {
        ...(body !== undefined && {
          'content-type': 'application/json',
          'idempotency-key': String(body['usageId']),
        }),
        ...headers,
      },
    });
    const text = await response.text();
    return { status: response.status, body: text === '' ? undefined : (JSON.parse(text) as unknown) };
  }
  const common = { userId: 'alice', sessionId: 's', modelId: 'm' };
  return {
    fake,
    call,
    advance: (milliseconds: number) => {
      now += milliseconds;
    },
    check: (usageId: string, credits: number, changes: Record<string, unknown> = {}) =>
      call('/api/credits/check', {
        ...common,
        usageId,
        plan: 'free',
        operation: 'message',
        estimate: { inputTokens: 1, outputTokens: 1, credits },
        holdSeconds: 60,
        ...changes,
      }),
    record: (usageId: string, credits: number, changes: Record<string, unknown> = {}) =>
      call('/api/usage/record', {
        ...common,
        usageId,
        messageId: usageId,
        inputTokens: 1,
        outputTokens: 1,
        credits,
        outcome: 'complete',
        occurredAt: '2026-11-22T00:00:00.000Z',
        ...changes,
      }),
    release: (usageId: string) => call('/api/credits/release', { usageId, userId: 'alice' }),
  };
}

describe('the fake Accounting Service', () => {
  it('holds once, charges once, and keeps a journal of both', async () => {
    const { fake, check, record, call } = await start();
    fake.setAccount('alice', 2_000_000, 'pro');
    const granted = { sufficient: true, holdId: 'hold-1', remainingCredits: 0.5 };
    expect(await check('a', 1.5)).toEqual({ status: 200, body: granted });
    expect(await check('a', 1.5)).toMatchObject({ body: granted });
    expect(await check('b', 0.6)).toEqual({ status: 200, body: { sufficient: false, remainingCredits: 0.5 } });
    expect(await check('b', 0.5)).toMatchObject({ body: { sufficient: true } });
    expect(await call('/api/credits/alice')).toEqual({
      status: 200,
      body: { credits: 0, held: 2, plan: 'pro', quotas: [] },
    });
    expect(await record('a', 0.25)).toEqual({ status: 201, body: { recorded: true } });
    expect(await record('a', 0.75)).toMatchObject({ status: 409 });
    expect(fake.totals('alice')).toEqual({ granted: 2_000_000, held: 500_000, spent: 250_000, available: 1_250_000 });
    expect(fake.effectsOf('a')).toMatchObject([
      { kind: 'hold', credits: 1_500_000, request: 0 },
      { kind: 'charge', credits: 250_000, request: 5 },
    ]);
    expect(fake.openHolds()).toMatchObject([{ usageId: 'b' }]);
    expect(fake.requests.map(({ answer }) => answer?.status)).toEqual([200, 200, 200, 200, 200, 201, 409]);
  });

  it('gives back once, and what ended by itself not at all', async () => {
    const { fake, check, record, release, advance } = await start();
    for (const usageId of ['a', 'b', 'c']) await check(usageId, 1);
    expect(await release('a')).toMatchObject({ status: 204 });
    expect(await release('a')).toMatchObject({ status: 204 });
    expect(await release('unknown')).toMatchObject({ status: 404 });
    advance(60_000);
    expect(fake.holdOf('b')).toMatchObject({ state: 'expired' });
    await release('b');
    expect(await record('c', 0.5)).toMatchObject({ status: 201 });
    expect(fake.effects.map(({ kind, usageId }) => `${kind} ${usageId}`)).toEqual([
      'hold a',
      'hold b',
      'hold c',
      'release a',
      'expiry b',
      'expiry c',
      'charge c',
    ]);
    expect(fake.totals('alice')).toMatchObject({ held: 0, spent: 500_000 });
  });

  it('knows quotas, sessions, and users that nobody knows', async () => {
    const { fake, check, call } = await start({ credits: null });
    expect(await call('/api/credits/alice')).toMatchObject({ status: 404 });
    expect(await check('a', 1)).toMatchObject({ body: { sufficient: false, remainingCredits: 0 } });
    fake.setAccount('alice', 0);
    const nothing = { operation: 'session', modelId: null, holdSeconds: 0 };
    expect(await check('a', 0, nothing)).toMatchObject({ body: { sufficient: true } });
    const resetsAt = new Date('2026-12-01T00:00:00Z');
    fake.setQuota('alice', { quota: 'sessions', resetsAt });
    expect(await check('a', 0, nothing)).toEqual({
      status: 429,
      body: { quota: 'sessions', resetsAt: resetsAt.toISOString() },
    });
    expect(fake.effects).toEqual([]);
  });

  it('takes nothing that is not as the contract has it', async () => {
    const { fake, call, check, record } = await start({ token: 'secret' });
    expect(await check('a', 1)).toMatchObject({ status: 401 });
    fake.clearFaults();
    const open = await start();
    expect(await open.check('a', 0.0000001)).toMatchObject({ status: 400 });
    expect(await open.check('a', 1, { extra: true })).toMatchObject({ status: 400 });
    expect(await open.record('a', 1, { outcome: 'fine' })).toMatchObject({ status: 400 });
    expect(await open.record('a', 1, { occurredAt: 'now' })).toMatchObject({ status: 400 });
    const body = { usageId: 'a', userId: 'alice' };
    expect(await open.call('/api/credits/release', body, { 'idempotency-key': 'b' })).toMatchObject({ status: 400 });
    expect(await open.call('/api/credits/release', body, { 'x-user-token': 'jwt' })).toMatchObject({ status: 400 });
    expect(await open.call('/api/other', body)).toMatchObject({ status: 400 });
    await open.check('a', 1);
    expect(await open.record('a', 1, { holdId: 'hold-2' })).toMatchObject({ status: 422 });
    expect(open.fake.effects).toHaveLength(1);
    expect(await call('/api/credits/alice', undefined, { authorization: 'Bearer secret' })).toMatchObject({
      status: 404,
    });
    expect(await record('a', 1)).toMatchObject({ status: 401 });
  });

  it('goes wrong as it is told to', async () => {
    const { fake, check, record } = await start();
    fake.fault('check', fakeFaults.reset, 1);
    await expect(check('a', 1)).rejects.toThrow('fetch failed');
    expect(fake.holdOf('a')).toBeNull();
    fake.fault('check', fakeFaults.lostAnswer, 1);
    await expect(check('a', 1)).rejects.toThrow('fetch failed');
    expect(fake.holdOf('a')).not.toBeNull();

    fake.fault(({ usageId }) => usageId === 'a', fakeFaults.already, 1);
    expect(await record('a', 1)).toMatchObject({ status: 409 });
    expect(fake.chargesOf('a')).toHaveLength(1);
    expect(await record('b', 1)).toMatchObject({ status: 201 });
    fake.fault('any', fakeFaults.serverError, 1);
    expect(await record('c', 1)).toMatchObject({ status: 500 });
    expect(fake.chargesOf('c')).toEqual([]);

    const takeBack = fake.fault('record', (request) => (request.usageId === 'd' ? fakeFaults.refused : null));
    expect([await record('d', 1), await record('e', 1)]).toMatchObject([{ status: 422 }, { status: 201 }]);
    takeBack();
    expect(await record('d', 1)).toMatchObject({ status: 201 });
    expect(fake.requestsOf('d').map(({ fault }) => fault)).toEqual([fakeFaults.refused, null]);
  });

  it('answers late, truthfully', async () => {
    const { fake, record } = await start();
    for (const [fault, usageId] of [
      [fakeFaults.lateAnswer, 'a'],
      [fakeFaults.hang, 'b'],
    ] as const) {
      fake.fault('record', fault, 1);
      const answer = record(usageId, 1);
      await expect.poll(() => fake.requestsOf(usageId)).toHaveLength(1);
      expect(fake.chargesOf(usageId)).toHaveLength(fault.done ? 1 : 0);
      fake.answerHung();
      expect(await answer).toMatchObject({ status: 201 });
      expect(fake.chargesOf(usageId)).toHaveLength(1);
    }
    fake.fault('record', { done: true, answer: 'truth', delayMs: 1 }, 1);
    expect(await record('c', 1)).toMatchObject({ status: 201 });
  });

  it('goes away and comes back at the same address', async () => {
    const { fake, check } = await start();
    await check('a', 1);
    await fake.goDown();
    await expect(check('b', 1)).rejects.toThrow('fetch failed');
    await fake.comeUp();
    expect(await check('b', 1)).toMatchObject({ status: 200 });
    expect(fake.openHolds()).toHaveLength(2);
  });
});
