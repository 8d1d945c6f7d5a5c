import fc from 'fast-check';
import { codePointLength } from '@chat-service/shared/text';
import postgres from 'postgres';
import { eq } from 'drizzle-orm';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Principal } from '../../../src/clients/auth/principal.ts';
import type { Queryable } from '../../../src/db/database.ts';
import { createAccountsStore } from '../../../src/features/accounts/accounts-store.ts';
import { searchedPart, searchTextOf } from '../../../src/features/accounts/search-text.ts';
import { createUserOperations } from '../../../src/features/accounts/user-operations.ts';
import { createUsersStore } from '../../../src/features/accounts/users-store.ts';
import { describeEachDatabase, type DatabaseFixture } from '../../support/databases.ts';
import { userRow } from '../../support/rows.ts';
import { seed } from '../../../../shared/test/support/seed.ts';

const time = new Date('2026-01-02T03:04:05.678Z');

function principal(userId: string, claims: Partial<Principal> = {}): Principal {
  return { userId, username: null, email: null, role: 'enduser', plan: 'free', issuedAt: 1, expiresAt: 2, ...claims };
}

async function seen(fixture: DatabaseFixture, ...principals: Principal[]): Promise<void> {
  const store = createAccountsStore(fixture.database);
  for (const one of principals) await store.insertOrTouch(one, time, time);
}

/** Rows without the work of the upsert, for tests that are about many. */
async function insertMany(fixture: DatabaseFixture, ids: readonly string[], username: string): Promise<void> {
  const { query, tables } = fixture.database;
  const rows = ids.map((id) => ({ ...userRow(id), username, searchText: searchTextOf(principal(id, { username })) }));
  for (let at = 0; at < rows.length; at += 1000) await query.insert(tables.users).values(rows.slice(at, at + 1000));
}

describe('the text that is searched', () => {
  it.each([
    ['STRASSE', 'Straße'],
    ['ΟΔΥΣΣΕΥΣ', 'Οδυσσεύς'.normalize('NFD').replaceAll(/\p{M}/gu, '')],
    ['Ångström', 'A\u030Angstro\u0308m'],
    ['ﬁle', 'FILE'],
    ['Ｗｉｄｅ', 'wide'],
    ['ЁЖИК', 'ёжик'],
    ['İstanbul', 'istanbul'],
    ['I\u0307STANBUL', 'ıstanbul'],
    ['i\u0307\u0307\u0301', 'Í'],
  ])('is the same for %s and %s', (one, other) => {
    expect(searchedPart(one)).toBe(searchedPart(other));
  });

  it('stays the same when it is folded again', () => {
    const text = fc.string({
      unit: fc.constantFrom('a', 'I', 'i', 'İ', 'ı', 'ⁱ', 'ß', 'ς', '\u0307', '\u0301', '\u0323', '\u0328'),
      minLength: 3,
    });
    fc.assert(
      fc.property(text, (query) => {
        const folded = searchedPart(`abc${query}`);
        expect(searchedPart(folded)).toBe(folded);
      }),
      { seed },
    );
  });

  it('takes what is short, as it was sent or as it is compared, for a beginning', () => {
    const isBeginning = (query: string) => searchedPart(query) !== searchedPart(`xx${query}`).slice(2);
    expect(['a', 'ab', 'ß', 'ßa', '🙂🙂', 'e\u0301x'].map(isBeginning)).toEqual([true, true, true, true, true, true]);
    expect(['abc', '🙂🙂🙂', ' a ', '%_%'].map(isBeginning)).toEqual([false, false, false, false]);
  });
});

describeEachDatabase('searching users', (fixture) => {
  const search = (query: string, further: object = {}) =>
    createUserOperations(fixture.database).searchUsers({ query, limit: 100, ...further });
  const idsOf = async (query: string, further: object = {}) => (await search(query, further)).users.map(({ id }) => id);

  describe('a few of them', () => {
    beforeAll(async () => {
      await fixture.clear();
      await seen(
        fixture,
        principal('10-ada', { username: 'Ada Lovelace', email: 'ada@Example.com', role: 'admin' }),
        principal('20-bob', { username: '100%_sure\\', email: 'bob@example.com' }),
        principal('30-grete', { username: 'Grete Straßer', role: 'supervisor' }),
        principal('40-jurij', { username: 'Юрий', email: 'ada.two@mail.test' }),
        principal('50-cjk', { username: '山田太郎🙂' }),
        principal('60-nobody'),
        principal('70-grams', { username: 'wxyz xyzv' }),
        principal('80-dotted', { username: 'İlkay Çiçek' }),
      );
    });

    it.each([
      ['lovelace', ['10-ada']],
      ['LOVE', ['10-ada']],
      ['velac', ['10-ada']],
      ['a l', ['10-ada']],
      ['example.com', ['10-ada', '20-bob']],
      ['@ex', ['10-ada', '20-bob']],
      ['nobody', ['60-nobody']],
      ['0-n', ['60-nobody']],
      ['ada', ['10-ada', '40-jurij']],
      ['ad', ['10-ada', '40-jurij']],
      ['a', ['10-ada', '40-jurij']],
      ['da', []],
      ['10', ['10-ada', '20-bob']],
      ['0-', []],
      ['6', ['60-nobody']],
      ['%', []],
      ['%_s', ['20-bob']],
      ['0%_', ['20-bob']],
      ['re\\', ['20-bob']],
      ['___', []],
      ['1%e', []],
      ['STRASS', ['30-grete']],
      ['ßer', ['30-grete']],
      ['юр', ['40-jurij']],
      ['РИЙ', ['40-jurij']],
      ['рий', ['40-jurij']],
      ['山', ['50-cjk']],
      ['田太', []],
      ['田太郎', ['50-cjk']],
      ['太郎🙂', ['50-cjk']],
      ['🙂', []],
      // From the end of one field into the next.
      ['laceada', []],
      ['m10-ada', []],
      ['\u001fad', []],
      // All of it is there, but not in a row.
      ['wxyzv', []],
      ['ilk', ['80-dotted']],
      ['İL', ['80-dotted']],
      ['LKAY ÇİÇ', ['80-dotted']],
      ["' or 1=1 --", []],
    ])('finds by %j', async (query, expected) => {
      const { users, pagination } = await search(query);
      expect(users.map(({ id }) => id)).toEqual(expected);
      expect(pagination).toMatchObject({ total: expected.length, hasMore: false, nextCursor: null });
    });

    it('keeps to a role', async () => {
      expect(await idsOf('0-', { role: 'admin' })).toEqual([]);
      expect(await idsOf('ada', { role: 'admin' })).toEqual(['10-ada']);
      expect(await idsOf('ada', { role: 'supervisor' })).toEqual([]);
      expect(await idsOf('grete', { role: 'supervisor' })).toEqual(['30-grete']);
    });

    it('shows a user as their token does', async () => {
      expect((await search('lovelace')).users).toEqual([
        {
          id: '10-ada',
          username: 'Ada Lovelace',
          email: 'ada@Example.com',
          role: 'admin',
          plan: 'free',
          sessionCount: 0,
          lastSeenAt: time.toISOString(),
          createdAt: time.toISOString(),
        },
      ]);
    });
  });

  it('follows a name that changes', async () => {
    await fixture.clear();
    await seen(fixture, principal('1', { username: 'before' }));
    await createAccountsStore(fixture.database).updateClaims(principal('1', { username: 'After', issuedAt: 2 }));
    expect(await idsOf('before')).toEqual([]);
    expect(await idsOf('after')).toEqual(['1']);
  });

  it('finds what a naive search finds', async () => {
    const text = fc.string({
      unit: fc.constantFrom('a', 'B', 'ß', 'É', '%', '_', ' ', '🙂'),
      minLength: 1,
      maxLength: 6,
    });
    const person = fc.record({ username: fc.option(text), email: fc.option(text) });
    await fc.assert(
      fc.asyncProperty(
        fc.array(person, { minLength: 1, maxLength: 8 }),
        fc.array(text, { minLength: 5, maxLength: 5 }),
        async (people, queries) => {
          await fixture.clear();
          const all = people.map((claims, index) => principal(`id-${index}`, claims));
          await seen(fixture, ...all);
          const plain = (value: string) => value.toUpperCase().toLowerCase();
          for (const query of queries) {
            const wanted = plain(query);
            const isFound = (field: string | null) =>
              field !== null &&
              (codePointLength(query) < 3 ? plain(field).startsWith(wanted) : plain(field).includes(wanted));
            const expected = all.filter(({ userId, username, email }) => [userId, username, email].some(isFound));
            expect(await idsOf(query)).toEqual(expected.map(({ userId }) => userId));
          }
        },
      ),
      { seed, numRuns: process.env['SOAK'] === undefined ? 12 : 300 },
    );
  });

  describe('pages', () => {
    const ids = (from: number, to: number) =>
      Array.from({ length: to - from }, (_, index) => `user-${String(from + index).padStart(5, '0')}`);
    beforeEach(() => fixture.clear());

    it('by number and by cursor', async () => {
      await insertMany(fixture, ids(0, 5), 'paged');
      const base = { limit: 2, total: 5, totalPages: 3 };
      const first = await search('paged', { limit: 2 });
      expect(first.users.map(({ id }) => id)).toEqual(ids(0, 2));
      expect(first.pagination).toMatchObject({ ...base, page: 1, hasMore: true });
      expect(await idsOf('paged', { limit: 2, page: 2 })).toEqual(ids(2, 4));
      const last = await search('paged', { limit: 2, page: 3 });
      expect(last.users.map(({ id }) => id)).toEqual(ids(4, 5));
      expect(last.pagination).toEqual({ ...base, page: 3, hasMore: false, nextCursor: null });
      const past = await search('paged', { limit: 2, page: 4 });
      expect(past).toEqual({ users: [], pagination: { ...base, page: 4, hasMore: false, nextCursor: null } });

      const cursor = first.pagination.nextCursor ?? '';
      expect((await search('paged', { limit: 2, cursor })).pagination).toMatchObject({
        ...base,
        page: null,
        hasMore: true,
      });
      const { query, tables } = fixture.database;
      for (const id of [ids(1, 2)[0] ?? '', ids(2, 3)[0] ?? ''])
        await query.delete(tables.users).where(eq(tables.users.id, id));
      const after = await search('paged', { limit: 2, cursor });
      expect(after.users.map(({ id }) => id)).toEqual(ids(3, 5));
      expect(after.pagination).toMatchObject({ page: null, total: 3, hasMore: false, nextCursor: null });
      expect((await search('nobody')).pagination).toMatchObject({ total: 0, totalPages: 0, hasMore: false });
    });

    it('as far as 1,000 are counted, and beyond by cursor', async () => {
      await insertMany(fixture, ids(0, 1003), 'crowd');
      const last = await search('crowd', { page: 10 });
      expect(last.users.map(({ id }) => id)).toEqual(ids(900, 1000));
      expect(last.pagination).toMatchObject({ total: 1000, totalPages: 10, hasMore: true });
      expect(await search('crowd', { page: 11 })).toMatchObject({
        users: [],
        pagination: { total: 1000, hasMore: false },
      });
      const beyond = await search('crowd', { cursor: last.pagination.nextCursor });
      expect(beyond.users.map(({ id }) => id)).toEqual(ids(1000, 1003));
      expect(beyond.pagination).toMatchObject({ total: 1000, hasMore: false, nextCursor: null });
    });

    it('with the longest ids', async () => {
      const long = ['\u001f'.repeat(254) + 'a', '\u001f'.repeat(254) + 'b'];
      await insertMany(fixture, long, 'long');
      const { pagination } = await search('long', { limit: 1 });
      expect(pagination.nextCursor?.length).toBeLessThanOrEqual(2048);
      expect(await idsOf('long', { cursor: pagination.nextCursor })).toEqual(long.slice(1));
    });

    it.each([
      'unreadable',
      'IgAi',
      Buffer.from('"\\u0000"').toString('base64url'),
      Buffer.from('5').toString('base64url'),
    ])('refuse the cursor %s', async (cursor) => {
      await expect(search('any', { cursor })).rejects.toMatchObject({
        code: 'BAD_REQUEST',
        errors: [{ path: 'cursor' }],
      });
    });
  });

  // SQLite reads its index from end to end.
  if (fixture.kind === 'postgres') {
    it('reads no row by row on Postgres, however little is known of the table', async () => {
      await fixture.clear();
      const many = Array.from({ length: 2000 }, (_, index) => `${index.toString(16)}-planned`);
      await insertMany(fixture, many, 'Somebody');
      const client = postgres(fixture.url, { max: 1, onnotice: () => {} });
      try {
        for (const known of [false, true]) {
          if (known) await client`analyze users`;
          for (const query of ['planned', 'some', 'zzz', '...', 'юрий', 'so', 's', '%%%', 'ff-planned']) {
            const { sql, params } = await statementOf(query);
            const plan = (await client.unsafe<{ 'QUERY PLAN': string }[]>(`explain ${sql}`, params))
              .map((row) => row['QUERY PLAN'])
              .join('\n');
            expect(plan, query).not.toContain('Seq Scan');
            expect(plan, query).toMatch(/users_search|users_pkey/u);
          }
        }
      } finally {
        await client.end();
      }
    });
  }

  /** The very statement that the search sends. */
  async function statementOf(query: string) {
    const { database } = fixture;
    const sent: { toSQL(): { sql: string; params: unknown[] } }[] = [];
    const watched = new Proxy(database.query, {
      get(target, name): unknown {
        if (name !== 'select') return Reflect.get(target, name) as unknown;
        return (fields: Parameters<Queryable['select']>[0]) => ({
          from(table: typeof database.tables.users) {
            const statement = target.select(fields as never).from(table);
            sent.push(statement);
            return statement;
          },
        });
      },
    });
    await createUsersStore(database).search(watched, { part: searchedPart(query), after: null }, 1001);
    const [statement] = sent;
    if (statement === undefined) throw new Error('nothing was asked');
    const { sql, params } = statement.toSQL();
    return { sql, params: params as string[] };
  }
});
