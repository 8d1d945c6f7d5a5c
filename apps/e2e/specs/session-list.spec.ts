import { afterAll, beforeAll, expect, it } from 'vitest';
import { describeEachDatabase } from '../src/describe-databases.ts';
import { callOverHttp } from '../src/raw-http.ts';
import { startWorld, type World } from '../src/world.ts';

describeEachDatabase('the list of sessions', (kind) => {
  let world: World;
  beforeAll(async () => {
    world = await startWorld({ kind });
  });
  afterAll(() => world[Symbol.asyncDispose]());

  let users = 0;
  function newUser() {
    users += 1;
    return world.trpc(`user-${users}`);
  }

  async function withSessions(count: number) {
    const { trpc } = newUser();
    const titles = Array.from({ length: count }, (_, index) => `title ${index}`);
    const ids = new Map<string, string>();
    for (const title of titles) ids.set(title, (await trpc.session.create.mutate({ title })).sessionId);
    const list = async (input: { page?: number; limit?: number; cursor?: string } = {}) => {
      const { sessions, pagination } = await trpc.session.list.query(input);
      return { titles: sessions.map(({ title }) => title), pagination };
    };
    return { trpc, ids, list, newest: titles.toReversed() };
  }

  it('pages by number', async () => {
    const { list, newest } = await withSessions(5);
    const base = { limit: 2, total: 5, totalPages: 3 };
    const first = await list({ page: 1, limit: 2 });
    expect(first.titles).toEqual(newest.slice(0, 2));
    expect(first.pagination).toMatchObject({ ...base, page: 1, hasMore: true, nextCursor: expect.any(String) });
    const middle = await list({ page: 2, limit: 2 });
    expect(middle.titles).toEqual(newest.slice(2, 4));
    expect(middle.pagination).toMatchObject({ ...base, page: 2, hasMore: true });
    const last = await list({ page: 3, limit: 2 });
    expect(last.titles).toEqual(newest.slice(4));
    expect(last.pagination).toEqual({ ...base, page: 3, hasMore: false, nextCursor: null });
    for (const page of [4, 1_000_000, Number.MAX_SAFE_INTEGER]) {
      const past = await list({ page, limit: 2 });
      expect(past).toEqual({ titles: [], pagination: { ...base, page, hasMore: false, nextCursor: null } });
    }
    expect((await list({ limit: 5 })).pagination).toMatchObject({
      page: 1,
      totalPages: 1,
      hasMore: false,
      nextCursor: null,
    });
    expect((await list({ limit: 100 })).titles).toEqual(newest);
  });

  it('pages by cursor, also when the row of the cursor or the next one is gone', async () => {
    const { trpc, ids, list, newest } = await withSessions(7);
    const first = await list({ limit: 3 });
    expect(first.titles).toEqual(newest.slice(0, 3));
    const cursor = first.pagination.nextCursor ?? '';
    const second = await list({ limit: 3, cursor });
    expect(second.titles).toEqual(newest.slice(3, 6));
    expect(second.pagination).toMatchObject({ page: null, limit: 3, total: 7, totalPages: 3, hasMore: true });
    const third = await list({ limit: 3, cursor: second.pagination.nextCursor ?? '' });
    expect(third.titles).toEqual(newest.slice(6));
    expect(third.pagination).toMatchObject({ page: null, hasMore: false, nextCursor: null });

    for (const gone of [newest[2], newest[3]]) {
      await trpc.session.delete.mutate({ sessionId: ids.get(gone ?? '') ?? '' });
    }
    const after = await list({ limit: 3, cursor });
    expect(after.titles).toEqual(newest.slice(4));
    expect(after.pagination).toMatchObject({ total: 5, hasMore: false });
  });

  it('pages by a cursor whose id is in capitals, through sessions of one moment', async () => {
    const { list, newest } = await withSessions(5);
    const { query, tables } = await world.openDatabase();
    // All there are: the order of the others is not looked at any more.
    await query.update(tables.sessions).set({ sortAt: new Date(Date.UTC(2026, 0, 1)) });
    const { pagination } = await list({ limit: 2 });
    const capitals = Buffer.from(pagination.nextCursor ?? '', 'base64url')
      .toString()
      .toUpperCase();
    const second = await list({ limit: 2, cursor: Buffer.from(capitals).toString('base64url') });
    expect(second.titles).toEqual(newest.slice(2, 4));
  });

  it('is empty for somebody new', async () => {
    const { trpc } = newUser();
    expect(await trpc.session.list.query()).toEqual({
      sessions: [],
      pagination: { page: 1, limit: 20, total: 0, totalPages: 0, hasMore: false, nextCursor: null },
    });
    expect((await trpc.session.list.query({ page: 3 })).pagination).toMatchObject({
      page: 3,
      total: 0,
      totalPages: 0,
    });
  });

  it.each([
    [{ page: 0 }, 'page'],
    [{ page: -1 }, 'page'],
    [{ page: 1.5 }, 'page'],
    [{ limit: 0 }, 'limit'],
    [{ limit: 101 }, 'limit'],
    [{ limit: 'abc' }, 'limit'],
    [{ limit: '10' }, 'limit'],
    [{ cursor: '' }, 'cursor'],
    [{ cursor: 'unreadable' }, 'cursor'],
    [{ cursor: Buffer.from('[1,2]').toString('base64url') }, 'cursor'],
    [{ cursor: Buffer.from('["1e400","x"]').toString('base64url') }, 'cursor'],
    [{ cursor: 'x'.repeat(513) }, 'cursor'],
    [{ page: 1, cursor: 'eyJ9' }, 'cursor'],
    [{ order: 'desc' }, 'order'],
  ])('refuses %j', async (input, path) => {
    const token = await world.token('lister');
    const { status, refusal } = await callOverHttp(world.url, { type: 'query', path: 'session.list', input, token });
    expect(status).toBe(400);
    expect(refusal).toMatchObject({ code: 'BAD_REQUEST', errors: [{ path }] });
  });

  it('keeps its total through creations and deletions, without temporary sessions', async () => {
    const { trpc, list, ids } = await withSessions(3);
    const hidden = await trpc.session.create.mutate({ temporary: true, initialMessage: 'Unlisted' });
    expect((await list()).pagination.total).toBe(3);
    expect((await list()).titles).not.toContain('Unlisted');
    expect((await trpc.session.get.query({ sessionId: hidden.sessionId })).session.temporary).toBe(true);
    await trpc.session.delete.mutate({ sessionId: hidden.sessionId });
    expect((await list()).pagination.total).toBe(3);
    const sessionId = ids.get('title 1') ?? '';
    const deletions = Array.from({ length: 4 }, () =>
      trpc.session.delete.mutate({ sessionId }).then(
        () => 'done',
        () => 'refused',
      ),
    );
    expect((await Promise.all(deletions)).toSorted()).toEqual(['done', 'refused', 'refused', 'refused']);
    expect((await list()).pagination.total).toBe(2);
    expect((await list()).titles).toEqual(['title 2', 'title 0']);
  });

  it('is moved by messages and by nothing else', async () => {
    const { trpc, ids, list } = await withSessions(3);
    const sessionId = ids.get('title 0') ?? '';
    await trpc.session.update.mutate({ sessionId, metadata: { moved: 'no' }, systemPrompt: 'No.' });
    expect((await list()).titles).toEqual(['title 2', 'title 1', 'title 0']);
    await trpc.message.send.mutate({ sessionId, message: 'Up' });
    expect((await list()).titles).toEqual(['title 0', 'title 2', 'title 1']);
    await trpc.session.update.mutate({ sessionId: ids.get('title 1') ?? '', title: 'renamed' });
    expect((await list()).titles).toEqual(['title 0', 'title 2', 'renamed']);
  });
});
