import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { describeEachDatabase } from '../src/describe-databases.ts';
import { createOwnSessions } from '../src/own-sessions.ts';
import { refusalOf } from '../src/refusal.ts';
import { startWorld, type World } from '../src/world.ts';

const unknownId = '01900000-0000-7000-8000-000000000000';

describeEachDatabase('messages', (kind) => {
  let world: World;
  beforeAll(async () => {
    world = await startWorld({ kind });
  });
  afterAll(() => world[Symbol.asyncDispose]());

  const { newSession, startHeld } = createOwnSessions(() => world);

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
      expect(await refusalOf(trpc.message.delete.mutate({ sessionId, messageId: unknownId }))).toMatchObject({
        code: 'NOT_FOUND',
      });
      const elsewhere = await trpc.session.create.mutate({});
      const wrong = trpc.message.delete.mutate({ sessionId: elsewhere.sessionId, messageId: second.message.id });
      expect(await refusalOf(wrong)).toMatchObject({ code: 'NOT_FOUND' });
      expect((await get()).messageCount).toBe(3);
    });

    it('takes its words out of the automatic title, and leaves a given one alone', async () => {
      const { trpc, sessionId, send, get } = await newSession();
      const first = await send('First words');
      await send('Later words');
      expect((await get()).title).toBe('First words');
      await trpc.message.delete.mutate({ sessionId, messageId: first.userMessage?.id ?? '' });
      expect((await get()).title).toBe('Later words');
      await trpc.session.update.mutate({ sessionId, title: 'Given' });
      const { messages } = await trpc.message.list.query({ sessionId });
      for (const { id } of messages) await trpc.message.delete.mutate({ sessionId, messageId: id });
      expect((await get()).title).toBe('Given');
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
      for (const cursor of [
        'unreadable',
        Buffer.from('-1').toString('base64url'),
        Buffer.from('"1"').toString('base64url'),
      ]) {
        const refusal = await refusalOf(trpc.message.list.query({ sessionId, cursor }));
        expect(refusal).toMatchObject({ code: 'BAD_REQUEST', errors: [{ path: 'cursor' }] });
      }
      const both = await refusalOf(
        trpc.message.list.query({ sessionId, page: 1, cursor: first.pagination.nextCursor ?? '' }),
      );
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
      expect(await trpc.message.finalize.mutate(earlier)).toEqual({
        message: first.message,
        usage: first.usage,
        matches: true,
      });
      expect((await trpc.message.list.query({ sessionId })).messages.at(-1)).toEqual(message);
    });

    it('is refused while the answer is written, and for an unknown one', async () => {
      const session = await newSession();
      const { trpc, sessionId } = session;
      const missing = { code: 'NOT_FOUND', httpStatus: 404 };
      expect(await refusalOf(trpc.message.finalize.mutate({ sessionId, completeResponse: '' }))).toMatchObject(missing);
      const { streamId, call, watched } = await startHeld(session);
      const running = { code: 'GENERATION_IN_PROGRESS', httpStatus: 409, streamId };
      expect(await refusalOf(trpc.message.finalize.mutate({ sessionId, completeResponse: 'half' }))).toMatchObject(
        running,
      );
      expect(
        await refusalOf(trpc.message.finalize.mutate({ sessionId, streamId, completeResponse: 'half' })),
      ).toMatchObject(running);
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
      expect(await refusalOf(trpc.message.stop.mutate({ sessionId }))).toMatchObject({
        code: 'CONFLICT',
        httpStatus: 409,
      });
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
      expect(await refusalOf(trpc.message.stop.mutate({ sessionId, streamId: unknownId }))).toMatchObject({
        code: 'NOT_FOUND',
      });
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
