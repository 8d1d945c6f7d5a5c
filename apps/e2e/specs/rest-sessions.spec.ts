import type { Message, Session } from '@chat-service/shared/objects';
import type { Pagination } from '@chat-service/shared/paging';
import { codePointLength } from '@chat-service/shared/text';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { callFor } from '../src/call-for.ts';
import { describeEachDatabase } from '../src/describe-databases.ts';
import { callRest, type Problem, type RestRequest } from '../src/rest.ts';
import { untouchedSession } from '../src/session-shapes.ts';
import { startWorld, type World } from '../src/world.ts';

interface SessionList {
  readonly sessions: Session[];
  readonly pagination: Pagination;
}

interface MessageList {
  readonly messages: Message[];
  readonly pagination: Pagination;
}

describeEachDatabase('sessions and messages over REST', (kind) => {
  let world: World;
  beforeAll(async () => {
    world = await startWorld({ kind });
  });
  afterAll(() => world[Symbol.asyncDispose]());

  let users = 0;
  function newUser() {
    users += 1;
    const sub = `person-${users}`;
    const call = <Body = Problem>(target: string, request: RestRequest = {}) =>
      callRest<Body>(world, target.replace(' ', ' /api/chat/sessions'), { sub, ...request });
    const create = async (body: object = {}) => (await call<{ session: Session }>('POST ', { body })).body.session;
    return { sub, call, create };
  }

  /** Turns the pages by cursor from one answer on, and returns the ids of each. */
  async function turn(list: (query: string) => Promise<{ ids: string[]; pagination: Pagination }>, query: string) {
    const pages: string[][] = [];
    let next: string | null = '';
    while (next !== null) {
      const { ids, pagination } = await list(next === '' ? query : `${query}&cursor=${next}`);
      pages.push(ids);
      expect(pagination.hasMore).toBe(pagination.nextCursor !== null);
      next = pagination.nextCursor;
    }
    return pages;
  }

  describe('the list of sessions', () => {
    async function withSessions(count: number) {
      const { call, create } = newUser();
      const ids: string[] = [];
      for (let index = 0; index < count; index += 1) ids.unshift((await create()).id);
      const list = async (query: string) => {
        const { status, body } = await call<SessionList>(`GET ?${query}`);
        expect([query, status]).toEqual([query, 200]);
        return { ids: body.sessions.map(({ id }) => id), pagination: body.pagination };
      };
      return { call, create, ids, list };
    }

    it('pages by number: first, middle, last, past the end', async () => {
      const { list, ids } = await withSessions(5);
      const base = { limit: 2, total: 5, totalPages: 3 };
      expect(await list('limit=2')).toEqual(await list('page=1&limit=2'));
      for (const [page, shown, hasMore] of [
        [1, ids.slice(0, 2), true],
        [2, ids.slice(2, 4), true],
        [3, ids.slice(4), false],
        [4, [], false],
        [999_999_999_999_999, [], false],
      ] as const) {
        const answer = await list(`page=${page}&limit=2`);
        expect(answer).toEqual({
          ids: shown,
          pagination: { ...base, page, hasMore, nextCursor: hasMore ? expect.any(String) : null },
        });
      }
      expect((await list('')).pagination).toMatchObject({ page: 1, limit: 20, totalPages: 1 });
      for (const limit of [1, 100]) expect((await list(`limit=${limit}`)).pagination.limit).toBe(limit);
    });

    it('pages by cursor, over rows that are deleted and made in between', async () => {
      const { list, ids, call, create } = await withSessions(7);
      expect(await turn(list, 'limit=3')).toEqual([ids.slice(0, 3), ids.slice(3, 6), ids.slice(6)]);
      const first = await list('limit=3');
      // The row of the cursor, and the one after it.
      for (const id of ids.slice(2, 4)) expect((await call(`DELETE /${id}`)).status).toBe(204);
      await create();
      const rest = await list(`limit=3&cursor=${first.pagination.nextCursor ?? ''}`);
      expect(rest).toEqual({
        ids: ids.slice(4),
        pagination: { page: null, limit: 3, total: 6, totalPages: 2, hasMore: false, nextCursor: null },
      });
    });

    it('is empty for somebody new, and bounded', async () => {
      const { call } = newUser();
      const empty = { page: 1, limit: 20, total: 0, totalPages: 0, hasMore: false, nextCursor: null };
      expect((await call<SessionList>('GET ')).body).toEqual({ sessions: [], pagination: empty });
      expect((await call<SessionList>('GET ?page=7')).body.pagination).toEqual({ ...empty, page: 7 });
      expect((await call('GET ?page=1&cursor=WzFd')).status).toBe(400);
    });
  });

  describe('the list of messages', () => {
    it('pages in both orders and by cursor, over one that is deleted in between', async () => {
      const { call, create } = newUser();
      const { id } = await create();
      for (let index = 0; index < 3; index += 1) {
        expect((await call(`POST /${id}/messages`, { body: { message: `m${index}` } })).status).toBe(200);
      }
      const list = async (query: string) => {
        const { status, body } = await call<MessageList>(`GET /${id}/messages?${query}`);
        expect([query, status]).toEqual([query, 200]);
        return { ids: body.messages.map((message) => message.id), pagination: body.pagination };
      };
      const { ids } = await list('');
      expect(ids).toHaveLength(6);
      expect((await list('order=desc')).ids).toEqual(ids.toReversed());
      for (const [page, from, to] of [
        [1, 0, 4],
        [2, 4, 6],
        [3, 6, 6],
      ] as const) {
        const answer = await list(`page=${page}&limit=4`);
        expect(answer.ids).toEqual(ids.slice(from, to));
        expect(answer.pagination).toMatchObject({ page, limit: 4, total: 6, totalPages: 2, hasMore: page === 1 });
      }
      expect(await turn(list, 'limit=4&order=desc')).toEqual([ids.toReversed().slice(0, 4), ids.toReversed().slice(4)]);
      const { pagination } = await list('limit=2');
      for (const gone of [1, 2]) {
        expect((await call(`DELETE /${id}/messages/${ids[gone] ?? ''}`)).status).toBe(204);
      }
      const rest = await list(`limit=10&cursor=${pagination.nextCursor ?? ''}`);
      expect([rest.ids, rest.pagination.total]).toEqual([ids.slice(3), 4]);
      expect((await call(`DELETE /${id}/messages/${ids[1] ?? ''}`)).status).toBe(404);
    });

    it('comes newest first with its session, and goes on to the older ones', async () => {
      const { call, create } = newUser();
      const { id } = await create();
      for (let index = 0; index < 3; index += 1) {
        await call(`POST /${id}/messages`, { body: { message: `m${index}` } });
      }
      const { body: all } = await call<MessageList>(`GET /${id}/messages`);
      const ids = all.messages.map((message) => message.id);
      const { body } = await call<MessageList & { session: Session }>(`GET /${id}?messageLimit=4`);
      expect(body.session).toMatchObject({ id, messageCount: 6, status: 'idle', activeStreamId: null, title: 'm0' });
      expect(body.messages.map((message) => message.id)).toEqual(ids.slice(2));
      expect(body.pagination).toMatchObject({ limit: 4, total: 6, hasMore: true });
      const older = await call<MessageList>(
        `GET /${id}/messages?order=desc&cursor=${body.pagination.nextCursor ?? ''}`,
      );
      expect(older.body.messages.map((message) => message.id)).toEqual(ids.slice(0, 2).toReversed());
    });

    // What a cursor names need not have come from here.
    it.each([
      ...['0', '2147483647', '2147483648', '9007199254740991', '-1', '1.5', '1e3', '"1"', '[1]', 'null', '1e400'],
      ...[0, 253_402_300_800_000, 8_640_000_000_000_000, 8_640_000_000_000_001].map((time) =>
        JSON.stringify([time, '01890a5d-ac96-774b-bcce-b302099a8057']),
      ),
    ])('takes a made-up cursor or refuses it: %s', async (position) => {
      const { call, create } = newUser();
      const { id } = await create({ initialMessage: 'x' });
      const cursor = Buffer.from(position).toString('base64url');
      for (const order of ['asc', 'desc']) {
        const { status } = await call(`GET /${id}/messages?order=${order}&cursor=${cursor}`);
        expect([200, 400]).toContain(status);
      }
      expect([200, 400]).toContain((await call(`GET ?cursor=${cursor}`)).status);
    });
  });

  it('a new session has a Location, its defaults, and what was asked for', async () => {
    const { call, sub } = newUser();
    const plain = await call<{ sessionId: string; session: Session }>('POST ');
    expect(plain.status).toBe(201);
    expect(plain.headers.get('location')).toBe(`/api/chat/sessions/${plain.body.sessionId}`);
    expect(plain.body.session).toEqual(untouchedSession(sub, plain.body.session));
    expect(plain.body.session.id).toBe(plain.body.sessionId);
    const asked = {
      title: 'Übersicht 🌍',
      modelId: 'other-model',
      source: 'my-app_1',
      systemPrompt: 'Be brief.\r\n\u2028',
      parameters: { temperature: 0, topP: 1, maxTokens: 5 },
      metadata: { 'a b': '', '🙂': 'x'.repeat(512) },
    };
    const full = await call<{ session: Session }>('POST ', {
      body: { ...asked, initialMessage: 'Hi', temporary: true },
    });
    expect(full.body.session).toMatchObject({ ...asked, temporary: true, messageCount: 1 });
    expect((await call<{ session: Session }>(`GET /${full.body.session.id}`)).body.session).toEqual(full.body.session);
    const { body } = await call<SessionList>('GET ');
    expect(body.sessions.map(({ id }) => id)).toEqual([plain.body.sessionId]);
  });

  it('PATCH replaces each field whole, null clears it, and moves nothing', async () => {
    const { call, create } = newUser();
    const { id, title } = await create({ initialMessage: 'First words of it', metadata: { a: '1', b: '2' } });
    expect(title).toBe('First words of it');
    const newer = await create();
    const patch = async (body: object) => {
      const answer = await call<{ session: Session }>(`PATCH /${id}`, { body });
      expect(answer.status).toBe(200);
      expect((await call<{ session: Session }>(`GET /${id}`)).body.session).toEqual(answer.body.session);
      return answer.body.session;
    };
    expect(await patch({ title: 'Mine', metadata: { c: '3' }, parameters: { topP: 1 } })).toMatchObject({
      title: 'Mine',
      metadata: { c: '3' },
      parameters: { topP: 1 },
    });
    expect(await patch({ parameters: { temperature: 1 } })).toMatchObject({
      title: 'Mine',
      parameters: { temperature: 1 },
    });
    expect(await patch({ modelId: 'other-model', systemPrompt: 'Rhyme.' })).toMatchObject({ modelId: 'other-model' });
    expect(
      await patch({ title: null, modelId: null, systemPrompt: null, parameters: null, metadata: null }),
    ).toMatchObject({ title, modelId: 'test-model', systemPrompt: null, parameters: {}, metadata: {} });
    expect((await call<SessionList>('GET ')).body.sessions.map((session) => session.id)).toEqual([newer.id, id]);
    expect((await call(`PATCH /${id}`, { body: { source: 'x' } })).status).toBe(400);
    expect((await call(`PATCH /${id}`)).status).toBe(200);
  });

  it('titles itself after the first message, cut at a word, and only then', async () => {
    const { call, create } = newUser();
    const { id } = await create();
    const words = 'A question of considerable length that goes on beyond what fits';
    await call(`POST /${id}/messages`, { body: { message: `${words} into a title` } });
    const { body } = await call<{ session: Session }>(`GET /${id}`);
    const { title } = body.session;
    expect(words.startsWith(title ?? 'none')).toBe(true);
    expect(codePointLength(title ?? '')).toBeLessThanOrEqual(60);
    expect(words.charAt((title ?? '').length)).toBe(' ');
    await call(`POST /${id}/messages`, { body: { message: 'Another' } });
    expect((await call<{ session: Session }>(`GET /${id}`)).body.session.title).toBe(title);
  });

  it('DELETE ends what is written, and everything goes', async () => {
    const { call, create, sub } = newUser();
    const { id } = await create();
    const message = `Endless ${sub}`;
    world.openai.script(message, { chunks: ['a', 'b'], hold: [1] });
    const headers = { accept: 'application/json' };
    const started = await call<{ streamId: string }>(`POST /${id}/stream`, { body: { message }, headers });
    const model = await callFor(world.openai, message);
    await model.reached(1);
    expect((await call(`DELETE /${id}/messages/${started.body.streamId}`)).body.code).toBe('GENERATION_IN_PROGRESS');
    const deleted = await call(`DELETE /${id}`);
    expect([deleted.status, deleted.text]).toEqual([204, '']);
    await model.ended;
    expect(model.state).toBe('cancelled');
    for (const target of [`GET /${id}`, `DELETE /${id}`, `GET /${id}/messages`, `GET /${id}/stream`]) {
      expect([target, (await call(target)).status]).toEqual([target, 404]);
    }
    expect((await call<SessionList>('GET ')).body.pagination.total).toBe(0);
  });

  describe('update-stream', () => {
    interface Finalized {
      readonly message: Message;
      readonly usage: unknown;
      readonly matches: boolean;
    }

    it('says whether the text is the stored one, and changes neither row nor anything else', async () => {
      const { call, create, sub } = newUser();
      const { id } = await create();
      world.openai.script(`Say ${sub}`, { chunks: ['The', ' truth'] });
      const sent = await call<{ message: Message }>(`POST /${id}/messages`, { body: { message: `Say ${sub}` } });
      const { message } = sent.body;
      const database = await world.openDatabase();
      const { query, tables } = database;
      const { sessions, messages, generations } = tables;
      const rows = async () =>
        JSON.stringify(
          await Promise.all([
            query.select().from(sessions),
            query.select().from(messages),
            query.select().from(generations),
          ]),
        );
      const before = await rows();
      const calls = world.openai.calls.length;
      for (const [body, matches] of [
        [{ completeResponse: 'The truth' }, true],
        [{ completeResponse: 'The truth', tokensUsed: message.usage?.totalTokens }, true],
        [{ completeResponse: 'The truth', tokensUsed: 0, streamId: message.id }, true],
        [{ completeResponse: 'A forgery', tokensUsed: 0 }, false],
        [{ completeResponse: '', tokensUsed: Number.MAX_SAFE_INTEGER }, false],
        [{ completeResponse: 'The truth ', streamId: message.id }, false],
        [{ completeResponse: 'x'.repeat(500_000) }, false],
      ] as const) {
        const answer = await call<Finalized>(`POST /${id}/update-stream`, { body });
        expect([answer.status, answer.body]).toEqual([200, { message, usage: message.usage, matches }]);
      }
      for (const body of [
        {},
        { completeResponse: 7 },
        { completeResponse: 'The truth', tokensUsed: -1 },
        { completeResponse: 'The truth', tokensUsed: 1.5 },
        { completeResponse: 'The truth', usage: { credits: 0 } },
        { completeResponse: 'The truth', message: {} },
      ]) {
        expect((await call(`POST /${id}/update-stream`, { body })).status).toBe(400);
      }
      expect(await rows()).toBe(before);
      expect(world.openai.calls).toHaveLength(calls);
    });

    it('is 409 while it is written, and 404 where there is none', async () => {
      const { call, create, sub } = newUser();
      const { id } = await create();
      const body = { completeResponse: 'x' };
      expect((await call(`POST /${id}/update-stream`, { body })).status).toBe(404);
      const message = `Slow ${sub}`;
      world.openai.script(message, { chunks: ['a'], hold: [0] });
      const headers = { accept: 'application/json' };
      const started = await call<{ streamId: string }>(`POST /${id}/stream`, { body: { message }, headers });
      const busy = await call(`POST /${id}/update-stream`, { body });
      expect([busy.status, busy.body.code, busy.body.streamId]).toEqual([
        409,
        'GENERATION_IN_PROGRESS',
        started.body.streamId,
      ]);
      (await callFor(world.openai, message)).releaseAll();
      const stop = await call<{ message: Message }>(`POST /${id}/stop`, { body: { streamId: started.body.streamId } });
      expect(stop.status).toBe(200);
      const unknown = { ...body, streamId: '01890a5d-ac96-774b-bcce-b302099a8057' };
      expect((await call(`POST /${id}/update-stream`, { body: unknown })).status).toBe(404);
    });
  });
});
