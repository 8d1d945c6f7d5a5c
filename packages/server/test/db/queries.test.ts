import { and, asc, count, desc, eq, gt, inArray, lt, sql } from 'drizzle-orm';
import { beforeEach, describe, expect, it } from 'vitest';
import { isListedSession, isLiveGeneration } from '../../src/db/conditions.ts';
import { rowAfter, rowBefore } from '../../src/db/keyset.ts';
import { describeEachDatabase } from '../support/databases.ts';
import { generationRow, sessionRow, userRow } from '../support/rows.ts';

describeEachDatabase('queries', (fixture) => {
  beforeEach(async () => {
    await fixture.clear();
    const { query, tables } = fixture.database;
    await query.insert(tables.users).values([userRow('user'), userRow('other')]);
    await query.insert(tables.sessions).values([sessionRow('s1', 'user'), sessionRow('s2', 'user')]);
  });

  it('reads back what was written, value for value', async () => {
    const { query, tables } = fixture.database;
    const row = {
      ...sessionRow('s3', 'user'),
      title: 'ein „Titel“ 日本語 🎉 \\ \' " $1 ?',
      modelId: null,
      systemPrompt: null,
      parameters: { temperature: 0.25, maxTokens: 7 },
      metadata: { 'a.b': '{"c":[1,null]}', quote: "'" },
      temporary: true,
      lastMessageAt: new Date('1999-12-31T23:59:59.999Z'),
      activeGenerationId: null,
      deletedAt: null,
    };
    const defaults = { messageCount: 0, nextSequence: 1, fence: 0, logFence: 0, logNumber: 0 };
    const [inserted] = await query.insert(tables.sessions).values(row).returning();
    expect(inserted).toEqual({ ...row, ...defaults });
    const [read] = await query.select().from(tables.sessions).where(eq(tables.sessions.id, 's3'));
    expect(read).toEqual({ ...row, ...defaults });
    const [user] = await query
      .update(tables.users)
      .set({ claimsIssuedAt: 4_102_444_800 })
      .where(eq(tables.users.id, 'user'))
      .returning();
    expect(user?.claimsIssuedAt).toBe(4_102_444_800);
  });

  it('tells by returning which rows an update, a delete and an ignored insert touched', async () => {
    const { query, tables } = fixture.database;
    const { sessions } = tables;
    const updated = await query
      .update(sessions)
      .set({ fence: sql`${sessions.fence} + 1`, title: null })
      .where(and(inArray(sessions.id, ['s1', 's2', 'missing']), eq(sessions.fence, 0)))
      .returning({ id: sessions.id, fence: sessions.fence });
    expect(updated.toSorted((a, b) => a.id.localeCompare(b.id))).toEqual([
      { id: 's1', fence: 1 },
      { id: 's2', fence: 1 },
    ]);
    expect(
      await query.update(sessions).set({ fence: 9 }).where(eq(sessions.fence, 0)).returning({ id: sessions.id }),
    ).toEqual([]);
    const ignored = await query
      .insert(sessions)
      .values([sessionRow('s2', 'user'), sessionRow('s3', 'user')])
      .onConflictDoNothing()
      .returning({ id: sessions.id });
    expect(ignored).toEqual([{ id: 's3' }]);
    expect(await query.delete(sessions).where(eq(sessions.id, 's3')).returning({ id: sessions.id })).toEqual([
      { id: 's3' },
    ]);
  });

  it('updates on conflict only where the condition holds', async () => {
    const { query, tables } = fixture.database;
    const { users } = tables;
    const upsert = (claimsIssuedAt: number, username: string) =>
      query
        .insert(users)
        .values({ ...userRow('user'), claimsIssuedAt, username })
        .onConflictDoUpdate({
          target: users.id,
          set: { claimsIssuedAt: sql`excluded.claims_issued_at`, username: sql`excluded.username` },
          setWhere: sql`coalesce(${users.claimsIssuedAt}, 0) <= excluded.claims_issued_at`,
        })
        .returning({ username: users.username });
    expect(await upsert(10, 'newer')).toEqual([{ username: 'newer' }]);
    expect(await upsert(5, 'older')).toEqual([]);
  });

  it('pages by a row value, in both directions', async () => {
    const { query, tables } = fixture.database;
    const { sessions } = tables;
    const [early, late] = [new Date(1_000), new Date(2_000)];
    await query.insert(sessions).values([
      { ...sessionRow('a', 'other'), sortAt: early },
      { ...sessionRow('b', 'other'), sortAt: late },
      { ...sessionRow('c', 'other'), sortAt: late },
      { ...sessionRow('d', 'other'), sortAt: late, deletedAt: late },
    ]);
    const page = async (condition: ReturnType<typeof rowBefore>, order: typeof desc) => {
      const rows = await query
        .select({ id: sessions.id })
        .from(sessions)
        .where(and(eq(sessions.userId, 'other'), isListedSession(sessions), condition))
        .orderBy(order(sessions.sortAt), order(sessions.id));
      return rows.map((row) => row.id);
    };
    const at = (sortAt: Date, id: string) =>
      [
        [sessions.sortAt, sortAt],
        [sessions.id, id],
      ] as const;
    expect(await page(rowBefore(at(late, 'c')), desc)).toEqual(['b', 'a']);
    expect(await page(rowBefore(at(late, 'b')), desc)).toEqual(['a']);
    expect(await page(rowAfter(at(early, 'a')), asc)).toEqual(['b', 'c']);
  });

  it('counts, joins and groups', async () => {
    const { query, tables } = fixture.database;
    const { sessions, users } = tables;
    expect(await query.$count(sessions, eq(sessions.userId, 'user'))).toBe(2);
    const rows = await query
      .select({ id: users.id, sessions: count(sessions.id) })
      .from(users)
      .leftJoin(sessions, eq(sessions.userId, users.id))
      .groupBy(users.id)
      .orderBy(users.id);
    expect(rows).toEqual([
      { id: 'other', sessions: 0 },
      { id: 'user', sessions: 2 },
    ]);
  });

  it('cascades from a session to what belongs to it', async () => {
    const { query, tables } = fixture.database;
    await query.insert(tables.generations).values(generationRow('g1', 's1', 1));
    await query
      .insert(tables.generationSegments)
      .values({ generationId: 'g1', sequence: 1, fence: 1, number: 1, text: 'text' });
    await query.delete(tables.sessions).where(eq(tables.sessions.id, 's1'));
    expect(await query.select().from(tables.generations)).toEqual([]);
    expect(await query.select().from(tables.generationSegments)).toEqual([]);
  });

  describe('at most one live generation a session', () => {
    it('is held by the database', async () => {
      const { query, tables, dialect } = fixture.database;
      const { generations } = tables;
      await query.insert(generations).values(generationRow('g1', 's1', 1));
      await query.insert(generations).values(generationRow('g2', 's2', 1));
      const second: unknown = await query
        .insert(generations)
        .values({ ...generationRow('g3', 's1', 2), status: 'running' })
        .catch((error: unknown) => error);
      expect(dialect.isUniqueViolation(second)).toBe(true);
      await query.update(generations).set({ status: 'complete' }).where(eq(generations.id, 'g1'));
      await query.insert(generations).values(generationRow('g3', 's1', 2));
      const live = await query
        .select({ id: generations.id })
        .from(generations)
        .where(isLiveGeneration(generations))
        .orderBy(generations.id);
      expect(live.map((row) => row.id)).toEqual(['g2', 'g3']);
    });

    it('makes a second claim a row that is not there, without an error', async () => {
      const { query, tables } = fixture.database;
      const { generations } = tables;
      await query.insert(generations).values(generationRow('g1', 's1', 1));
      const claimed = await query
        .insert(generations)
        .values(generationRow('g2', 's1', 2))
        .onConflictDoNothing()
        .returning({ id: generations.id });
      expect(claimed).toEqual([]);
    });
  });

  describe("the database's clock", () => {
    it('is in milliseconds, moves, and is comparable to what was stored', async () => {
      const { query, tables, dialect } = fixture.database;
      const { users } = tables;
      const before = Date.now();
      const [row] = await query
        .update(users)
        .set({ lastSeenAt: dialect.now() })
        .where(eq(users.id, 'user'))
        .returning({ stored: users.lastSeenAt, now: dialect.now(), later: dialect.nowPlus(86_400_000) });
      if (row === undefined) throw new Error('no row');
      // A server elsewhere has a clock of its own; that it is the same minute shows unit and time zone.
      expect(Math.abs(row.stored.getTime() - before)).toBeLessThan(60_000);
      expect(row.now.getTime()).toBeGreaterThanOrEqual(row.stored.getTime());
      const day = row.later.getTime() - row.now.getTime();
      expect(Math.abs(day - 86_400_000)).toBeLessThan(60_000);
      expect(await query.$count(users, and(eq(users.id, 'user'), gt(users.lastSeenAt, dialect.now())))).toBe(0);
    });

    it('decides about leases', async () => {
      const { query, tables, dialect } = fixture.database;
      const { generations } = tables;
      await query.insert(generations).values([
        { ...generationRow('expired', 's1', 1), leaseExpiresAt: dialect.nowPlus(-60_000) },
        { ...generationRow('held', 's2', 1), leaseExpiresAt: dialect.nowPlus(60_000) },
      ]);
      const expired = () =>
        query
          .select({ id: generations.id })
          .from(generations)
          .where(and(isLiveGeneration(generations), lt(generations.leaseExpiresAt, dialect.now())));
      expect(await expired()).toEqual([{ id: 'expired' }]);
      await query.update(generations).set({ leaseExpiresAt: dialect.nowPlus(15_000) });
      expect(await expired()).toEqual([]);
    });

    it('moves inside a transaction', async () => {
      const { transaction, tables, dialect } = fixture.database;
      const { users } = tables;
      const moved = await transaction(async (tx) => {
        const read = async () => {
          const [row] = await tx.select({ now: dialect.now() }).from(users).limit(1);
          return row?.now.getTime() ?? 0;
        };
        const first = await read();
        for (;;) if ((await read()) > first) return true;
      });
      expect(moved).toBe(true);
    });
  });

  it('answers a ping', async () => {
    await expect(fixture.database.ping()).resolves.toBeUndefined();
  });
});
