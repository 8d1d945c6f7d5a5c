import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { collect } from '../src/collect.ts';
import { describeEachDatabase } from '../src/describe-databases.ts';
import { callOverHttp } from '../src/raw-http.ts';
import { refusalOf } from '../src/refusal.ts';
import { startWorld, type World } from '../src/world.ts';

const unknownId = '01900000-0000-7000-8000-000000000000';
const uuidV7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/u;
const isoTime = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/u;

describeEachDatabase('sessions', (kind) => {
  let world: World;
  beforeAll(async () => {
    world = await startWorld({ kind });
    world.openai.script(/\[hold\]$/u, { chunks: ['half', ' whole'], hold: [1] });
    world.openai.script(/\[fail\]$/u, { status: 400 });
  });
  afterAll(() => world[Symbol.asyncDispose]());

  let users = 0;
  function newUser() {
    users += 1;
    const user = `user-${users}`;
    return { user, ...world.trpc(user) };
  }
  async function newSession(...[input = {}]: Parameters<ReturnType<World['trpc']>['trpc']['session']['create']['mutate']>) {
    const { user, trpc } = newUser();
    const { sessionId, session } = await trpc.session.create.mutate({ ...input });
    const get = async () => (await trpc.session.get.query({ sessionId })).session;
    const send = (message: string) => trpc.message.send.mutate({ sessionId, message });
    return { user, trpc, sessionId, session, get, send };
  }
  /** Starts an answer that waits after its first piece. */
  async function startHeld({ trpc, sessionId }: Pick<Awaited<ReturnType<typeof newSession>>, 'trpc' | 'sessionId'>) {
    const { length } = world.openai.calls;
    const { streamId } = await trpc.message.start.mutate({ sessionId, message: 'Wait [hold]' });
    const watched = collect((subscriber) => trpc.message.follow.subscribe({ sessionId, streamId }, subscriber));
    const call = await world.openai.call(length);
    await watched.until(2);
    return { streamId, call, watched };
  }

  describe('create', () => {
    it('fills in the defaults', async () => {
      const { user, session, sessionId, get, trpc } = await newSession();
      expect(session).toEqual({
        id: expect.stringMatching(uuidV7),
        userId: user,
        title: null,
        modelId: 'test-model',
        source: 'api',
        systemPrompt: null,
        parameters: {},
        metadata: {},
        status: 'idle',
        activeStreamId: null,
        messageCount: 0,
        lastMessageAt: null,
        temporary: false,
        observers: null,
        createdAt: expect.stringMatching(isoTime),
        updatedAt: session.createdAt,
      });
      expect(sessionId).toBe(session.id);
      expect(await get()).toEqual(session);
      expect(await trpc.session.get.query({ sessionId })).toMatchObject({
        messages: [],
        pagination: { page: null, limit: 100, total: 0, totalPages: 0, hasMore: false, nextCursor: null },
      });
    });

    it('stores every field', async () => {
      const fields = {
        title: 'Mine',
        modelId: 'other-model',
        source: 'my_app-2',
        systemPrompt: 'Be brief.',
        parameters: { temperature: 0.1, topP: 1, maxTokens: 12 },
        metadata: { 'a key': 'a value', empty: '' },
        temporary: true,
      };
      const { trpc, sessionId, session } = await newSession({ ...fields, initialMessage: 'To begin with' });
      expect(session).toMatchObject({ ...fields, messageCount: 1, lastMessageAt: session.createdAt });
      const read = await trpc.session.get.query({ sessionId });
      expect(read.session).toEqual(session);
      expect(read.messages).toEqual([
        {
          id: expect.stringMatching(uuidV7),
          sessionId,
          role: 'user',
          content: 'To begin with',
          status: 'complete',
          modelId: null,
          fallbackFrom: null,
          stoppedBy: null,
          usage: null,
          finishReason: null,
          error: null,
          createdAt: session.createdAt,
          updatedAt: session.createdAt,
        },
      ]);
    });

    it.each([
      [{ title: '' }, 'title'],
      [{ title: 't'.repeat(201) }, 'title'],
      [{ initialMessage: '' }, 'initialMessage'],
      [{ modelId: 'no-such-model' }, 'modelId'],
      [{ source: 'Web' }, 'source'],
      [{ source: 's'.repeat(33) }, 'source'],
      [{ systemPrompt: 'p'.repeat(16_001) }, 'systemPrompt'],
      [{ parameters: { temperature: -0.1 } }, 'parameters.temperature'],
      [{ parameters: { topP: 1.1 } }, 'parameters.topP'],
      [{ parameters: { maxTokens: 0 } }, 'parameters.maxTokens'],
      [{ parameters: { stop: 'x' } }, 'parameters.stop'],
      [{ metadata: Object.fromEntries(Array.from({ length: 17 }, (_, index) => [`key-${index}`, ''])) }, 'metadata'],
      [{ metadata: { ['k'.repeat(65)]: '' } }, `metadata.${'k'.repeat(65)}`],
      [{ metadata: { key: 'v'.repeat(513) } }, 'metadata.key'],
      [{ metadata: { key: 1 } }, 'metadata.key'],
      [{ temporary: 'yes' }, 'temporary'],
      [{ colour: 'red' }, 'colour'],
    ])('refuses %j and names the field', async (input, path) => {
      const { user, trpc } = newUser();
      const token = await world.token(user);
      const { status, refusal } = await callOverHttp(world.url, { type: 'mutation', path: 'session.create', input, token });
      expect(status).toBe(400);
      expect(refusal).toMatchObject({ code: 'BAD_REQUEST', errors: [{ path, message: expect.any(String) }] });
      expect((await trpc.session.list.query()).pagination.total).toBe(0);
    });

    it('names every field that is wrong', async () => {
      const { user } = newUser();
      const input = { title: '', source: '!', parameters: { topP: 2 }, one: 1, two: 2 };
      const token = await world.token(user);
      const { refusal } = await callOverHttp(world.url, { type: 'mutation', path: 'session.create', input, token });
      const paths = (refusal?.['errors'] as { path: string }[]).map(({ path }) => path);
      expect(paths.toSorted()).toEqual(['one', 'parameters.topP', 'source', 'title', 'two']);
    });
  });

  describe('the automatic title', () => {
    it.each([
      ['a question', 'What is a monad?', 'What is a monad?'],
      ['several lines', '  line one\n\nline\ttwo  ', 'line one line two'],
      ['many words', 'word '.repeat(20), 'word '.repeat(12).trim()],
      ['one long word', 'x'.repeat(80), 'x'.repeat(60)],
      ['emoji', '😀'.repeat(80), '😀'.repeat(60)],
      ['60 code points and a word', `${'a'.repeat(30)} ${'b'.repeat(29)} c`, `${'a'.repeat(30)} ${'b'.repeat(29)}`],
      ['61 code points', `${'a'.repeat(30)} ${'b'.repeat(30)}`, 'a'.repeat(30)],
      ['words behind blanks', `${' '.repeat(1_000)}far${' '.repeat(1_000)}behind`, 'far behind'],
      ['an emoji behind blanks', `${' '.repeat(999)}😀`, '😀'],
      ['blanks', ' \n\t ', null],
    ])('of %s', async (_, message, title) => {
      const { trpc, send, get } = await newSession();
      await send(message);
      expect((await get()).title).toBe(title);
      expect((await trpc.session.create.mutate({ initialMessage: message })).session.title).toBe(title);
    });

    it('is set once, by the first message, and never over one that was given', async () => {
      const { send, get, trpc, sessionId } = await newSession();
      await refusalOf(send('First words [fail]'));
      expect((await get()).title).toBe('First words [fail]');
      await send('Second words');
      expect((await get()).title).toBe('First words [fail]');
      await trpc.session.update.mutate({ sessionId, title: 'Given' });
      await send('Third words');
      expect((await get()).title).toBe('Given');
      const { session } = await trpc.session.update.mutate({ sessionId, title: null });
      expect(session.title).toBe('First words [fail]');
    });

    it('is told by the start of the stream that sets it', async () => {
      const { trpc, sessionId } = await newSession();
      const stream = collect((subscriber) =>
        trpc.message.stream.subscribe({ sessionId, message: 'Name me', idempotencyKey: 'name' }, subscriber),
      );
      await stream.done;
      expect(stream.events[0]?.event).toMatchObject({ type: 'start', title: 'Name me' });
    });
  });

  describe('get', () => {
    it('shows the newest messages, oldest first, with a cursor to older ones', async () => {
      const { trpc, sessionId, send } = await newSession();
      for (const message of ['one', 'two', 'three']) await send(message);
      const all = (await trpc.message.list.query({ sessionId })).messages;
      expect(all.map(({ role, content }) => (role === 'user' ? content : 'answer'))).toEqual([
        'one', 'answer', 'two', 'answer', 'three', 'answer',
      ]);
      const { messages, pagination } = await trpc.session.get.query({ sessionId, messageLimit: 4 });
      expect(messages).toEqual(all.slice(2));
      expect(pagination).toMatchObject({ page: null, limit: 4, total: 6, totalPages: 2, hasMore: true });
      const cursor = pagination.nextCursor ?? '';
      const older = await trpc.message.list.query({ sessionId, order: 'desc', limit: 1, cursor });
      expect(older.messages).toEqual([all[1]]);
      const oldest = await trpc.message.list.query({ sessionId, order: 'desc', limit: 1, cursor: older.pagination.nextCursor ?? '' });
      expect(oldest.messages).toEqual([all[0]]);
      expect(oldest.pagination).toMatchObject({ hasMore: false, nextCursor: null, page: null });
      expect((await trpc.session.get.query({ sessionId, messageLimit: 500 })).messages).toEqual(all);
      for (const messageLimit of [0, 501, 1.5]) {
        const refusal = await refusalOf(trpc.session.get.query({ sessionId, messageLimit }));
        expect(refusal).toMatchObject({ code: 'BAD_REQUEST', errors: [{ path: 'messageLimit' }] });
      }
    });

    it('counts and shows the answer that is being written', async () => {
      const session = await newSession();
      const { streamId, call, watched } = await startHeld(session);
      const read = await session.trpc.session.get.query({ sessionId: session.sessionId });
      expect(read.session).toMatchObject({ status: 'streaming', activeStreamId: streamId, messageCount: 2 });
      expect(read.messages.at(-1)).toMatchObject({ id: streamId, status: 'streaming', usage: null, finishReason: null });
      await expect
        .poll(async () => (await session.trpc.session.get.query({ sessionId: session.sessionId })).messages.at(-1)?.content)
        .toBe('half');
      expect((await session.trpc.message.list.query({ sessionId: session.sessionId })).messages.at(-1)?.content).toBe('half');
      call.release();
      await watched.done;
      expect(await session.get()).toMatchObject({ status: 'idle', activeStreamId: null, messageCount: 2 });
    });
  });

  describe('list', () => {
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
      expect((await list({ limit: 5 })).pagination).toMatchObject({ page: 1, totalPages: 1, hasMore: false, nextCursor: null });
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

    it('is empty for somebody new', async () => {
      const { trpc } = newUser();
      expect(await trpc.session.list.query()).toEqual({
        sessions: [],
        pagination: { page: 1, limit: 20, total: 0, totalPages: 0, hasMore: false, nextCursor: null },
      });
      expect((await trpc.session.list.query({ page: 3 })).pagination).toMatchObject({ page: 3, total: 0, totalPages: 0 });
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
      const deletions = Array.from({ length: 4 }, () => trpc.session.delete.mutate({ sessionId }).then(() => 'done', () => 'refused'));
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

  describe('update', () => {
    const given = {
      title: 'Given',
      modelId: 'other-model',
      systemPrompt: 'Old.',
      parameters: { temperature: 1, topP: 0.5 },
      metadata: { a: '1', b: '2' },
    };

    it('replaces each field whole and leaves the others', async () => {
      const { trpc, sessionId, session } = await newSession(given);
      const changes = [
        { title: 'New' },
        { modelId: 'test-model' },
        { systemPrompt: 'New.' },
        { parameters: { maxTokens: 5 } },
        { metadata: { c: '3' } },
      ];
      let expected = session;
      for (const change of changes) {
        const { session: updated } = await trpc.session.update.mutate({ sessionId, ...change });
        expected = { ...expected, ...change, updatedAt: updated.updatedAt };
        expect(updated).toEqual(expected);
        expect(updated.updatedAt >= session.updatedAt).toBe(true);
      }
      expect((await trpc.session.get.query({ sessionId })).session).toEqual(expected);
    });

    it('clears a field with null', async () => {
      const { trpc, sessionId, session } = await newSession(given);
      const cleared = { title: null, modelId: null, systemPrompt: null, parameters: null, metadata: null };
      const { session: updated } = await trpc.session.update.mutate({ sessionId, ...cleared });
      expect(updated).toEqual({
        ...session,
        title: null,
        modelId: 'test-model',
        systemPrompt: null,
        parameters: {},
        metadata: {},
        updatedAt: updated.updatedAt,
      });
    });

    it.each([
      [{ title: '' }, 'title'],
      [{ modelId: 'no-such-model' }, 'modelId'],
      [{ parameters: { temperature: 3 } }, 'parameters.temperature'],
      [{ metadata: { a: null } }, 'metadata.a'],
      [{ source: 'web' }, 'source'],
      [{ temporary: true }, 'temporary'],
      [{ userId: 'mallory' }, 'userId'],
    ])('refuses %j and changes nothing', async (change, path) => {
      const { user, sessionId, session, get } = await newSession(given);
      const input = { sessionId, systemPrompt: 'New.', ...change };
      const token = await world.token(user);
      const { status, refusal } = await callOverHttp(world.url, { type: 'mutation', path: 'session.update', input, token });
      expect(status).toBe(400);
      expect(refusal).toMatchObject({ code: 'BAD_REQUEST', errors: [{ path }] });
      expect(await get()).toEqual(session);
    });
  });

  describe('delete', () => {
    it('makes the session and everything in it unreachable', async () => {
      const { trpc, sessionId, send } = await newSession();
      const { message } = await send('Forget this');
      expect(await trpc.session.delete.mutate({ sessionId })).toEqual({});
      const missing = { code: 'NOT_FOUND', httpStatus: 404 };
      expect(await refusalOf(trpc.session.get.query({ sessionId }))).toMatchObject(missing);
      expect(await refusalOf(trpc.session.delete.mutate({ sessionId }))).toMatchObject(missing);
      expect(await refusalOf(trpc.session.update.mutate({ sessionId, title: 'x' }))).toMatchObject(missing);
      expect(await refusalOf(trpc.message.list.query({ sessionId }))).toMatchObject(missing);
      expect(await refusalOf(send('Hello?'))).toMatchObject(missing);
      const follow = collect((subscriber) => trpc.message.follow.subscribe({ sessionId, streamId: message.id }, subscriber));
      expect(await refusalOf(follow.done)).toMatchObject(missing);
      const { query, tables } = await world.openDatabase();
      expect((await query.select().from(tables.messages)).filter((row) => row.sessionId === sessionId)).toEqual([]);
      expect((await query.select().from(tables.generations)).filter((row) => row.sessionId === sessionId)).toEqual([]);
    });

    it('ends what is being generated, upstream too', async () => {
      const session = await newSession();
      const { call } = await startHeld(session);
      await session.trpc.session.delete.mutate({ sessionId: session.sessionId });
      await call.ended;
      expect(call.state).toBe('cancelled');
      expect((await session.trpc.session.list.query()).pagination.total).toBe(0);
      const next = await session.trpc.session.create.mutate({});
      await session.trpc.message.send.mutate({ sessionId: next.sessionId, message: 'Hello' });
    });
  });

  describe('deleting a message', () => {
    it('takes that message only', async () => {
      const { trpc, sessionId, send, get } = await newSession();
      const first = await send('one');
      const second = await send('two');
      expect(await trpc.message.delete.mutate({ sessionId, messageId: first.message.id })).toEqual({});
      const { messages, pagination } = await trpc.message.list.query({ sessionId });
      expect(messages).toEqual([first.userMessage, second.userMessage, second.message]);
      expect(pagination.total).toBe(3);
      expect((await get()).messageCount).toBe(3);
      const again = await refusalOf(trpc.message.delete.mutate({ sessionId, messageId: first.message.id }));
      expect(again).toMatchObject({ code: 'NOT_FOUND', httpStatus: 404 });
      expect(await refusalOf(trpc.message.delete.mutate({ sessionId, messageId: unknownId }))).toMatchObject({ code: 'NOT_FOUND' });
      const elsewhere = await trpc.session.create.mutate({});
      const wrong = trpc.message.delete.mutate({ sessionId: elsewhere.sessionId, messageId: second.message.id });
      expect(await refusalOf(wrong)).toMatchObject({ code: 'NOT_FOUND' });
      expect((await get()).messageCount).toBe(3);
    });

    it('is refused while the session generates', async () => {
      const session = await newSession();
      const { trpc, sessionId } = session;
      const { userMessage } = await session.send('one');
      const { streamId, call, watched } = await startHeld(session);
      for (const messageId of [userMessage?.id ?? '', streamId]) {
        const refusal = await refusalOf(trpc.message.delete.mutate({ sessionId, messageId }));
        expect(refusal).toMatchObject({ code: 'GENERATION_IN_PROGRESS', httpStatus: 409, streamId });
      }
      call.release();
      await watched.done;
      await trpc.message.delete.mutate({ sessionId, messageId: streamId });
      expect((await session.get()).messageCount).toBe(3);
    });
  });

  describe('the list of messages', () => {
    it('pages in both orders, over a message that is deleted in between', async () => {
      const { trpc, sessionId, send } = await newSession();
      for (const message of ['one', 'two', 'three']) await send(message);
      const ids = (await trpc.message.list.query({ sessionId })).messages.map(({ id }) => id);
      const list = async (input: { page?: number; limit?: number; cursor?: string; order?: 'asc' | 'desc' }) => {
        const { messages, pagination } = await trpc.message.list.query({ sessionId, ...input });
        return { ids: messages.map(({ id }) => id), pagination };
      };
      expect((await list({ page: 2, limit: 4 })).ids).toEqual(ids.slice(4));
      expect((await list({ page: 2, limit: 4, order: 'desc' })).ids).toEqual(ids.toReversed().slice(4));
      expect(await list({ page: 9, limit: 4 })).toEqual({
        ids: [],
        pagination: { page: 9, limit: 4, total: 6, totalPages: 2, hasMore: false, nextCursor: null },
      });
      const first = await list({ limit: 2 });
      await trpc.message.delete.mutate({ sessionId, messageId: ids[1] ?? '' });
      const second = await list({ limit: 2, cursor: first.pagination.nextCursor ?? '' });
      expect(second.ids).toEqual(ids.slice(2, 4));
      expect(second.pagination).toMatchObject({ page: null, total: 5, hasMore: true });
      for (const cursor of ['unreadable', Buffer.from('-1').toString('base64url'), Buffer.from('"1"').toString('base64url')]) {
        const refusal = await refusalOf(trpc.message.list.query({ sessionId, cursor }));
        expect(refusal).toMatchObject({ code: 'BAD_REQUEST', errors: [{ path: 'cursor' }] });
      }
      const both = await refusalOf(trpc.message.list.query({ sessionId, page: 1, cursor: first.pagination.nextCursor ?? '' }));
      expect(both).toMatchObject({ code: 'BAD_REQUEST', errors: [{ path: 'cursor' }] });
    });
  });

  describe('finalize', () => {
    it('says whether the text is the stored one, and changes nothing', async () => {
      const { trpc, sessionId, send } = await newSession();
      const first = await send('one');
      const { message, usage } = await send('two');
      const latest = await trpc.message.finalize.mutate({ sessionId, completeResponse: message.content });
      expect(latest).toEqual({ message, usage, matches: true });
      const forged = { sessionId, streamId: message.id, completeResponse: 'Forged.', tokensUsed: 1_000_000 };
      expect(await trpc.message.finalize.mutate(forged)).toEqual({ message, usage, matches: false });
      const earlier = { sessionId, streamId: first.message.id, completeResponse: first.message.content, tokensUsed: 0 };
      expect(await trpc.message.finalize.mutate(earlier)).toEqual({ message: first.message, usage: first.usage, matches: true });
      expect((await trpc.message.list.query({ sessionId })).messages.at(-1)).toEqual(message);
    });

    it('is refused while the answer is written, and for an unknown one', async () => {
      const session = await newSession();
      const { trpc, sessionId } = session;
      const missing = { code: 'NOT_FOUND', httpStatus: 404 };
      expect(await refusalOf(trpc.message.finalize.mutate({ sessionId, completeResponse: '' }))).toMatchObject(missing);
      const { streamId, call, watched } = await startHeld(session);
      const running = { code: 'GENERATION_IN_PROGRESS', httpStatus: 409, streamId };
      expect(await refusalOf(trpc.message.finalize.mutate({ sessionId, completeResponse: 'half' }))).toMatchObject(running);
      expect(await refusalOf(trpc.message.finalize.mutate({ sessionId, streamId, completeResponse: 'half' }))).toMatchObject(running);
      call.release();
      await watched.done;
      const matches = { matches: true, message: { content: 'half whole' } };
      expect(await trpc.message.finalize.mutate({ sessionId, completeResponse: 'half whole' })).toMatchObject(matches);
      const unknown = trpc.message.finalize.mutate({ sessionId, streamId: unknownId, completeResponse: '' });
      expect(await refusalOf(unknown)).toMatchObject(missing);
      const negative = trpc.message.finalize.mutate({ sessionId, completeResponse: '', tokensUsed: -1 });
      expect(await refusalOf(negative)).toMatchObject({ code: 'BAD_REQUEST', errors: [{ path: 'tokensUsed' }] });
    });
  });

  describe('stop', () => {
    it('keeps what was written, once', async () => {
      const session = await newSession();
      const { trpc, sessionId } = session;
      expect(await refusalOf(trpc.message.stop.mutate({ sessionId }))).toMatchObject({ code: 'CONFLICT', httpStatus: 409 });
      const { streamId, call, watched } = await startHeld(session);
      const { message } = await trpc.message.stop.mutate({ sessionId });
      expect(message).toMatchObject({
        id: streamId,
        status: 'stopped',
        stoppedBy: 'user',
        finishReason: 'stopped',
        content: 'half',
        usage: { estimated: true },
        error: null,
      });
      await call.ended;
      expect(call.state).toBe('cancelled');
      await watched.done;
      expect(watched.events.at(-1)?.event).toMatchObject({ type: 'done', message });
      expect(await trpc.message.stop.mutate({ sessionId, streamId })).toEqual({ message });
      expect(await refusalOf(trpc.message.stop.mutate({ sessionId }))).toMatchObject({ code: 'CONFLICT' });
      expect(await refusalOf(trpc.message.stop.mutate({ sessionId, streamId: unknownId }))).toMatchObject({ code: 'NOT_FOUND' });
    });

    it('does not touch the next answer where it names an earlier one', async () => {
      const session = await newSession();
      const { trpc, sessionId } = session;
      const { message } = await session.send('one');
      const { call, watched } = await startHeld(session);
      expect(await trpc.message.stop.mutate({ sessionId, streamId: message.id })).toEqual({ message });
      expect(call.state).toBe('running');
      call.release();
      await watched.done;
      expect(watched.events.at(-1)?.event).toMatchObject({ type: 'done', finishReason: 'stop' });
    });
  });
});
