import { eq } from 'drizzle-orm';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { fakeFaults, type FakeFault } from '../../../../../apps/e2e/src/fake-accounting.ts';
import type { HttpAccounting } from '../../../src/clients/accounting/http/http-accounting.ts';
import { newUuid } from '../../../src/platform/ids.ts';
import { describeEachDatabase, type DatabaseFixture } from '../../support/databases.ts';
import { chargeOf, checkOf, createHttpWorld, errorOf, never, releaseOf, userToken } from './http-world.ts';

function refusing(status: number): FakeFault {
  return { done: false, answer: { status, body: { error: 'upstream-secret' } } };
}

/** What tests look for behind the port. */
function lookInto({ database }: { readonly database: DatabaseFixture['database'] }) {
  const { query, tables, dialect } = database;
  const { accountingOutbox: outbox, usageRecords } = tables;
  return {
    rows: () => query.select().from(outbox),
    row: async (usageId: string) => (await query.select().from(outbox).where(eq(outbox.usageId, usageId)))[0],
    record: async (usageId: string) =>
      (await query.select().from(usageRecords).where(eq(usageRecords.usageId, usageId)))[0],
    /** As if the pauses and leases of all rows had passed. */
    makeDue: () => query.update(outbox).set({ nextAttemptAt: dialect.now() }),
    /** Milliseconds until the row's next attempt, by the database's clock. */
    async pauseOf(usageId: string) {
      const [row] = await query
        .select({ at: outbox.nextAttemptAt, now: dialect.now() })
        .from(outbox)
        .where(eq(outbox.usageId, usageId));
      return (row?.at.getTime() ?? 0) - (row?.now.getTime() ?? 0);
    },
    hold: (usageId: string) =>
      query.insert(usageRecords).values({
        usageId,
        userId: 'alice',
        sessionId: 'session',
        modelId: 'model',
        plan: 'free',
        state: 'held',
        held: 1_500_000,
        createdAt: new Date(),
      }),
  };
}

describeEachDatabase('outbox of the Accounting Service', (fixture) => {
  const look = () => lookInto(fixture);
  const start = (changes = {}, fakeOptions = {}) => createHttpWorld(fixture.database, changes, fakeOptions);

  beforeEach(async () => {
    const { query, tables } = fixture.database;
    await query.delete(tables.accountingOutbox);
    await query.delete(tables.usageRecords);
  });

  const settle = (accounting: HttpAccounting, charge = chargeOf(newUuid())) =>
    fixture.database.transaction((tx) => accounting.settle(tx, charge)).then(() => charge.usageId);
  const release = (accounting: HttpAccounting, request = releaseOf(newUuid())) =>
    fixture.database.transaction((tx) => accounting.release(tx, request)).then(() => request.usageId);
  /** Rows of so many charges. */
  async function settleMany(accounting: HttpAccounting, count: number): Promise<string[]> {
    const ids: string[] = [];
    for (let charge = 0; charge < count; charge += 1) ids.push(await settle(accounting));
    return ids;
  }

  describe('what is decided', () => {
    it('is charged in the row of its usage, and once in the outbox', async () => {
      const { accounting } = await start();
      const usageId = newUuid();
      await look().hold(usageId);
      const hold = { held: 1_500_000, holdId: 'hold-1', periods: null };
      await settle(accounting, chargeOf(usageId, { hold, absorbed: 7 }));
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

      await settle(accounting, chargeOf(usageId, { credits: 1 }));
      await release(accounting, releaseOf(usageId));
      expect(await look().record(usageId)).toMatchObject({ state: 'charged', charged: 250_001 });
      expect(await look().rows()).toMatchObject([{ body }]);
    });

    it('is given back once, with and without a row of its usage', async () => {
      const { accounting } = await start();
      const held = newUuid();
      await look().hold(held);
      const refused = newUuid();
      for (const usageId of [held, refused, held, refused]) await release(accounting, releaseOf(usageId));
      await settle(accounting, chargeOf(held));
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
      await settle(accounting, chargeOf(usageId));
      await accounting.deliverDue(never());
      await settle(accounting, chargeOf(usageId));
      await release(accounting, releaseOf(usageId));
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

  describe('a delivery', () => {
    it('charges what was held, under its key and without the token of the user', async () => {
      const { accounting, fake } = await start();
      const check = checkOf();
      const decision = await accounting.check(check);
      if (decision.kind !== 'granted') throw new Error('not granted');
      await settle(accounting, chargeOf(check.usageId, { hold: decision.hold }));
      expect(JSON.stringify(await look().rows())).not.toContain(userToken);
      await accounting.deliverDue(never());
      expect(await look().rows()).toEqual([]);
      expect(fake.requests.at(-1)).toMatchObject({
        path: '/api/usage/record',
        headers: { idempotencyKey: check.usageId, userToken: undefined },
        answer: { status: 201 },
      });
      expect(fake.effectsOf(check.usageId)).toMatchObject([
        { kind: 'hold', credits: 1_500_000 },
        { kind: 'charge', credits: 250_001 },
      ]);
      expect(fake.totals('alice')).toMatchObject({ held: 0, spent: 250_001 });
    });

    it('gives back what was held, and what was not', async () => {
      const { accounting, fake } = await start();
      const check = checkOf();
      await accounting.check(check);
      await release(accounting, releaseOf(check.usageId));
      const unknown = await release(accounting);
      await accounting.deliverDue(never());
      expect(await look().rows()).toEqual([]);
      expect(fake.effectsOf(check.usageId)).toMatchObject([{ kind: 'hold' }, { kind: 'release' }]);
      expect(fake.requestsOf(unknown)).toMatchObject([{ path: '/api/credits/release', answer: { status: 404 } }]);
    });

    it.each<[string, FakeFault]>([
      ['recorded by 200', { done: true, answer: { status: 200, body: { recorded: true, at: 'x' } } }],
      ['recorded by 201', { done: true, answer: { status: 201, body: { recorded: true } } }],
      ['recorded before', fakeFaults.already],
      ['recorded before, in HTML', { done: true, answer: { status: 409, body: '<p>Conflict</p>' } }],
    ])('is over when it is %s', async (_, fault) => {
      const { accounting, fake } = await start();
      const usageId = await settle(accounting);
      fake.fault('record', fault);
      await accounting.deliverDue(never());
      expect(await look().rows()).toEqual([]);
      expect(fake.chargesOf(usageId)).toHaveLength(1);
    });

    it.each<[string, FakeFault, number | null]>([
      ['an answer that is lost', fakeFaults.lostAnswer, null],
      ['a connection that breaks', fakeFaults.reset, null],
      ['500', fakeFaults.serverError, 500],
      ['401', fakeFaults.unauthorized, 401],
      ['403', refusing(403), 403],
      ['408', refusing(408), 408],
      ['425', refusing(425), 425],
      ['429', refusing(429), 429],
      ['a redirect', { done: false, answer: { status: 301, headers: { location: '/' } } }, 301],
      ['HTML', fakeFaults.html, 200],
      ['another JSON', fakeFaults.wrongJson, 200],
      ['what is not recorded', { done: false, answer: { status: 200, body: { recorded: false } } }, 200],
      ['another status of success', { done: false, answer: { status: 202, body: { recorded: true } } }, 202],
    ])('is made again after %s, under the same key', async (_, fault, lastStatus) => {
      const { accounting, fake, clock } = await start();
      const usageId = await settle(accounting);
      fake.fault('record', fault, 12);
      for (let attempt = 1; attempt <= 12; attempt += 1) {
        await accounting.deliverDue(never());
        expect(await look().rows()).toMatchObject([
          { state: 'pending', attempts: attempt, refusals: 0, leasedBy: null, lastStatus },
        ]);
        await look().makeDue();
        // Whatever the circuit makes of it.
        clock.advance(5_000);
      }
      await accounting.deliverDue(never());
      expect(await look().rows()).toEqual([]);
      expect(fake.chargesOf(usageId)).toHaveLength(1);
      expect(new Set(fake.requests.map(({ headers }) => headers.idempotencyKey))).toEqual(new Set([usageId]));
      expect(fake.requests).toHaveLength(13);
    });

    it('of a release takes 200, 204 and 404, and nothing else', async () => {
      const { accounting, fake } = await start();
      const faults = [refusing(409), fakeFaults.serverError, fakeFaults.reset];
      for (const fault of faults) {
        const usageId = await release(accounting);
        const takeBack = fake.fault('release', fault);
        await accounting.deliverDue(never());
        expect(await look().row(usageId)).toMatchObject({ state: 'pending' });
        takeBack();
      }
      await look().makeDue();
      fake.fault('release', { done: false, answer: { status: 200 } }, 1);
      fake.fault('release', { done: false, answer: { status: 204 } }, 1);
      await accounting.deliverDue(never());
      expect(await look().rows()).toEqual([]);
      expect(
        fake.requests
          .slice(-3)
          .map(({ answer }) => answer?.status)
          .toSorted(),
      ).toEqual([200, 204, 404]);
    });

    it('is given up after 2 s', async () => {
      const { accounting, fake, clock } = await start();
      const usageId = await settle(accounting);
      fake.fault('record', fakeFaults.hang);
      const delivered = accounting.deliverDue(never());
      await vi.waitFor(() => expect(fake.requests).toHaveLength(1));
      expect(await look().row(usageId)).toMatchObject({ attempts: 1, leasedBy: expect.any(String) as unknown });
      clock.advance(2_000);
      await delivered;
      expect(await look().row(usageId)).toMatchObject({ state: 'pending', leasedBy: null, lastStatus: null });
    });

    it('waits twice as long each time, up to five minutes, and as long as it is asked to, up to an hour', async () => {
      const { another, fake, clock } = await start();
      const accounting = another({ random: () => 1 });
      const usageId = await settle(accounting);
      fake.fault('record', fakeFaults.serverError);
      const pauses: number[] = [];
      for (let attempt = 0; attempt < 11; attempt += 1) {
        await accounting.deliverDue(never());
        // To the hundred milliseconds that the look may take.
        pauses.push(Math.round((await look().pauseOf(usageId)) / 500) * 0.5);
        await look().makeDue();
        clock.advance(5_000);
      }
      expect(pauses).toEqual([1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
      for (const [retryAfter, seconds] of [
        ['900', 900],
        ['90000', 3600],
      ] as const) {
        fake.fault('record', { done: false, answer: { status: 503, headers: { 'retry-after': retryAfter } } }, 1);
        await accounting.deliverDue(never());
        expect(Math.round((await look().pauseOf(usageId)) / 10_000) * 10).toBe(seconds);
        await look().makeDue();
        clock.advance(5_000);
      }
    });

    it('jitters by half', async () => {
      const { another, fake } = await start();
      const accounting = another({ random: () => 0 });
      const usageId = await settle(accounting);
      fake.fault('record', fakeFaults.serverError);
      await accounting.deliverDue(never());
      expect(await look().pauseOf(usageId)).toBeLessThanOrEqual(500);
    });

    it('that is refused ten times is parked, counted and told, without what the service said', async () => {
      const { accounting, fake, log } = await start();
      const usageId = await settle(accounting);
      const other = await settle(accounting);
      fake.fault((request) => request.usageId === usageId, refusing(422));
      // No answer is no refusal.
      fake.fault((request) => request.usageId === usageId, fakeFaults.serverError, 3);
      for (let attempt = 1; attempt <= 12; attempt += 1) {
        await accounting.deliverDue(never());
        expect(await look().row(usageId)).toMatchObject({ state: 'pending', refusals: Math.max(0, attempt - 3) });
        await look().makeDue();
      }
      await accounting.deliverDue(never());
      expect(await look().rows()).toMatchObject([
        { usageId, state: 'parked', attempts: 13, refusals: 10, lastStatus: 422, leasedBy: null },
      ]);
      await look().makeDue();
      await accounting.deliverDue(never());
      expect(fake.requestsOf(usageId)).toHaveLength(13);
      expect(fake.chargesOf(other)).toHaveLength(1);
      expect(await accounting.outboxStats()).toEqual({ pending: 0, parked: 1, oldestAgeMs: 0 });
      const errors = log.lines.filter((line) => line.includes('it is parked'));
      expect(errors.map((line) => JSON.parse(line) as unknown)).toMatchObject([{ level: 50, usageId, status: 422 }]);
      expect(log.lines.join('')).not.toContain('upstream-secret');
      expect(accounting.reachability()).toBe('ok');
    });

    it('goes on however many rows there are, eight at a time', async () => {
      const { accounting, fake } = await start();
      const ids = await settleMany(accounting, 70);
      fake.fault('record', fakeFaults.lateAnswer, 8);
      const delivered = accounting.deliverDue(never());
      await vi.waitFor(() => expect(fake.requests).toHaveLength(8));
      fake.answerHung();
      await delivered;
      expect(await look().rows()).toEqual([]);
      expect(fake.requests).toHaveLength(70);
      expect(new Set(fake.effects.map(({ usageId }) => usageId))).toEqual(new Set(ids));
    });

    it('of one row waits for no other', async () => {
      const { accounting, fake } = await start();
      const [stuck = '', ...others] = await settleMany(accounting, 3);
      fake.fault((request) => request.usageId === stuck, fakeFaults.hang);
      const delivered = accounting.deliverDue(never());
      await vi.waitFor(async () => expect(await look().rows()).toHaveLength(1));
      for (const other of others) expect(fake.chargesOf(other)).toHaveLength(1);
      fake.answerHung();
      await delivered;
    });
  });

  describe('a nudge', () => {
    it('delivers without being waited for, also what comes while one is under way', async () => {
      const { accounting, fake } = await start();
      fake.fault('record', fakeFaults.lateAnswer, 1);
      await settle(accounting);
      accounting.nudge();
      await vi.waitFor(() => expect(fake.requests).toHaveLength(1));
      await settle(accounting);
      accounting.nudge();
      fake.answerHung();
      await vi.waitFor(async () => expect(await look().rows()).toEqual([]));
      expect(fake.effects).toHaveLength(2);
    });

    it('after the end does nothing', async () => {
      const { accounting, fake } = await start();
      await settle(accounting);
      await accounting[Symbol.asyncDispose]();
      accounting.nudge();
      await accounting.deliverDue(never());
      expect(fake.requests).toEqual([]);
      expect(await look().rows()).toHaveLength(1);
    });
  });

  describe('the circuit of records', () => {
    it('opens after five failures and leaves rows as they are; checks do not feel it', async () => {
      const { accounting, fake, clock } = await start();
      const ids = await settleMany(accounting, 20);
      fake.fault('record', fakeFaults.serverError);
      await accounting.deliverDue(never());
      const asked = fake.requests.length;
      // Eight may be under way when the fifth fails.
      expect(asked).toBeLessThan(5 + 8);
      const untouched = (await look().rows()).filter(({ attempts }) => attempts === 0);
      expect(untouched).toHaveLength(20 - asked);
      await look().makeDue();
      await accounting.deliverDue(never());
      expect(fake.requests).toHaveLength(asked);
      expect(accounting.reachability()).toBe('degraded');
      expect(await accounting.check(checkOf())).toMatchObject({ kind: 'granted' });
      expect(accounting.reachability()).toBe('degraded');

      clock.advance(5_000);
      await accounting.deliverDue(never());
      expect(fake.requestsOf(ids[0] ?? '')).not.toEqual([]);
      expect(fake.requests.filter(({ operation }) => operation === 'record')).toHaveLength(asked + 1);

      fake.clearFaults();
      clock.advance(5_000);
      await look().makeDue();
      await vi.waitFor(async () => {
        await accounting.deliverDue(never());
        expect(await look().rows()).toEqual([]);
      });
      expect(accounting.reachability()).toBe('ok');
      for (const usageId of ids) expect(fake.chargesOf(usageId)).toHaveLength(1);
    });

    it('does not feel that of checks', async () => {
      const { accounting, fake } = await start();
      fake.fault('check', fakeFaults.serverError);
      for (let check = 0; check < 6; check += 1) await errorOf(accounting.check(checkOf()));
      expect(accounting.reachability()).toBe('degraded');
      await settle(accounting);
      await accounting.deliverDue(never());
      expect(await look().rows()).toEqual([]);
    });
  });

  describe('another instance', () => {
    it('delivers what one left that stopped, at once', async () => {
      const { accounting, another, fake } = await start();
      const usageId = await settle(accounting);
      fake.fault('record', fakeFaults.lateAnswer, 1);
      const stopping = new AbortController();
      const delivered = accounting.deliverDue(stopping.signal);
      await vi.waitFor(() => expect(fake.requests).toHaveLength(1));
      stopping.abort();
      await delivered;
      expect(await look().rows()).toMatchObject([{ attempts: 1, leasedBy: null, state: 'pending' }]);
      await another().deliverDue(never());
      expect(await look().rows()).toEqual([]);
      expect(fake.requests.map(({ answer }) => answer?.status)).toEqual([undefined, 409]);
      expect(fake.chargesOf(usageId)).toHaveLength(1);
    });

    it.each(['delivering', 'delivered'] as const)(
      'delivers what one left that died %s, once its lease is over',
      async (at) => {
        const { another, fake } = await start();
        let hasDied = false;
        const dead = another({
          probe: (point) => {
            hasDied ||= point === at;
            return hasDied ? new Promise<void>(() => undefined) : undefined;
          },
        });
        const usageId = await settle(dead);
        void dead.deliverDue(never());
        await vi.waitFor(() => expect(hasDied).toBe(true));
        const survivor = another();
        await survivor.deliverDue(never());
        expect(fake.requests).toHaveLength(at === 'delivering' ? 0 : 1);
        expect(await look().pauseOf(usageId)).toBeGreaterThan(20_000);
        await look().makeDue();
        await survivor.deliverDue(never());
        expect(await look().rows()).toEqual([]);
        expect(fake.chargesOf(usageId)).toHaveLength(1);
      },
    );

    it('takes no row from one that has it in hand, and one that lost it changes nothing', async () => {
      const { accounting, another, fake } = await start();
      const usageId = await settle(accounting);
      fake.fault('record', fakeFaults.hang, 1);
      const slow = accounting.deliverDue(never());
      await vi.waitFor(() => expect(fake.requests).toHaveLength(1));
      const other = another();
      await other.deliverDue(never());
      expect(fake.requests).toHaveLength(1);

      await look().makeDue();
      fake.fault('record', refusing(422), 1);
      await other.deliverDue(never());
      const taken = await look().row(usageId);
      expect(taken).toMatchObject({ attempts: 2, refusals: 1 });
      fake.answerHung();
      await slow;
      expect(fake.chargesOf(usageId)).toHaveLength(1);
      expect(await look().row(usageId)).toEqual(taken);
      await look().makeDue();
      await other.deliverDue(never());
      expect(await look().rows()).toEqual([]);
      expect(fake.chargesOf(usageId)).toHaveLength(1);
    });

    it('delivers at the same time: everything is charged once', async () => {
      const { accounting, another, fake } = await start();
      const ids = await settleMany(accounting, 30);
      let calls = 0;
      fake.fault('record', () => ((calls += 1) % 3 === 0 ? fakeFaults.lostAnswer : null));
      await using second = await (fixture.kind === 'postgres' ? fixture.open() : null);
      const instances = [accounting, another(second === null ? {} : { database: second }), another()];
      await vi.waitFor(async () => {
        await look().makeDue();
        await Promise.all(instances.map((instance) => instance.deliverDue(never())));
        expect(await look().rows()).toEqual([]);
      });
      for (const usageId of ids) expect(fake.chargesOf(usageId)).toHaveLength(1);
      expect(fake.totals('alice').spent).toBe(30 * 250_001);
    });
  });

  it('tells how much waits, and for how long', async () => {
    const { accounting } = await start();
    expect(await accounting.outboxStats()).toEqual({ pending: 0, parked: 0, oldestAgeMs: 0 });
    const usageId = await settle(accounting);
    await settle(accounting);
    const { query, tables, dialect } = fixture.database;
    const { accountingOutbox: outbox } = tables;
    await query
      .update(outbox)
      .set({ createdAt: dialect.nowPlus(-60_000) })
      .where(eq(outbox.usageId, usageId));
    const { oldestAgeMs, ...counts } = await accounting.outboxStats();
    expect(counts).toEqual({ pending: 2, parked: 0 });
    expect(Math.round(oldestAgeMs / 10_000)).toBe(6);
  });
});
