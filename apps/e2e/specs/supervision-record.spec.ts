import type { AnyTRPCProcedure, AnyTRPCRouter } from '@trpc/server';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { isAvailable } from '../../../packages/server/test/support/databases.ts';
import { declaredRouter } from '../../../packages/server/test/support/declared-router.ts';
import { patience } from '../src/call-for.ts';
import { callOver, doors, type Door } from '../src/call-over.ts';
import { describeEachDatabase } from '../src/describe-databases.ts';
import { openRawSocket } from '../src/raw-socket.ts';
import { callRest } from '../src/rest.ts';
import { supervisedWorld, type Supervised } from '../src/supervised-world.ts';
import { lookOf, paths, type Input } from '../src/supervisor-looks.ts';
import { withoutAuditCommits, withoutAuditLog } from '../src/without-audit.ts';

const unknownId = '01900000-0000-7000-8000-000000000001';

describeEachDatabase('a look', (kind) => {
  let at: Supervised;
  let alices: string;
  beforeAll(async () => {
    at = await supervisedWorld({ kind });
    alices = await at.conversation('alice', 'Of Alice');
  });
  afterAll(() => at[Symbol.asyncDispose]());

  /** Without the ends of observations: who has left is written as gone in its own time. */
  const looks = async () => (await at.entries()).filter((entry) => entry.action !== 'observe.detach');

  describe.each(paths)('%s', (path) => {
    const { type, input, action, about } = lookOf(path);

    it.each(doors)('is refused to users over %s, the same whatever they ask for', async (door) => {
      const before = await looks();
      const denied = path === 'supervisor.auditLog' ? ['eve', 'sue'] : ['eve'];
      for (const sub of denied) {
        const token = await at.token(sub);
        const asked = [
          input('alice', alices),
          input('nobody', unknownId),
          { ...input('alice', alices), sessionId: 'x', limit: 0 },
        ];
        const told = [];
        for (const one of asked) told.push(await callOver(at.world, door, { path, input: one, token }));
        for (const { text, refusal } of told) {
          expect(refusal).toMatchObject({ code: 'FORBIDDEN' });
          // The id of a WebSocket's call counts its calls: one a connection here.
          expect(text).toBe(told[0]?.text);
        }
      }
      expect(await looks()).toEqual(before);
    });

    it.each(doors)('is refused to strangers over %s', async (door) => {
      const { refusal } = await callOver(at.world, door, { path, input: input('alice', alices), token: null });
      expect(refusal).toMatchObject({ code: 'UNAUTHORIZED' });
    });

    it.each([
      ['written', withoutAuditLog],
      ['committed', withoutAuditCommits],
    ])('is refused while its record cannot be %s, and shows nothing', async (_, without) => {
      const token = await at.token('root');
      const before = await looks();
      await without(at, async () => {
        for (const door of doors) {
          const told = await callOver(at.world, door, { path, input: input('alice', alices), token });
          expect(told).toMatchObject({ ok: false, refusal: { code: 'UNAVAILABLE' } });
          expect(told.text).not.toContain('Of Alice');
          expect(told.text).not.toMatch(/audit_|commit|constraint/iu);
        }
      });
      expect(await looks()).toEqual(before);
    });

    it.each(doors)('is on record over %s', async (door) => {
      const before = (await looks()).length;
      const reason = path === 'supervisor.auditLog' ? {} : { reason: `Ticket over ${door}` };
      await callOver(at.world, door, {
        path,
        input: { ...input('alice', alices), ...reason },
        token: await at.token('root'),
      });
      expect((await looks()).slice(before)).toEqual([
        {
          id: expect.any(String),
          at: expect.any(Date),
          actorId: 'root',
          actorRole: 'admin',
          action,
          ...about('alice', alices),
          connectionId: type === 'subscription' ? expect.any(String) : null,
          clientAddress: expect.stringMatching(/^(::ffff:)?127\.0\.0\.1$|^::1$/u),
          requestId: expect.stringMatching(/^[0-9a-f-]{36}(\.\d+)?$/u),
          reason: reason.reason ?? null,
        },
      ]);
    });
  });

  it('is everything that the router has for them', () => {
    const router: AnyTRPCRouter = declaredRouter;
    const procedures = Object.entries(router._def.procedures as Record<string, AnyTRPCProcedure>);
    const ofSupervisors = procedures.filter(([path]) => path.startsWith('supervisor.'));
    expect(paths.map((path) => [path, lookOf(path).type])).toEqual(
      ofSupervisors.map(([path, { _def }]) => [path, _def.type]),
    );
  });

  it('does nothing that cannot be recorded', async () => {
    const { trpc, sessionId, call } = await at.running('dan', 'Stopped by nobody');
    for (const without of [withoutAuditLog, withoutAuditCommits]) {
      await without(at, async () => {
        for (const door of doors) {
          await expect(at.ask('supervisor.stop', { sessionId }, { door })).rejects.toMatchObject({
            refusal: { code: 'UNAVAILABLE' },
          });
        }
      });
    }
    call.releaseAll();
    await call.ended;
    expect(call.state).toBe('finished');
    await vi.waitFor(async () => {
      const { messages } = await trpc.session.get.query({ sessionId });
      expect(messages.at(-1)).toMatchObject({ status: 'complete', stoppedBy: null, content: 'One two three four' });
    }, patience);
  });

  it('is on record under the id that the answer carries', async () => {
    const token = await at.token('sue');
    const headers = { 'x-request-id': '01900000-0000-7000-8000-00000000aaaa' };
    const { headers: answered } = await callRest(at.world, 'GET /api/chat/live', { token, headers });
    expect((await looks()).at(-1)?.requestId).toBe(answered.get('x-request-id'));
  });

  it('is refused to whoever has lost the role, by a token that still tells of it', async () => {
    const token = await at.world.token('former', { role: 'admin' });
    const ask = (door: Door, path: string, sessionId = alices) =>
      callOver(at.world, door, { path, input: lookOf(path).input('alice', sessionId), token });
    await ask('http', 'supervisor.live');
    await at.sql.run("update users set role = 'enduser' where id = 'former'");
    const before = await looks();
    for (const path of paths) {
      for (const door of doors) {
        const { text, refusal } = await ask(door, path);
        expect([path, door, refusal?.['code']]).toEqual([path, door, 'FORBIDDEN']);
        expect((await ask(door, path, unknownId)).text).toBe(text);
      }
    }
    expect(await looks()).toEqual(before);
  });

  it('keeps no reason without a letter', async () => {
    const token = await at.token('sue');
    for (const path of ['supervisor.observe', 'supervisor.userSession']) {
      const input = { ...lookOf(path).input('alice', alices), reason: '  ' };
      await callOver(at.world, 'rest', { path, input, token });
      expect((await looks()).at(-1)).toMatchObject({ action: lookOf(path).action, reason: null });
    }
  });

  it('at what is not there is refused as well while its record cannot be written', async () => {
    const token = await at.token('sue');
    await withoutAuditLog(at, async () => {
      for (const door of doors) {
        const asked = { path: 'supervisor.observe', input: { sessionId: unknownId }, token };
        const { refusal } = await callOver(at.world, door, asked);
        expect(refusal).toMatchObject({ code: 'UNAVAILABLE' });
      }
    });
  });

  it('is on record also where there is nothing to see', async () => {
    const bobs = await at.conversation('bob', 'Of Bob');
    const cases: [string, Input, Input][] = [
      ['supervisor.userSessions', { userId: 'nobody' }, { subjectId: 'nobody', sessionId: null }],
      ['supervisor.userSession', { userId: 'nobody', sessionId: alices }, { subjectId: 'nobody', sessionId: alices }],
      [
        'supervisor.userSession',
        { userId: 'alice', sessionId: unknownId },
        { subjectId: 'alice', sessionId: unknownId },
      ],
      ['supervisor.userSession', { userId: 'alice', sessionId: bobs }, { subjectId: 'alice', sessionId: bobs }],
      ['supervisor.stop', { sessionId: unknownId }, { subjectId: null, sessionId: unknownId }],
      ['supervisor.observe', { sessionId: unknownId }, { subjectId: null, sessionId: unknownId, connectionId: null }],
    ];
    for (const [path, input, recorded] of cases) {
      const { refusal } = await callOver(at.world, 'http', { path, input, token: await at.token('sue') });
      expect(refusal).toMatchObject({ code: 'NOT_FOUND' });
      expect((await looks()).at(-1)).toMatchObject({ ...recorded, action: lookOf(path).action });
    }
  });

  it('does not tell a search from another on record', async () => {
    await at.ask('supervisor.searchUsers', { query: 'canary-query' });
    expect(JSON.stringify(await looks())).not.toContain('canary-query');
  });
});

describe.each(['sqlite'] as const)('where a reason is required (%s)', (kind) => {
  let at: Supervised;
  let alices: string;
  beforeAll(async () => {
    at = await supervisedWorld({ kind, env: { SUPERVISION_REQUIRE_REASON: 'true' } });
    alices = await at.conversation('alice', 'Of Alice');
  });
  afterAll(() => at[Symbol.asyncDispose]());

  it.each(paths.filter((path) => path !== 'supervisor.auditLog'))('%s takes none without', async (path) => {
    const { input } = lookOf(path);
    const token = await at.token('sue');
    for (const door of doors) {
      const { refusal } = await callOver(at.world, door, { path, input: input('alice', alices), token });
      expect(refusal).toMatchObject({ code: 'BAD_REQUEST', errors: [{ path: 'reason' }] });
    }
    expect(await at.entries()).toEqual([]);
  });

  it('looks are taken with one, and the log is read without', async () => {
    const reason = 'Ticket 4711';
    await at.ask('supervisor.userSession', { userId: 'alice', sessionId: alices, reason }, { door: 'rest' });
    await at.ask('supervisor.stop', { sessionId: alices, reason }, { door: 'rest' }).catch(() => undefined);
    const { entries } = await at.ask<{ entries: { reason: string | null }[] }>(
      'supervisor.auditLog',
      {},
      { as: 'root' },
    );
    expect(entries.map((entry) => entry.reason)).toEqual([null, reason, reason]);
  });
});

describe.skipIf(!isAvailable('postgres'))('a look on Postgres', () => {
  let at: Supervised;
  beforeAll(async () => {
    at = await supervisedWorld({ kind: 'postgres' });
  });
  afterAll(() => at[Symbol.asyncDispose]());

  it.each(paths)('%s waits for its record to be committed', async (path) => {
    const { type, input } = lookOf(path);
    const sessionId = await at.conversation('alice', `Behind the log of ${path}`);
    // Whoever observed before is written as gone.
    const open = () => at.sql.number('select count(*) from observations');
    await vi.waitFor(async () => expect(await open()).toBe(0), patience);
    const before = (await at.entries()).length;
    await at.sql.run('begin; lock table audit_log in share mode');
    await using socket = await openRawSocket(at.world.url, { token: await at.token('root') });
    const answered = socket.call(type, path, input('alice', sessionId));
    try {
      await vi.waitFor(async () => expect(await at.sql.number(waitingForAuditLog)).toBe(1), patience);
      expect(socket.replies.filter(({ result }) => result?.type !== 'started')).toEqual([]);
      expect(await at.entries()).toHaveLength(before);
    } finally {
      await at.sql.run('commit');
    }
    await answered;
    expect((await at.entries()).length).toBeGreaterThan(before);
  });
});

const waitingForAuditLog = `
  select count(*) from pg_locks where not granted and relation = 'audit_log'::regclass`;
