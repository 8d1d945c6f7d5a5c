import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import { fakeFaults, type FakeFault } from '../../../../../apps/e2e/src/fake-accounting.ts';
import type { CreditCheck } from '../../../src/clients/accounting/accounting.ts';
import { eventually } from '../../support/eventually.ts';
import { answering, ok, prepareAskingWorlds, unavailable } from './asking-worlds.ts';
import { checkOf, errorOf, serviceToken, userToken, type HttpWorld } from './http-world.ts';

const start = prepareAskingWorlds();

/** Fails so many checks, each with both its tries. */
async function fail({ fake, accounting }: HttpWorld, checks: number, fault: FakeFault = fakeFaults.serverError) {
  fake.fault('check', fault, checks * 2);
  for (let check = 0; check < checks; check += 1) {
    expect(await errorOf(accounting.check(checkOf()))).toMatchObject(unavailable);
  }
}

describe('check', () => {
  it('sends what the contract says and holds the estimate', async () => {
    const { fake, accounting } = await start();
    const request = checkOf();
    expect(await accounting.check(request)).toEqual({
      kind: 'granted',
      hold: { held: 1_500_000, holdId: 'hold-1', periods: null },
    });
    expect(fake.requests).toMatchObject([
      {
        path: '/api/credits/check',
        headers: {
          authorization: `Bearer ${serviceToken}`,
          idempotencyKey: request.usageId,
          userToken,
          contentType: 'application/json',
        },
        body: {
          usageId: request.usageId,
          userId: 'alice',
          plan: 'free',
          sessionId: 'session',
          modelId: 'model',
          operation: 'message',
          estimate: { inputTokens: 10, outputTokens: 100, credits: 1.5 },
          holdSeconds: 900,
        },
      },
    ]);
    expect(fake.holdOf(request.usageId)).toMatchObject({ credits: 1_500_000, state: 'open' });
  });

  it('sends neither token where there is none', async () => {
    const { fake, accounting } = await start({ token: undefined });
    fake.fault('check', ok({ sufficient: true }));
    await accounting.check(checkOf({ userToken: null }));
    expect(fake.requests[0]?.headers).toMatchObject({ authorization: undefined, userToken: undefined });
  });

  it('reaches a service below a path', async () => {
    const { fake, another } = await start();
    fake.fault('any', ok({ sufficient: true }));
    await another({ url: `${fake.url}/billing/v2/` }).check(checkOf());
    expect(fake.requests[0]?.path).toBe('/billing/v2/api/credits/check');
  });

  const problem = { 'content-type': 'application/problem+json; charset=utf-8' };
  const quota = { quota: 'messages', resetsAt: '2026-11-23T00:00:00.000Z' };
  const insufficient = (remaining: number | null) => ({ kind: 'insufficient', remaining });
  it.each<[string, FakeFault, unknown]>([
    [
      'yes, with a hold',
      ok({ sufficient: true, holdId: 'h' }),
      { kind: 'granted', hold: { held: 1_500_000, holdId: 'h' } },
    ],
    [
      'yes, without',
      ok({ sufficient: true, remainingCredits: 5, more: {} }),
      { kind: 'granted', hold: { holdId: null } },
    ],
    ['yes, with nulls', ok({ sufficient: true, holdId: null, remainingCredits: null }), { kind: 'granted' }],
    ['no', ok({ sufficient: false }), insufficient(null)],
    ['no, with a remainder', ok({ sufficient: false, remainingCredits: 1.1 }), insufficient(1_100_000)],
    ['no, with too many places', ok({ sufficient: false, remainingCredits: 0.0000019 }), insufficient(1)],
    ['no, with debts', ok({ sufficient: false, remainingCredits: -3 }), insufficient(0)],
    ['402', answering({ status: 402 }), insufficient(null)],
    ['402 with a remainder', answering({ status: 402, body: { remainingCredits: 2 } }), insufficient(2_000_000)],
    ['402 with anything', answering({ status: 402, body: { remainingCredits: 'some' } }), insufficient(null)],
    ['402 in HTML', answering({ status: 402, body: '<p>Pay</p>' }), insufficient(null)],
    [
      '429',
      answering({ status: 429, body: quota }),
      { kind: 'quota', quota: 'messages', resetsAt: new Date(quota.resetsAt) },
    ],
    [
      '429 as a problem',
      answering({ status: 429, headers: problem, body: { type: 'x', ...quota } }),
      { kind: 'quota' },
    ],
    [
      '429 with an offset',
      answering({ status: 429, body: { ...quota, resetsAt: '2026-11-23T02:00:00+02:00' } }),
      { kind: 'quota', resetsAt: new Date(quota.resetsAt) },
    ],
  ])('%s is an answer', async (_, fault, decision) => {
    const { fake, accounting } = await start();
    fake.fault('check', fault);
    expect(await accounting.check(checkOf())).toMatchObject(decision as object);
    expect(fake.requests).toHaveLength(1);
  });

  const plain = { 'content-type': 'text/plain' };
  it.each<[string, FakeFault, number]>([
    ['500', fakeFaults.serverError, 2],
    ['HTML', fakeFaults.html, 2],
    ['another JSON', fakeFaults.wrongJson, 2],
    ['JSON that is not said to be', answering({ status: 200, headers: plain, body: { sufficient: true } }), 2],
    ['broken JSON', answering({ status: 200, headers: { 'content-type': 'application/json' }, body: '{"suff' }), 2],
    ['an empty body', answering({ status: 200, headers: { 'content-type': 'application/json' } }), 2],
    ['null', ok(null), 2],
    ['a word for a boolean', ok({ sufficient: 'true' }), 2],
    ['a number for a hold', ok({ sufficient: true, holdId: 7 }), 2],
    ['a word for a remainder', ok({ sufficient: false, remainingCredits: '7' }), 2],
    [
      'an infinite remainder',
      answering({
        status: 200,
        headers: { 'content-type': 'application/json' },
        body: '{"sufficient":false,"remainingCredits":1e999}',
      }),
      2,
    ],
    ['another status of success', answering({ status: 201, body: { sufficient: true } }), 2],
    ['429 without a quota', answering({ status: 429, body: { resetsAt: quota.resetsAt } }), 2],
    ['429 without a time', answering({ status: 429, body: { quota: 'messages' } }), 2],
    ['429 with no time', answering({ status: 429, body: { quota: 'messages', resetsAt: 'tomorrow' } }), 2],
    ['401', fakeFaults.unauthorized, 1],
    ['403', answering({ status: 403 }), 1],
    ['404', answering({ status: 404 }), 1],
    ['422', fakeFaults.refused, 1],
    ['a connection that breaks', fakeFaults.reset, 2],
    ['too long a body', ok({ sufficient: true, padding: 'x'.repeat(300_000) }), 2],
  ])('%s is none', async (_, fault, tries) => {
    const { fake, accounting } = await start();
    fake.fault('check', fault);
    expect(await errorOf(accounting.check(checkOf()))).toMatchObject({ ...unavailable, retryAfter: 5 });
    expect(fake.requests).toHaveLength(tries);
  });

  it('goes where it was sent and follows nobody elsewhere', async () => {
    const { fake, accounting } = await start();
    fake.fault('any', ok({ sufficient: true }));
    fake.fault('check', answering({ status: 307, headers: { location: '/elsewhere' } }));
    expect(await errorOf(accounting.check(checkOf()))).toMatchObject(unavailable);
    expect(new Set(fake.requests.map(({ path }) => path))).toEqual(new Set(['/api/credits/check']));
  });

  it('is asked once more, under the same key, and gets the same hold', async () => {
    const { fake, accounting, clock } = await start();
    fake.fault('check', fakeFaults.lostAnswer, 1);
    const request = checkOf();
    expect(await accounting.check(request)).toMatchObject({ kind: 'granted', hold: { holdId: 'hold-1' } });
    expect(fake.requests.map(({ headers }) => headers.idempotencyKey)).toEqual([request.usageId, request.usageId]);
    expect(fake.effectsOf(request.usageId)).toMatchObject([{ kind: 'hold', request: 0 }]);
    expect(clock.pauses).toEqual([150]);
  });

  it('gives up after two times 2 s', async () => {
    const { fake, accounting, clock } = await start();
    fake.fault('check', fakeFaults.hang);
    const started = clock.now();
    const failed = errorOf(accounting.check(checkOf()));
    for (const tries of [1, 2]) {
      await eventually(() => expect(fake.requests).toHaveLength(tries));
      clock.advance(2_000);
    }
    const error = await failed;
    expect(error).toMatchObject({ ...unavailable, cause: { message: 'no answer in 2000 ms' } });
    expect(clock.now() - started).toBeLessThan(4_500);
    expect(fake.requests).toHaveLength(2);
  });

  it('waits no longer for the end of an answer than for its beginning', async () => {
    let requests = 0;
    const server = createServer((_, response) => {
      requests += 1;
      response.writeHead(200, { 'content-type': 'application/json' }).write('{"sufficient":');
    });
    onTestFinished(() => void server.close().closeAllConnections());
    await once(server.listen(0, '127.0.0.1'), 'listening');
    const { another, clock } = await start();
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const failed = errorOf(another({ url }).check(checkOf()));
    for (const tries of [1, 2]) {
      await eventually(() => expect(requests).toBe(tries));
      clock.advance(2_000);
    }
    expect(await failed).toMatchObject(unavailable);
  });

  it('does not try again where the service asks for more patience than the caller has', async () => {
    const { fake, accounting } = await start();
    fake.fault('check', answering({ status: 503, headers: { 'retry-after': '30' } }));
    expect(await errorOf(accounting.check(checkOf()))).toMatchObject({ ...unavailable, retryAfter: 30 });
    expect(fake.requests).toHaveLength(1);
  });

  it('ends with its caller, and says nothing about the service then', async () => {
    const { fake, accounting } = await start();
    fake.fault('check', fakeFaults.hang);
    const caller = new AbortController();
    const failed = errorOf(accounting.check(checkOf(), caller.signal));
    await eventually(() => expect(fake.requests).toHaveLength(1));
    caller.abort(new Error('gone'));
    expect(await failed).toMatchObject({ message: 'gone' });
    expect(await errorOf(accounting.check(checkOf(), caller.signal))).toMatchObject({ message: 'gone' });
    expect(fake.requests).toHaveLength(1);
    expect(accounting.reachability()).toBe('ok');
  });

  it('counts no answer as yes where it is told to, and an answer as what it is', async () => {
    const { fake, accounting, log } = await start({ failOpen: true });
    await fake.goDown();
    expect(await accounting.check(checkOf())).toEqual({
      kind: 'granted',
      hold: { held: null, holdId: null, periods: null },
    });
    expect(await accounting.checkSession(checkOf())).toEqual({ kind: 'granted' });
    expect(log.lines.filter((line) => line.includes('allowed, as configured'))).toHaveLength(2);
    await fake.comeUp();
    fake.setAccount('alice', 5);
    expect(await accounting.check(checkOf())).toEqual({ kind: 'insufficient', remaining: 5 });
  });
});

describe('checkSession', () => {
  it('asks for nothing and holds nothing', async () => {
    const { fake, accounting } = await start();
    expect(await accounting.checkSession({ userId: 'alice', plan: 'free', userToken, sessionId: 's' })).toEqual({
      kind: 'granted',
    });
    expect(fake.requests).toMatchObject([
      {
        headers: { idempotencyKey: 's', userToken },
        body: {
          usageId: 's',
          sessionId: 's',
          operation: 'session',
          estimate: { inputTokens: 0, outputTokens: 0, credits: 0 },
        },
        answer: { status: 200 },
      },
    ]);
    expect(fake.effects).toEqual([]);
  });

  it('is refused like a check', async () => {
    const { fake, accounting, database } = await start();
    const holder = { userId: 'alice', plan: 'free', userToken, sessionId: 's' };
    fake.setQuota('alice', { quota: 'sessions', resetsAt: new Date('2026-12-01T00:00:00Z') });
    expect(await accounting.checkSession(holder)).toMatchObject({ kind: 'quota', quota: 'sessions' });
    fake.fault('check', answering({ status: 402 }), 1);
    expect(await accounting.checkSession(holder)).toMatchObject({ kind: 'insufficient' });
    fake.fault('check', fakeFaults.serverError);
    expect(await errorOf(accounting.checkSession(holder))).toMatchObject(unavailable);
    expect(await accounting.countSession(database.query, holder)).toEqual({ kind: 'granted' });
  });
});

describe('the circuit of checks', () => {
  it('opens after five failures, asks nobody for 5 s, then lets one try', async () => {
    const world = await start();
    const { fake, accounting, clock, log } = world;
    await fail(world, 4);
    expect(accounting.reachability()).toBe('ok');
    await fail(world, 1);
    expect(accounting.reachability()).toBe('degraded');
    await log.logged('is not called for a while');
    const asked = fake.requests.length;
    expect(await errorOf(accounting.check(checkOf()))).toMatchObject({ ...unavailable, retryAfter: 5 });
    expect(await errorOf(accounting.balance(checkOf()))).toMatchObject(unavailable);
    expect(fake.requests).toHaveLength(asked);

    clock.advance(5_000);
    fake.fault('check', fakeFaults.lateAnswer, 1);
    const trial = accounting.check(checkOf());
    await eventually(() => expect(fake.requests).toHaveLength(asked + 1));
    expect(await errorOf(accounting.check(checkOf()))).toMatchObject(unavailable);
    expect(fake.requests).toHaveLength(asked + 1);
    fake.answerHung();
    expect(await trial).toMatchObject({ kind: 'granted' });
    expect(await accounting.check(checkOf())).toMatchObject({ kind: 'granted' });
    expect(accounting.reachability()).toBe('ok');
  });

  it('tells whether anybody is asked, whatever comes of that', async () => {
    const world = await start();
    const { fake, accounting, another, clock } = world;
    let asked: number[] = [];
    const requests = fake.requests.length;
    /** How much had been asked when it was told that somebody is going to be. */
    const toldBy = async (ask: (request: CreditCheck) => Promise<unknown>) => {
      asked = [];
      await ask(checkOf({ onAsk: () => void asked.push(fake.requests.length) })).catch(() => undefined);
      return asked;
    };
    expect(await toldBy(accounting.check)).toEqual([requests]);
    fake.fault('check', fakeFaults.refused, 1);
    expect(await toldBy(accounting.check)).toEqual([requests + 1]);
    // Nobody listens, but that is not known before.
    await fake.goDown();
    expect(await toldBy(accounting.check)).toEqual([requests + 2]);
    await fake.comeUp();
    await fail(world, 4);
    const made = fake.requests.length;
    expect(await toldBy(accounting.check)).toEqual([]);
    const open = another({ failOpen: true });
    for (let check = 0; check < 5; check += 1) {
      fake.fault('check', fakeFaults.serverError, 2);
      expect(await toldBy(open.check)).toHaveLength(1);
    }
    expect(await toldBy(open.check)).toEqual([]);
    expect(fake.requests).toHaveLength(made + 10);
    clock.advance(5_000);
    expect(await toldBy(accounting.check)).toHaveLength(1);
  });

  it('stays closed by what the service says to one request, though it is told that checks are not answered', async () => {
    const world = await start();
    for (const fault of [fakeFaults.refused, fakeFaults.unauthorized]) {
      world.fake.fault('check', fault);
      for (let check = 0; check < 6; check += 1) await errorOf(world.accounting.check(checkOf()));
    }
    expect(world.fake.requests).toHaveLength(12);
    expect(world.accounting.reachability()).toBe('degraded');
    world.fake.clearFaults();
    expect(await world.accounting.check(checkOf())).toMatchObject({ kind: 'granted' });
    expect(world.accounting.reachability()).toBe('ok');
  });

  it('lets nobody count insufficient credit as a failure', async () => {
    const { fake, accounting } = await start();
    fake.setAccount('alice', 0);
    for (let check = 0; check < 10; check += 1) await accounting.check(checkOf());
    expect(fake.requests).toHaveLength(10);
  });
});

it('tells tokens and bodies of the service to no log', async () => {
  const world = await start();
  const { fake, accounting, log } = world;
  fake.fault('check', answering({ status: 500, body: { secret: 'upstream-secret', userToken } }));
  for (let check = 0; check < 6; check += 1) {
    const error = await errorOf(accounting.check(checkOf()));
    log.logger.error({ err: error }, 'as the request log tells it');
  }
  await fake.goDown();
  log.logger.error({ err: await errorOf(accounting.check(checkOf())) }, 'as the request log tells it');
  const logged = log.lines.join('');
  expect(logged).toContain('status 500');
  for (const secret of [userToken, serviceToken, 'upstream-secret']) expect(logged).not.toContain(secret);
});
