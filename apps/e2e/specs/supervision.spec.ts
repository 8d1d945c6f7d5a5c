import type {
  LiveOutput,
  SearchUsersOutput,
  UserSessionOutput,
  UserSessionsOutput,
} from '@chat-service/shared/supervisor-api';
import type { Message } from '@chat-service/shared/objects';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { isAvailable } from '../../../packages/server/test/support/databases.ts';
import { callFor, patience } from '../src/call-for.ts';
import { callOver, doors } from '../src/call-over.ts';
import { describeEachDatabase } from '../src/describe-databases.ts';
import { openRawSocket } from '../src/raw-socket.ts';
import { callRest } from '../src/rest.ts';
import { supervisedWorld, type Supervised } from '../src/supervised-world.ts';
import type { Input } from '../src/supervisor-looks.ts';

describeEachDatabase('what supervisors ask', (kind) => {
  let at: Supervised;
  let alices: string;
  beforeAll(async () => {
    at = await supervisedWorld({ kind });
    alices = await at.conversation('alice', 'Of Alice');
  });
  afterAll(() => at[Symbol.asyncDispose]());

  it('is a session with its user and messages', async () => {
    const own = await at.world.trpc('alice').trpc.session.get.query({ sessionId: alices });
    for (const door of doors) {
      const seen = await at.ask<UserSessionOutput>(
        'supervisor.userSession',
        { userId: 'alice', sessionId: alices },
        { door },
      );
      expect(seen).toEqual({ ...own, user: expect.objectContaining({ id: 'alice', role: 'enduser', plan: 'free' }) });
    }
    const { messages, pagination } = await at.ask<UserSessionOutput>('supervisor.userSession', {
      userId: 'alice',
      sessionId: alices,
      messageLimit: 1,
    });
    expect(messages).toEqual(own.messages.slice(-1));
    expect(pagination).toMatchObject({ limit: 1, total: 2, hasMore: true });
  });

  it('is a session from its newest message to its oldest', async () => {
    const { trpc } = at.world.trpc('walt');
    const { sessionId } = await trpc.session.create.mutate({});
    for (const message of ['One', 'Two', 'Three']) await trpc.message.send.mutate({ sessionId, message });
    const { messages: all } = await trpc.session.get.query({ sessionId });
    for (const door of doors) {
      const pages: UserSessionOutput['messages'][] = [];
      let cursor: string | undefined;
      do {
        const input: Input = { userId: 'walt', sessionId, messageLimit: 4, ...(cursor !== undefined && { cursor }) };
        const { messages, pagination } = await at.ask<UserSessionOutput>('supervisor.userSession', input, { door });
        expect(pagination).toMatchObject({ page: null, limit: 4, total: 6, totalPages: 2 });
        pages.unshift(messages);
        cursor = pagination.nextCursor ?? undefined;
      } while (cursor !== undefined);
      expect(pages.map(({ length }) => length)).toEqual([2, 4]);
      expect(pages.flat()).toEqual(all);
    }
    const wrong: Input = { userId: 'walt', sessionId, cursor: 'unreadable' };
    const asked = { path: 'supervisor.userSession', input: wrong, token: await at.token('sue') };
    const { refusal } = await callOver(at.world, 'rest', asked);
    expect(refusal).toMatchObject({ code: 'BAD_REQUEST', errors: [{ path: 'cursor' }] });
  });

  it.each([
    ['supervisor.userSessions', { userId: 'alice' }],
    ['supervisor.searchUsers', { query: 'ali' }],
    ['supervisor.auditLog', {}],
  ])('%s takes pages within their bounds', async (path, input) => {
    const wrong: [Input, string][] = [
      [{ page: 0 }, 'page'],
      [{ limit: 0 }, 'limit'],
      [{ limit: 101 }, 'limit'],
      [{ limit: 'abc' }, 'limit'],
      [{ limit: '1e3' }, 'limit'],
      [{ cursor: 'unreadable' }, 'cursor'],
      [{ page: 1, cursor: 'eyJ9' }, 'cursor'],
      [{ cursor: Buffer.from('["x"]').toString('base64url') }, 'cursor'],
    ];
    const token = await at.token('root');
    for (const [paging, field] of wrong) {
      const { refusal } = await callOver(at.world, 'rest', { path, input: { ...input, ...paging }, token });
      expect(refusal).toMatchObject({ code: 'BAD_REQUEST', errors: [{ path: field }] });
    }
  });

  it.each([
    ['supervisor.searchUsers', { query: '' }, 'query'],
    ['supervisor.searchUsers', { query: 'x'.repeat(201) }, 'query'],
    ['supervisor.searchUsers', { query: 'a\u0000b' }, 'query'],
    ['supervisor.searchUsers', { query: 'abc', role: 'king' }, 'role'],
    ['supervisor.auditLog', { from: 'yesterday' }, 'from'],
    ['supervisor.auditLog', { to: '2026-01-31' }, 'to'],
    ['supervisor.userSessions', { userId: 'alice', reason: 'x'.repeat(501) }, 'reason'],
    ['supervisor.userSessions', { userId: '\u0000' }, 'userId'],
  ])('%s refuses %j', async (path, input, field) => {
    const { refusal } = await callOver(at.world, 'http', { path, input, token: await at.token('root') });
    expect(refusal).toMatchObject({ code: 'BAD_REQUEST', errors: [{ path: field }] });
  });

  it('pages through the sessions of a user', async () => {
    const { trpc } = at.world.trpc('pat');
    const ids: string[] = [];
    for (let index = 0; index < 5; index += 1)
      ids.unshift((await trpc.session.create.mutate({ title: `${index}` })).sessionId);
    await trpc.session.create.mutate({ temporary: true });
    const list = (input: Input) =>
      at.ask<UserSessionsOutput>('supervisor.userSessions', { userId: 'pat', limit: 2, ...input });
    const idsOf = ({ sessions }: UserSessionsOutput) => sessions.map(({ id }) => id);
    const base = { limit: 2, total: 5, totalPages: 3 };
    const first = await list({});
    expect([idsOf(first), first.pagination]).toEqual([
      ids.slice(0, 2),
      { ...base, page: 1, hasMore: true, nextCursor: expect.any(String) },
    ]);
    expect(first.user).toMatchObject({ id: 'pat', sessionCount: 5 });
    expect(idsOf(await list({ page: 2 }))).toEqual(ids.slice(2, 4));
    const last = await list({ page: 3 });
    expect([idsOf(last), last.pagination]).toEqual([
      ids.slice(4),
      { ...base, page: 3, hasMore: false, nextCursor: null },
    ]);
    expect((await list({ page: 9 })).pagination).toEqual({ ...base, page: 9, hasMore: false, nextCursor: null });
    const cursor = first.pagination.nextCursor;
    for (const sessionId of ids.slice(1, 3)) await trpc.session.delete.mutate({ sessionId });
    const after = await list({ cursor });
    expect([idsOf(after), after.pagination]).toMatchObject([ids.slice(3), { page: null, total: 3, hasMore: false }]);
    await at.world.trpc('pia').trpc.session.list.query();
    expect(await list({ userId: 'pia' })).toMatchObject({ sessions: [], pagination: { total: 0, totalPages: 0 } });
  });

  it('finds users whom the service has seen', async () => {
    const token = await at.world.token('id-of-zoë', {
      username: 'Zoë_100%',
      email: 'zoe@example.com',
      role: 'supervisor',
    });
    await callRest(at.world, 'GET /api/chat/sessions', { token });
    const find = async (query: string, further: Input = {}) => {
      const found = await Promise.all(
        doors.map((door) => at.ask<SearchUsersOutput>('supervisor.searchUsers', { query, ...further }, { door })),
      );
      for (const one of found) expect(one).toEqual(found[0]);
      return found[0]?.users.map(({ id }) => id);
    };
    for (const query of ['ZOË', 'zo', 'oë_', '0%', '_100%', 'OE@EX', 'of-zo', 'id']) {
      expect([query, await find(query)]).toEqual([query, query === '0%' ? [] : ['id-of-zoë']]);
    }
    expect(await find('zoë', { role: 'supervisor' })).toEqual(['id-of-zoë']);
    expect(await find('zoë', { role: 'enduser' })).toEqual([]);
  });

  it('are the sessions that are generating, the latest first', async () => {
    const older = await at.running('ann', 'Older of two');
    const newer = await at.running('ben', 'Newer of two');
    const live = () => at.ask<LiveOutput>('supervisor.live');
    await vi.waitFor(async () => {
      const { sessions } = await live();
      expect(sessions).toMatchObject([
        { session: { id: newer.sessionId, status: 'streaming' }, user: { id: 'ben' }, outputTokens: 3, observers: 0 },
        { session: { id: older.sessionId, activeStreamId: older.streamId }, user: { id: 'ann' }, outputTokens: 3 },
      ]);
      expect(sessions[0]?.modelId).toBe(sessions[0]?.session.modelId);
      expect(Date.parse(sessions[0]?.startedAt ?? '')).toBeGreaterThanOrEqual(Date.parse(sessions[1]?.startedAt ?? ''));
    }, patience);
    await using socket = await openRawSocket(at.world.url, { token: await at.token('sue') });
    await socket.call('subscription', 'supervisor.observe', { sessionId: older.sessionId });
    expect((await live()).sessions.map(({ observers }) => observers)).toEqual([0, 1]);
    for (const { call } of [older, newer]) call.releaseAll();
    await vi.waitFor(async () => expect((await live()).sessions).toEqual([]), patience);
  });

  it('is a temporary session by its id, and among those that are generating, but in no list', async () => {
    const { trpc } = at.world.trpc('tom');
    const { sessionId } = await trpc.session.create.mutate({ temporary: true });
    const message = 'For a while';
    at.world.openai.script(message, { chunks: ['One', ' two'], hold: [1] });
    await trpc.message.start.mutate({ sessionId, message });
    const call = await callFor(at.world.openai, message);
    await call.reached(1);
    const { sessions } = await at.ask<LiveOutput>('supervisor.live');
    expect(sessions).toMatchObject([{ session: { id: sessionId, temporary: true }, user: { sessionCount: 0 } }]);
    call.releaseAll();
    const listed = await at.ask<UserSessionsOutput>('supervisor.userSessions', { userId: 'tom' });
    expect(listed).toMatchObject({ sessions: [], user: { sessionCount: 0 }, pagination: { total: 0 } });
    const read = await at.ask<UserSessionOutput>('supervisor.userSession', { userId: 'tom', sessionId });
    expect(read.messages[0]).toMatchObject({ content: message });
  });

  it('is a session from its beginning, where the event to go on after is named by more than an id can be', async () => {
    const alice = at.world.token('alice');
    const input = { sessionId: alices, lastEventId: 'f'.repeat(4000) };
    for (const door of doors) {
      const observed = await callOver(at.world, door, {
        path: 'supervisor.observe',
        input,
        token: await at.token('sue'),
      });
      expect(observed).toMatchObject({ refusal: null, text: expect.stringContaining('"connected"') });
      const followed = await callOver(at.world, door, { path: 'session.follow', input, token: await alice });
      expect(followed).toMatchObject({ refusal: null, text: expect.stringContaining('"history-start"') });
    }
  });

  it('stops an answer, as the one whose session it is', async () => {
    const { trpc, sessionId, streamId, call } = await at.running('cat', 'Stopped by a supervisor');
    const { message } = await at.ask<{ message: Message }>('supervisor.stop', { sessionId }, { door: 'rest' });
    expect(message).toMatchObject({
      id: streamId,
      status: 'stopped',
      stoppedBy: 'supervisor',
      content: 'One two three',
    });
    await call.ended;
    expect(call.state).toBe('cancelled');
    expect((await trpc.session.get.query({ sessionId })).messages.at(-1)).toEqual(message);
    expect((await at.entries()).at(-1)).toMatchObject({ action: 'generation.stop', subjectId: 'cat', sessionId });
    await expect(at.ask('supervisor.stop', { sessionId })).rejects.toMatchObject({ refusal: { code: 'CONFLICT' } });
  });
});

describe.skipIf(!isAvailable('postgres'))('two servers on one Postgres', () => {
  let at: Supervised;
  let there: string;
  beforeAll(async () => {
    at = await supervisedWorld({ kind: 'postgres' });
    there = (await at.world.spawn()).url;
  });
  afterAll(() => at[Symbol.asyncDispose]());

  it('tell what both of them write, and stop it for one another', async () => {
    const here = await at.running('ann', 'Written here');
    const other = await at.running('ben', 'Written there', there);
    for (const url of [at.world.url, there]) {
      const { sessions } = await at.ask<LiveOutput>('supervisor.live', {}, { url });
      expect(sessions.map(({ session }) => session.id)).toEqual([other.sessionId, here.sessionId]);
    }
    for (const [url, { sessionId, call }] of [
      [at.world.url, other],
      [there, here],
    ] as const) {
      const { message } = await at.ask<{ message: Message }>('supervisor.stop', { sessionId }, { url });
      expect(message).toMatchObject({ status: 'stopped', stoppedBy: 'supervisor', content: 'One two three' });
      await call.ended;
      expect(call.state).toBe('cancelled');
    }
    expect(await at.ask<LiveOutput>('supervisor.live')).toEqual({ sessions: [] });
  });
});
