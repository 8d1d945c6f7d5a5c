import { randomUUID } from 'node:crypto';
import postgres from 'postgres';
import { expect, it } from 'vitest';
import { createAuditStore, type AuditedAct } from '../../../src/features/supervision/audit-store.ts';
import { createReadAuditLog } from '../../../src/features/supervision/read-audit-log.ts';
import { createRecordAudit } from '../../../src/features/supervision/record-audit.ts';
import { newUuid } from '../../../src/platform/ids.ts';
import { createManualClock } from '../../platform/manual-clock.ts';
import { describeEachDatabase } from '../../support/databases.ts';

describeEachDatabase('the audit log', (fixture) => {
  /** Nothing can be removed from the log, so that each test has an actor of its own. */
  function setUp() {
    const { database } = fixture;
    const clock = createManualClock();
    const audit = createAuditStore({ database, clock, newId: newUuid });
    const actorId = randomUUID();
    const act = (changes: Partial<AuditedAct> = {}) => ({
      actorId,
      actorRole: 'supervisor' as const,
      action: 'user.session' as const,
      subjectId: 'alice',
      sessionId: null,
      clientAddress: '192.0.2.1',
      requestId: 'request',
      reason: null,
      ...changes,
    });
    const record = createRecordAudit({ database, audit });
    const readAll = createReadAuditLog({ database, audit });
    const read = async (further: Parameters<typeof readAll>[0] = {}) => {
      const { entries, pagination } = await readAll({ actorId, ...further });
      return { reasons: entries.map(({ reason }) => reason), entries, pagination };
    };
    const write = async (...reasons: string[]) => {
      for (const reason of reasons) await record(act({ reason }));
    };
    return { actorId, act, audit, clock, read, record, write };
  }

  it('holds who did what, when and why', async () => {
    const { act, actorId, clock, read, record } = setUp();
    const sessionId = randomUUID();
    await record(act({ sessionId, reason: 'Ticket 4711' }));
    const { entries } = await read();
    expect(entries).toEqual([
      {
        id: expect.stringMatching(/^[0-9a-f-]{36}$/u),
        at: new Date(clock.now()).toISOString(),
        actorId,
        actorRole: 'supervisor',
        action: 'user.session',
        subjectId: 'alice',
        sessionId,
        connectionId: null,
        clientAddress: '192.0.2.1',
        requestId: 'request',
        reason: 'Ticket 4711',
      },
    ]);
  });

  it('pages from the newest on, also through entries of one moment', async () => {
    const { read, write } = setUp();
    await write('a', 'b', 'c', 'd', 'e');
    const base = { limit: 2, total: 5, totalPages: 3 };
    const first = await read({ limit: 2 });
    expect(first.reasons).toEqual(['e', 'd']);
    expect(first.pagination).toMatchObject({ ...base, page: 1, hasMore: true });
    expect((await read({ limit: 2, page: 2 })).reasons).toEqual(['c', 'b']);
    const last = await read({ limit: 2, page: 3 });
    expect(last.reasons).toEqual(['a']);
    expect(last.pagination).toEqual({ ...base, page: 3, hasMore: false, nextCursor: null });
    expect(await read({ limit: 2, page: 4 })).toMatchObject({ reasons: [], pagination: { ...base, hasMore: false } });

    // What is written meanwhile moves pages, and no cursor.
    await write('f');
    const second = await read({ limit: 2, cursor: first.pagination.nextCursor ?? '' });
    expect(second.reasons).toEqual(['c', 'b']);
    expect(second.pagination).toMatchObject({ page: null, total: 6, hasMore: true });
    // Ids are the same in capitals, those in a cursor too.
    const capitals = Buffer.from(first.pagination.nextCursor ?? '', 'base64url')
      .toString()
      .toUpperCase();
    expect(await read({ limit: 2, cursor: Buffer.from(capitals).toString('base64url') })).toEqual(second);
    const third = await read({ limit: 2, cursor: second.pagination.nextCursor ?? '' });
    expect(third).toMatchObject({ reasons: ['a'], pagination: { hasMore: false, nextCursor: null } });
    expect(await read({ actorId: 'nobody' })).toMatchObject({ reasons: [], pagination: { total: 0, totalPages: 0 } });
  });

  it('keeps to a subject and to a time, from one on and before the other', async () => {
    const { act, clock, read, record, write } = setUp();
    const times: string[] = [];
    for (const reason of ['one', 'two', 'three']) {
      times.push(new Date(clock.now()).toISOString());
      await write(reason);
      await clock.advance(1000);
    }
    await record(act({ subjectId: 'bob', reason: 'bob' }));
    expect((await read({ subjectId: 'bob' })).reasons).toEqual(['bob']);
    expect((await read({ subjectId: 'alice', from: times[1] })).reasons).toEqual(['three', 'two']);
    expect((await read({ subjectId: 'alice', to: times[1] })).reasons).toEqual(['one']);
    const between = await read({ from: times[0], to: times[2] });
    expect(between).toMatchObject({ reasons: ['two', 'one'], pagination: { total: 2 } });
    expect((await read({ from: '0000-01-01T00:00:00Z', to: '9999-12-31T23:59:59.999Z' })).reasons).toHaveLength(4);
    const [earliest, latest] = ['0000-01-01T00:00:00+23:59', '9999-12-31T23:59:59.999-23:59'];
    expect((await read({ from: earliest, to: latest })).reasons).toHaveLength(4);
    expect((await read({ to: '0000-01-01T00:00:00Z' })).reasons).toEqual([]);
  });

  it('counts as far as 1,000, and goes on by cursor', async () => {
    const { act, clock, read } = setUp();
    const { query, tables } = fixture.database;
    const rows = Array.from({ length: 1003 }, (_, index) => ({
      ...act({ reason: String(index) }),
      id: newUuid(),
      at: new Date(clock.now() + index),
    }));
    await query.insert(tables.auditLog).values(rows);
    const last = await read({ page: 10, limit: 100 });
    expect(last.reasons.at(-1)).toBe('3');
    expect(last.pagination).toMatchObject({ total: 1000, totalPages: 10, hasMore: true });
    expect(await read({ page: 11, limit: 100 })).toMatchObject({ reasons: [], pagination: { hasMore: false } });
    const beyond = await read({ cursor: last.pagination.nextCursor ?? '' });
    expect(beyond).toMatchObject({ reasons: ['2', '1', '0'], pagination: { total: 1000, hasMore: false } });
  });

  it('takes one attach and one detach a connection', async () => {
    const { act, audit, read } = setUp();
    const { query } = fixture.database;
    const connectionId = randomUUID();
    await audit.append(query, { ...act({ action: 'observe.attach' }), connectionId });
    await audit.append(query, { ...act({ action: 'observe.detach' }), connectionId });
    await expect(audit.append(query, { ...act({ action: 'observe.attach' }), connectionId })).rejects.toThrow();
    expect((await read()).entries).toHaveLength(2);
  });

  it('says that it cannot be written, in no words of the database', async () => {
    const { act, audit } = setUp();
    const broken = { ...audit, append: () => Promise.reject(new Error('relation "audit_log" does not exist')) };
    const record = createRecordAudit({ database: fixture.database, audit: broken });
    await expect(record(act())).rejects.toMatchObject({
      code: 'UNAVAILABLE',
      detail: 'The audit log cannot be written at the moment.',
    });
  });

  if (fixture.kind === 'postgres') {
    it('refuses every other statement', async () => {
      const { write, read } = setUp();
      await write('kept');
      const client = postgres(fixture.url, { max: 1, onnotice: () => {} });
      try {
        const tries = ["update audit_log set reason = 'changed'", 'delete from audit_log', 'truncate audit_log'];
        for (const statement of tries) {
          await expect(client.unsafe(statement), statement).rejects.toThrow('audit_log is append-only');
        }
      } finally {
        await client.end();
      }
      expect((await read()).reasons).toEqual(['kept']);
    });
  }
});
