import { beforeEach, expect, it } from 'vitest';
import { createMessageReadsStore, type MessageOrder } from '../../../src/features/messages/message-reads-store.ts';
import { describeEachDatabase } from '../../support/databases.ts';
import { generationRow, messageRow, sessionRow, userRow } from '../../support/rows.ts';

describeEachDatabase('what is read of messages', (fixture) => {
  beforeEach(async () => {
    await fixture.clear();
    const { query, tables } = fixture.database;
    await query.insert(tables.users).values([userRow('ann'), userRow('bob')]);
    await query.insert(tables.sessions).values([
      { ...sessionRow('one', 'ann'), messageCount: 4 },
      { ...sessionRow('two', 'bob'), messageCount: 2 },
      { ...sessionRow('gone', 'ann'), deletedAt: new Date(0) },
    ]);
    // The second message has been deleted.
    await query
      .insert(tables.messages)
      .values([
        ...[1, 3, 4].map((sequence) => messageRow('one', sequence)),
        { ...messageRow('one', 5), role: 'assistant', status: 'streaming', content: '' },
        ...[1, 2].map((sequence) => messageRow('two', sequence)),
      ]);
  });

  const open = () => createMessageReadsStore(fixture.database);
  const fromStart = (offset = 0) => ({ after: null, offset });
  const beyond = (after: number) => ({ after, offset: 0 }) as const;

  it('pages in both orders, from an end and from a place', async () => {
    const reads = open();
    const sequences = async (order: MessageOrder, start: Parameters<typeof reads.list>[2], fetch: number) =>
      (await reads.list('one', order, start, fetch)).map(({ sequence }) => sequence);
    expect(await sequences('asc', fromStart(), 3)).toEqual([1, 3, 4]);
    expect(await sequences('asc', fromStart(3), 3)).toEqual([5]);
    expect(await sequences('asc', beyond(2), 2)).toEqual([3, 4]);
    expect(await sequences('desc', fromStart(), 3)).toEqual([5, 4, 3]);
    expect(await sequences('desc', beyond(4), 9)).toEqual([3, 1]);
    expect(await sequences('desc', beyond(1), 9)).toEqual([]);
  });

  it('has of a running answer what was stored so far', async () => {
    const { query, tables } = fixture.database;
    const generationId = 'one-5';
    await query.insert(tables.generations).values(generationRow(generationId, 'one', 1));
    const texts = ['So ', 'far'].map((text, index) => ({
      generationId,
      sequence: index,
      fence: 1,
      number: index,
      text,
    }));
    await query.insert(tables.generationSegments).values(texts);
    const [running, before] = await open().list('one', 'desc', fromStart(), 2);
    expect(running?.message).toMatchObject({ id: 'one-5', status: 'streaming', content: 'So far', usage: null });
    expect(before?.message).toMatchObject({ id: 'one-4', content: 'message 4', createdAt: '2026-01-02T03:04:05.678Z' });
  });

  it('knows whose a session is', async () => {
    const reads = open();
    expect(await reads.findSession('ann', 'one')).toEqual({ id: 'one', messageCount: 4 });
    expect(await reads.findSession('bob', 'one')).toBeNull();
    expect(await reads.findSession('ann', 'gone')).toBeNull();
  });

  it('answers each of many who ask at once', async () => {
    const reads = open();
    const read = async (session: string, order: MessageOrder, after: number) =>
      (await reads.list(session, order, beyond(after), 9)).map(({ message }) => message.id);
    const answers = await Promise.all([
      read('one', 'asc', 3),
      read('two', 'asc', 0),
      read('one', 'desc', 4),
      read('two', 'desc', 2),
      read('one', 'asc', 4),
    ]);
    expect(answers).toEqual([['one-4', 'one-5'], ['two-1', 'two-2'], ['one-3', 'one-1'], ['two-1'], ['one-5']]);
  });
});
