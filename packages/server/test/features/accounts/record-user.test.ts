import { eq } from 'drizzle-orm';
import { beforeEach, expect, it } from 'vitest';
import type { Principal } from '../../../src/clients/auth/principal.ts';
import type { Database } from '../../../src/db/database.ts';
import { createRecordUser } from '../../../src/features/accounts/record-user.ts';
import { searchTextOf } from '../../../src/features/accounts/search-text.ts';
import { createManualClock } from '../../clients/auth/manual-clock.ts';
import { describeEachDatabase } from '../../support/databases.ts';

const minute = 60_000;

function principal(changes: Partial<Principal> = {}): Principal {
  return {
    userId: 'user-1',
    username: 'ada',
    email: 'ada@example.com',
    role: 'enduser',
    plan: 'free',
    issuedAt: 1_000,
    expiresAt: 2_000,
    ...changes,
  };
}

describeEachDatabase('the users row', (fixture) => {
  beforeEach(() => fixture.clear());

  /** One instance of the service; `statements()` counts what it asked of the database. */
  function setUp(clock = createManualClock()) {
    const { query, tables } = fixture.database;
    let statements = 0;
    const counted: Database['query'] = new Proxy(query, {
      get(target, name, receiver) {
        if (['select', 'insert', 'update', 'delete'].includes(String(name))) statements += 1;
        return Reflect.get(target, name, receiver) as unknown;
      },
    });
    const recordUser = createRecordUser({ database: { query: counted, tables }, clock });
    return { recordUser, clock, statements: () => statements };
  }

  async function rows() {
    const { query, tables } = fixture.database;
    return query.select().from(tables.users).orderBy(tables.users.id);
  }

  async function claims() {
    const [row] = await rows();
    return row === undefined ? undefined : [row.username, row.role, row.claimsIssuedAt];
  }

  it('is made by the first request', async () => {
    const { recordUser, clock } = setUp();
    await recordUser(principal());
    const now = new Date(clock.now());
    expect(await rows()).toEqual([
      {
        id: 'user-1',
        username: 'ada',
        email: 'ada@example.com',
        role: 'enduser',
        plan: 'free',
        claimsIssuedAt: 1_000,
        sessionCount: 0,
        searchText: searchTextOf(principal()),
        lastSeenAt: now,
        createdAt: now,
      },
    ]);
  });

  it('is one row for many first requests at once, also at several instances', async () => {
    const instances = [setUp(), setUp(), setUp()];
    const calls = instances.flatMap(({ recordUser }) => Array.from({ length: 10 }, () => recordUser(principal())));
    await Promise.all(calls);
    expect(await rows()).toHaveLength(1);
    for (const { statements } of instances) expect(statements()).toBe(2);
  });

  it('costs no statement for what is recorded', async () => {
    const { recordUser, clock, statements } = setUp();
    await recordUser(principal());
    const before = statements();
    for (let second = 0; second < 299; second += 1) {
      clock.advance(1_000);
      await recordUser(principal({ expiresAt: 2_000 + second }));
    }
    expect(statements()).toBe(before);
  });

  it.each([{ username: 'countess' }, { email: null }, { role: 'supervisor' }, { plan: 'pro' }] as const)(
    'follows changed claims with a later iat: %j',
    async (change) => {
      const { recordUser } = setUp();
      await recordUser(principal());
      await recordUser(principal({ ...change, issuedAt: 1_001 }));
      expect(await rows()).toMatchObject([{ ...change, claimsIssuedAt: 1_001 }]);
    },
  );

  it('keeps what a newer token brought, in whatever order older ones come, at any instance', async () => {
    const { recordUser } = setUp();
    await recordUser(principal({ username: 'newer', issuedAt: 1_010 }));
    for (const issuedAt of [1_010, 1_009, 1, null]) await recordUser(principal({ username: 'older', issuedAt }));
    expect(await claims()).toEqual(['newer', 'enduser', 1_010]);
    for (const issuedAt of [1_010, 1_009, null]) {
      await setUp().recordUser(principal({ username: 'older', issuedAt }));
      expect(await claims()).toEqual(['newer', 'enduser', 1_010]);
    }
    await setUp().recordUser(principal({ username: 'newest', issuedAt: 1_011 }));
    expect(await claims()).toEqual(['newest', 'enduser', 1_011]);
  });

  it('takes no older claims after a newer token with the same ones', async () => {
    const { recordUser } = setUp();
    await recordUser(principal({ username: 'ada', issuedAt: 1_000 }));
    await recordUser(principal({ username: 'ada', issuedAt: 1_020 }));
    await setUp().recordUser(principal({ username: 'old', issuedAt: 1_010 }));
    expect(await claims()).toEqual(['ada', 'enduser', 1_020]);
  });

  it('takes claims without iat while it has none, and claims with one at once', async () => {
    const { recordUser } = setUp();
    await recordUser(principal({ username: 'first', issuedAt: null }));
    await recordUser(principal({ username: 'second', issuedAt: null }));
    expect(await claims()).toEqual(['second', 'enduser', null]);
    await recordUser(principal({ username: 'third', issuedAt: 1 }));
    expect(await claims()).toEqual(['third', 'enduser', 1]);
    await recordUser(principal({ username: 'fourth', issuedAt: null }));
    expect(await claims()).toEqual(['third', 'enduser', 1]);
  });

  it.each([1_000.75, 0, -5, 8_640_000_000_000])('stores iat %d in whole seconds', async (issuedAt) => {
    await setUp().recordUser(principal({ issuedAt }));
    expect(await claims()).toEqual(['ada', 'enduser', Math.floor(issuedAt)]);
  });

  it('says when the user was last seen, to five minutes', async () => {
    const { recordUser, clock } = setUp();
    const start = clock.now();
    const lastSeen = async () => ((await rows())[0]?.lastSeenAt.getTime() ?? NaN) - start;
    await recordUser(principal());
    clock.advance(5 * minute - 1);
    await recordUser(principal({ plan: 'pro', issuedAt: 1_001 }));
    expect(await lastSeen()).toBe(0);
    clock.advance(1);
    await recordUser(principal());
    expect(await lastSeen()).toBe(5 * minute);

    // Another instance, or this one started anew, writes no sooner either.
    clock.advance(4 * minute);
    await setUp(clock).recordUser(principal());
    expect(await lastSeen()).toBe(5 * minute);
    clock.advance(1 * minute);
    await setUp(clock).recordUser(principal());
    expect(await lastSeen()).toBe(10 * minute);
  });

  it('keeps its counter and its birthday', async () => {
    const { recordUser, clock } = setUp();
    const { query, tables } = fixture.database;
    const createdAt = new Date(clock.now());
    await recordUser(principal());
    await query.update(tables.users).set({ sessionCount: 3 }).where(eq(tables.users.id, 'user-1'));
    clock.advance(60 * minute);
    await recordUser(principal({ plan: 'pro', issuedAt: 5_000 }));
    expect(await rows()).toMatchObject([{ sessionCount: 3, createdAt, plan: 'pro' }]);
  });

  it('is each user’s own', async () => {
    const { recordUser } = setUp();
    const ids = ['user-1', 'USER-1', 'user-1 ', '😀'.repeat(255)];
    await Promise.all(ids.map((userId) => recordUser(principal({ userId, username: userId }))));
    const stored = await rows();
    expect(stored.map((row) => row.id).toSorted()).toEqual(ids.toSorted());
    for (const row of stored) expect(row.username).toBe(row.id);
  });

  it('is tried again after the database failed, and every caller is told', async () => {
    const { query, tables } = fixture.database;
    let isBroken = true;
    const fragile: Database['query'] = new Proxy(query, {
      get(target, name, receiver) {
        if (isBroken) throw new Error('no database');
        return Reflect.get(target, name, receiver) as unknown;
      },
    });
    const recordUser = createRecordUser({ database: { query: fragile, tables }, clock: createManualClock() });
    const outcomes = await Promise.allSettled([1, 2, 3].map(() => recordUser(principal())));
    expect(outcomes.map((outcome) => outcome.status)).toEqual(['rejected', 'rejected', 'rejected']);
    isBroken = false;
    await recordUser(principal());
    expect(await rows()).toHaveLength(1);
  });
});
