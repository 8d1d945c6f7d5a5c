import { beforeEach, expect, it } from 'vitest';
import { createSessionReadsStore, type SessionPage } from '../../../src/features/sessions/session-reads-store.ts';
import { describeEachDatabase } from '../../support/databases.ts';
import { sessionRow, userRow } from '../../support/rows.ts';

describeEachDatabase('what is read of sessions', (fixture) => {
  const sortAt = (minute: number) => new Date(Date.UTC(2026, 0, 1, 0, minute));
  /** `ann` has five sessions, `ann-1` the oldest; `bob` has three. */
  const counts = { ann: 5, bob: 3 };

  beforeEach(async () => {
    await fixture.clear();
    const { query, tables } = fixture.database;
    for (const [user, sessionCount] of Object.entries(counts)) {
      await query.insert(tables.users).values({ ...userRow(user), sessionCount });
      const numbers = Array.from({ length: sessionCount }, (_, index) => index + 1);
      // Two and three are of one moment.
      const rows = numbers.map((number) => ({
        ...sessionRow(`${user}-${number}`, user),
        sortAt: sortAt(number === 3 ? 2 : number),
      }));
      await query.insert(tables.sessions).values(rows);
    }
    await query.insert(tables.sessions).values([
      { ...sessionRow('ann-gone', 'ann'), sortAt: sortAt(9), deletedAt: sortAt(10) },
      { ...sessionRow('ann-hidden', 'ann'), sortAt: sortAt(9), temporary: true },
    ]);
  });

  const open = () => createSessionReadsStore(fixture.database);
  const idsOf = ({ rows }: SessionPage) => rows.map(({ id }) => id);

  it('pages from the newest on, without what is deleted or temporary', async () => {
    const reads = open();
    expect(idsOf(await reads.list('ann', { after: null, offset: 0 }, 3))).toEqual(['ann-5', 'ann-4', 'ann-3']);
    expect(idsOf(await reads.list('ann', { after: null, offset: 3 }, 3))).toEqual(['ann-2', 'ann-1']);
    const after = { sortAt: sortAt(2), id: 'ann-3' };
    expect(idsOf(await reads.list('ann', { after, offset: 0 }, 1))).toEqual(['ann-2']);
    expect(idsOf(await reads.list('ann', { after: { ...after, id: 'ann-2' }, offset: 0 }, 9))).toEqual(['ann-1']);
  });

  it('counts all that are listed, whatever page is asked for', async () => {
    const reads = open();
    const position = (minute: number) => ({ after: { sortAt: sortAt(minute), id: '' }, offset: 0 }) as const;
    const top = { after: null, offset: 0 } as const;
    for (const start of [top, { after: null, offset: 4 } as const, position(3)]) {
      expect((await reads.list('ann', start, 2)).total).toBe(5);
    }
    for (const start of [{ after: null, offset: 5 } as const, { after: null, offset: 1e15 } as const, position(0)]) {
      expect(await reads.list('ann', start, 2)).toEqual({ rows: [], total: 5 });
    }
    expect(await reads.list('nobody', top, 2)).toEqual({ rows: [], total: 0 });
  });

  it('finds a session of its user, listed or not, and no other', async () => {
    const reads = open();
    expect(await reads.find('ann', 'ann-hidden')).toMatchObject({ id: 'ann-hidden', temporary: true, parameters: {} });
    expect(await reads.find('bob', 'ann-1')).toBeNull();
    expect(await reads.find('ann', 'ann-gone')).toBeNull();
  });

  it('answers each of many who ask at once', async () => {
    const reads = open();
    const asked = Array.from({ length: 12 }, (_, index) => ({
      user: index % 2 === 0 ? ('ann' as const) : ('bob' as const),
      fetch: 1 + (index % 3),
      minute: 5 - (index % 4),
    }));
    const answers = await Promise.all(
      asked.map(async ({ user, fetch, minute }) => {
        const after = { sortAt: sortAt(minute), id: '' };
        const top = { after: null, offset: 0 } as const;
        const [older, newest] = await Promise.all([
          reads.list(user, { after, offset: 0 }, fetch),
          reads.list(user, top, fetch),
        ]);
        return { older: idsOf(older), newest: idsOf(newest), totals: [older.total, newest.total] };
      }),
    );
    for (const [index, { user, fetch, minute }] of asked.entries()) {
      const ids = Array.from({ length: counts[user] }, (_, number) => `${user}-${counts[user] - number}`);
      const minuteOf = (id: string) => (id.endsWith('-3') ? 2 : Number(id.at(-1)));
      expect(answers[index]).toEqual({
        older: ids.filter((id) => minuteOf(id) < minute).slice(0, fetch),
        newest: ids.slice(0, fetch),
        totals: [counts[user], counts[user]],
      });
    }
  });
});
