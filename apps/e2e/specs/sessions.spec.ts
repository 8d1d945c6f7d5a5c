import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { patience } from '../src/call-for.ts';
import { collect } from '../src/collect.ts';
import { describeEachDatabase } from '../src/describe-databases.ts';
import { createOwnSessions } from '../src/own-sessions.ts';
import { callOverHttp } from '../src/raw-http.ts';
import { refusalOf } from '../src/refusal.ts';
import { untouchedSession, uuidV7 } from '../src/session-shapes.ts';
import { startWorld, type World } from '../src/world.ts';

describeEachDatabase('sessions', (kind) => {
  let world: World;
  beforeAll(async () => {
    world = await startWorld({ kind });
    world.openai.script(/\[fail\]$/u, { status: 400 });
  });
  afterAll(() => world[Symbol.asyncDispose]());

  const { newUser, newSession, startHeld } = createOwnSessions(() => world);

  describe('create', () => {
    it('fills in the defaults', async () => {
      const { user, session, sessionId, get, trpc } = await newSession();
      expect(session).toEqual(untouchedSession(user, session));
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
      const { status, refusal } = await callOverHttp(world.url, {
        type: 'mutation',
        path: 'session.create',
        input,
        token,
      });
      expect(status).toBe(400);
      expect(refusal).toMatchObject({ code: 'BAD_REQUEST', errors: [{ path, message: expect.any(String) }] });
      expect((await trpc.session.list.query()).pagination.total).toBe(0);
    });

    it('names every field that is wrong', async () => {
      const { user } = newUser();
      const input = { title: '', source: '!', parameters: { topP: 2 }, one: 1, two: 2 };
      const token = await world.token(user);
      const { refusal } = await callOverHttp(world.url, { type: 'mutation', path: 'session.create', input, token });
      const paths = (refusal?.['errors'] as { path: string }[] | undefined)?.map(({ path }) => path);
      expect(paths?.toSorted()).toEqual(['one', 'parameters.topP', 'source', 'title', 'two']);
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
        'one',
        'answer',
        'two',
        'answer',
        'three',
        'answer',
      ]);
      const { messages, pagination } = await trpc.session.get.query({ sessionId, messageLimit: 4 });
      expect(messages).toEqual(all.slice(2));
      expect(pagination).toMatchObject({ page: null, limit: 4, total: 6, totalPages: 2, hasMore: true });
      const cursor = pagination.nextCursor ?? '';
      const older = await trpc.message.list.query({ sessionId, order: 'desc', limit: 1, cursor });
      expect(older.messages).toEqual([all[1]]);
      const oldest = await trpc.message.list.query({
        sessionId,
        order: 'desc',
        limit: 1,
        cursor: older.pagination.nextCursor ?? '',
      });
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
      expect(read.messages.at(-1)).toMatchObject({
        id: streamId,
        status: 'streaming',
        usage: null,
        finishReason: null,
      });
      await expect
        .poll(
          async () => (await session.trpc.session.get.query({ sessionId: session.sessionId })).messages.at(-1)?.content,
          patience,
        )
        .toBe('half');
      expect((await session.trpc.message.list.query({ sessionId: session.sessionId })).messages.at(-1)?.content).toBe(
        'half',
      );
      call.release();
      await watched.done;
      expect(await session.get()).toMatchObject({ status: 'idle', activeStreamId: null, messageCount: 2 });
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
      const { status, refusal } = await callOverHttp(world.url, {
        type: 'mutation',
        path: 'session.update',
        input,
        token,
      });
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
      const follow = collect((subscriber) =>
        trpc.message.follow.subscribe({ sessionId, streamId: message.id }, subscriber),
      );
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
});
