import BetterSqlite3 from 'better-sqlite3';
import { asc, eq, sql } from 'drizzle-orm';
import { drizzle as drizzleSqlite } from 'drizzle-orm/better-sqlite3';
import { drizzle as drizzlePostgres } from 'drizzle-orm/node-postgres';
import pg from 'pg';
import { beforeEach, expect, it } from 'vitest';
import { parseDatabaseUrl } from '../../src/db/database-url.ts';
import type { Queryable } from '../../src/db/database.ts';
import { describeEachDatabase } from '../support/databases.ts';
import { sessionRow, userRow } from '../support/rows.ts';

/** Drizzle over the driver as it comes, for what it makes of a row. */
function openStock(url: string): { query: Queryable } & AsyncDisposable {
  const location = parseDatabaseUrl(url);
  if (location.kind === 'sqlite') {
    const connection = new BetterSqlite3(location.file);
    const parts: { query: unknown } = { query: drizzleSqlite(connection) };
    return { ...(parts as { query: Queryable }), [Symbol.asyncDispose]: async () => void connection.close() };
  }
  const pool = new pg.Pool({ connectionString: location.url, max: 1 });
  return { query: drizzlePostgres(pool), [Symbol.asyncDispose]: () => pool.end() };
}

describeEachDatabase('rows', (fixture) => {
  beforeEach(async () => {
    await fixture.clear();
    const { query, tables } = fixture.database;
    await query.insert(tables.users).values([userRow('user'), { ...userRow('other'), claimsIssuedAt: 4_102_444_800 }]);
    const full = {
      title: 'A title',
      modelId: 'demo',
      systemPrompt: '',
      parameters: { temperature: 0.5 },
      metadata: { key: '{"not": "read"}' },
      temporary: true,
      messageCount: 3,
      lastMessageAt: new Date('2026-01-02T03:04:05.006Z'),
      activeGenerationId: 'generation',
      deletedAt: new Date(0),
    };
    await query
      .insert(tables.sessions)
      .values([sessionRow('plain', 'user'), { ...sessionRow('full', 'user'), ...full }]);
  });

  it('are the objects that Drizzle makes of them, whatever is selected', async () => {
    const { tables } = fixture.database;
    const { sessions, users } = tables;
    const selections: ((query: Queryable) => PromiseLike<unknown[]>)[] = [
      (query) => query.select().from(users).orderBy(asc(users.id)),
      (query) => query.select().from(sessions).orderBy(asc(sessions.id)),
      (query) =>
        query
          .select({
            sessionId: sessions.id,
            upper: sql<string>`upper(${sessions.id})`,
            time: sql<Date>`${sessions.lastMessageAt}`.mapWith(sessions.lastMessageAt),
            flag: sql<boolean>`${sessions.temporary}`.mapWith(sessions.temporary),
            named: sql<string>`lower(${sessions.userId})`.as('named'),
          })
          .from(sessions)
          .orderBy(asc(sessions.id)),
      (query) =>
        query
          .select({ user: users, session: sessions, count: users.sessionCount })
          .from(users)
          .leftJoin(sessions, eq(sessions.userId, users.id))
          .orderBy(asc(users.id), asc(sessions.id)),
      (query) =>
        query.select().from(users).innerJoin(sessions, eq(sessions.userId, users.id)).orderBy(asc(sessions.id)),
      (query) => query.update(sessions).set({ fence: 7 }).where(eq(sessions.id, 'full')).returning(),
      (query) =>
        query
          .update(users)
          .set({ plan: 'paid' })
          .where(eq(users.id, 'user'))
          .returning({ seen: users.lastSeenAt, plan: users.plan }),
    ];
    await using stock = openStock(fixture.url);
    for (const select of selections) {
      const rows = await select(fixture.database.query);
      expect(rows).not.toEqual([]);
      expect(rows).toStrictEqual(await select(stock.query));
      expect(await fixture.database.transaction(async (tx) => select(tx))).toStrictEqual(rows);
    }
  });
});
