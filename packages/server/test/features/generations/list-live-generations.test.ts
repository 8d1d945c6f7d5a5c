import { beforeEach, expect, it } from 'vitest';
import { loadTokenCounter } from '../../../src/features/generations/count-tokens.ts';
import { createListLiveGenerations } from '../../../src/features/generations/list-live-generations.ts';
import { describeEachDatabase } from '../../support/databases.ts';
import { generationRow, sessionRow, userRow } from '../../support/rows.ts';

describeEachDatabase('the list of what is being written', (fixture) => {
  beforeEach(async () => {
    await fixture.clear();
    const { query, tables } = fixture.database;
    await query.insert(tables.users).values(userRow('user'));
  });

  const list = (limit = 1000) => createListLiveGenerations({ database: fixture.database, loadTokenCounter })(limit);
  const at = (second: number) => new Date(Date.UTC(2026, 0, 1, 0, 0, second));

  /** An answer that was admitted at this second, with its stored text in pieces. */
  async function running(name: string, second: number, pieces: readonly string[] = [], changes: object = {}) {
    const { query, tables } = fixture.database;
    await query.insert(tables.sessions).values({ ...sessionRow(name, 'user'), ...changes });
    await query
      .insert(tables.generations)
      .values({ ...generationRow(name, name, 1), status: 'running', admittedAt: at(second), ...changes });
    const rows = pieces.map((text, sequence) => ({
      generationId: name,
      sequence,
      fence: 1,
      number: sequence + 1,
      text,
    }));
    if (rows.length > 0) await query.insert(tables.generationSegments).values(rows);
  }

  it('begins with the one that began last', async () => {
    await running('first', 1);
    await running('third', 3);
    await running('second', 2);
    const found = await list();
    expect(found.map(({ session }) => session.id)).toEqual(['third', 'second', 'first']);
    expect(found[0]).toMatchObject({ modelId: 'demo', startedAt: at(3), outputTokens: 0, session: { userId: 'user' } });
    expect((await list(2)).map(({ session }) => session.id)).toEqual(['third', 'second']);
  });

  it('leaves out what is not admitted, what is over, and what is deleted', async () => {
    await running('reserving', 1, [], { status: 'reserving', admittedAt: null });
    await running('complete', 2, [], { status: 'complete' });
    await running('deleted', 3, [], { deletedAt: at(4) });
    expect(await list()).toEqual([]);
  });

  it('counts the tokens of a short text, and takes a long one to go on as it begins', async () => {
    const count = await loadTokenCounter();
    const short = ['Hello', ' there, ', 'wide 🙂 world.'];
    const sentence = 'The quick brown fox jumps over the lazy dog. ';
    const long = Array.from({ length: 40 }, () => sentence.repeat(10));
    await running('short', 1, short);
    await running('long', 2, long);
    const [longest, shortest] = await list();
    expect(shortest?.outputTokens).toBe(count(short.join('')));
    const exact = count(long.join(''));
    expect(Math.abs((longest?.outputTokens ?? 0) - exact)).toBeLessThan(exact / 50);
  });
});
