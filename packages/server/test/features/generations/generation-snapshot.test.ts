import { eq } from 'drizzle-orm';
import { beforeEach, expect, it } from 'vitest';
import { createReadSnapshot } from '../../../src/features/generations/generation-snapshot.ts';
import { createGenerationsStore } from '../../../src/features/generations/generations-store.ts';
import { createMessageStore } from '../../../src/features/generations/message-store.ts';
import { createSegmentsStore } from '../../../src/features/generations/segments-store.ts';
import { describeEachDatabase } from '../../support/databases.ts';
import { generationRow, sessionRow, userRow } from '../../support/rows.ts';

const sessionId = 'session';
const generationId = 'generation';
const time = new Date('2026-01-02T03:04:05.678Z');

describeEachDatabase('a snapshot of a generation', (fixture) => {
  beforeEach(async () => {
    await fixture.clear();
    const { query, tables } = fixture.database;
    await query.insert(tables.users).values(userRow('user'));
    await query.insert(tables.sessions).values(sessionRow(sessionId, 'user'));
    await query.insert(tables.generations).values(generationRow(generationId, sessionId, 1));
  });

  /** Reads while something happens between the look at the message and the look at the generation. */
  function readWhile(happens: () => Promise<void>) {
    const { database } = fixture;
    const store = createGenerationsStore(database);
    const read = createReadSnapshot({
      database,
      messages: createMessageStore(database),
      segments: createSegmentsStore(database),
      store: {
        ...store,
        async find(tx, id) {
          await happens();
          return store.find(tx, id);
        },
      },
    });
    return read(generationId);
  }

  async function admit(): Promise<void> {
    const { query, tables } = fixture.database;
    await query.insert(tables.messages).values({
      id: generationId,
      sessionId,
      sequence: 1,
      role: 'assistant',
      content: '',
      status: 'streaming',
      createdAt: time,
      updatedAt: time,
    });
    await query.update(tables.generations).set({ status: 'running' }).where(eq(tables.generations.id, generationId));
  }

  it('has no message before admission', async () => {
    expect(await readWhile(async () => undefined)).toMatchObject({ message: null, row: { status: 'reserving' } });
  });

  it('is whole when the generation is admitted meanwhile', async () => {
    expect(await readWhile(admit)).toMatchObject({
      message: { id: generationId, status: 'streaming', content: '' },
      row: { status: 'running' },
      endPosition: null,
    });
  });

  it('is null once the message is gone', async () => {
    await admit();
    const { query, tables } = fixture.database;
    await query.delete(tables.messages).where(eq(tables.messages.id, generationId));
    expect(await readWhile(async () => undefined)).toBeNull();
  });
});
