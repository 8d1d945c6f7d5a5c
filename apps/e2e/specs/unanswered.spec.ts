import type { SendMessageInput } from '@chat-service/shared/message-api';
import type { CreateSessionInput } from '@chat-service/shared/session-api';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { patience } from '../src/call-for.ts';
import { describeEachDatabase } from '../src/describe-databases.ts';
import { refusalOf } from '../src/refusal.ts';
import { startWorld, type World } from '../src/world.ts';

describeEachDatabase('what the model is asked', (kind) => {
  let world: World;
  beforeAll(async () => {
    world = await startWorld({
      kind,
      models: [
        { id: 'narrow-model', contextWindow: 120, maxTokens: 60 },
        { id: 'short-model', maxTokens: 10 },
      ],
    });
    // A refused request is not tried again, and says nothing against the model.
    world.openai.script(/\[fail\]$/u, { status: 400 });
    world.openai.script(/\[break\]$/u, { chunks: ['partly', ' lost'], fault: { at: 1, kind: 'error' } });
    world.openai.script(/\[hold\]$/u, { chunks: ['half', ' whole'], hold: [1] });
    world.openai.script(/\[mute\]$/u, { chunks: ['never'], hold: [0] });
    world.openai.script(/\[empty\]$/u, { chunks: [] });
  });
  afterAll(() => world[Symbol.asyncDispose]());

  let users = 0;
  async function newSession(input: CreateSessionInput = {}) {
    users += 1;
    const { trpc } = world.trpc(`user-${users}`);
    const { sessionId } = await trpc.session.create.mutate(input);
    const read = async () => (await trpc.session.get.query({ sessionId })).messages;
    return {
      trpc,
      sessionId,
      read,
      send: (request: Partial<SendMessageInput> = {}) => trpc.message.send.mutate({ sessionId, ...request }),
      /** Starts a held answer, stops it there, and resolves with the stopped message. */
      async sendAndStop(message: string, chunk: number) {
        const { length } = world.openai.calls;
        const { streamId } = await trpc.message.start.mutate({ sessionId, message });
        const call = await world.openai.call(length);
        await call.reached(chunk);
        if (chunk > 0) await expect.poll(async () => (await read()).at(-1)?.content, patience).toBe('half');
        const stopped = await trpc.message.stop.mutate({ sessionId, streamId });
        expect(stopped.message.status).toBe('stopped');
        return stopped.message;
      },
    };
  }

  /** Of the newest call: `role: content`. */
  const asked = () => world.openai.calls.at(-1)?.body.messages.map(({ role, content }) => `${role}: ${content}`);

  describe('a user message', () => {
    it('is appended behind an unanswered one, and joined with it by a blank line', async () => {
      const { send, read } = await newSession({ initialMessage: 'First.', systemPrompt: 'Be kind.' });
      await send({ message: 'Second.' });
      expect(asked()).toEqual(['system: Be kind.', 'user: First.\n\nSecond.']);
      expect((await read()).map(({ role, content }) => [role, content])).toEqual([
        ['user', 'First.'],
        ['user', 'Second.'],
        ['assistant', 'Hello from the fake.'],
      ]);
      await send({ message: 'Third.' });
      expect(asked()).toEqual([
        'system: Be kind.',
        'user: First.\n\nSecond.',
        'assistant: Hello from the fake.',
        'user: Third.',
      ]);
    });

    it('is unanswered after an answer that failed, and then answered without being sent again', async () => {
      const { send, read } = await newSession();
      const failed = await refusalOf(send({ message: 'Question [fail]', idempotencyKey: 'first' }));
      expect(failed).toMatchObject({ code: 'MODEL_ERROR', httpStatus: 502 });
      const [question] = await read();
      expect(failed.userMessageId).toBe(question?.id);

      world.openai.script('Question [fail]', { times: 1 });
      const answered = await send({ idempotencyKey: 'second' });
      expect(answered.userMessage).toEqual(question);
      expect(asked()).toEqual(['user: Question [fail]']);
      const messages = await read();
      expect(messages.map(({ role, status }) => [role, status])).toEqual([
        ['user', 'complete'],
        ['assistant', 'failed'],
        ['assistant', 'complete'],
      ]);
      expect(messages[2]?.id).not.toBe(failed.streamId);
    });

    it('is unanswered after an answer that broke off, whose text the model is not shown', async () => {
      const { send, read } = await newSession();
      await refusalOf(send({ message: 'Question [break]' }));
      expect((await read()).at(-1)).toMatchObject({ status: 'failed', content: 'partly' });
      await send({ message: 'Try again.' });
      expect(asked()).toEqual(['user: Question [break]\n\nTry again.']);
      await send({ message: 'Thanks.' });
      expect(asked()).toEqual([
        'user: Question [break]\n\nTry again.',
        'assistant: Hello from the fake.',
        'user: Thanks.',
      ]);
    });

    it('is answered by an answer that was stopped with text', async () => {
      const { send, sendAndStop } = await newSession();
      expect(await sendAndStop('Question [hold]', 1)).toMatchObject({ content: 'half' });
      expect(await refusalOf(send())).toMatchObject({ code: 'BAD_REQUEST', errors: [{ path: 'message' }] });
      await send({ message: 'Go on.' });
      expect(asked()).toEqual(['user: Question [hold]', 'assistant: half', 'user: Go on.']);
    });

    it('is unanswered after an answer that was stopped without text', async () => {
      const { send, sendAndStop, read } = await newSession();
      expect(await sendAndStop('Question [mute]', 0)).toMatchObject({ content: '' });
      world.openai.script('Question [mute]', { times: 1 });
      expect(await send()).toMatchObject({
        userMessage: { content: 'Question [mute]' },
        message: { status: 'complete' },
      });
      expect(asked()).toEqual(['user: Question [mute]']);
      expect(await read()).toHaveLength(3);
    });

    it('is answered by an empty answer that is complete, which the model is not shown', async () => {
      const { send } = await newSession();
      expect(await send({ message: 'Question [empty]' })).toMatchObject({
        message: { status: 'complete', content: '' },
      });
      expect(await refusalOf(send())).toMatchObject({ code: 'BAD_REQUEST' });
      await send({ message: 'Well?' });
      expect(asked()).toEqual(['user: Question [empty]\n\nWell?']);
    });

    it('is what a session begins with for the model, also when its first question is gone', async () => {
      const { trpc, sessionId, send } = await newSession();
      const { userMessage } = await send({ message: 'Deleted later' });
      await trpc.message.delete.mutate({ sessionId, messageId: userMessage?.id ?? '' });
      await send({ message: 'Hello?' });
      expect(asked()).toEqual(['user: Hello?']);
    });
  });

  describe('a send without a message', () => {
    it('is refused where nothing is unanswered, and stores nothing', async () => {
      const { trpc, sessionId, send, read } = await newSession();
      const nothing = { code: 'BAD_REQUEST', httpStatus: 400, errors: [{ path: 'message' }] };
      expect(await refusalOf(send())).toMatchObject(nothing);
      expect(await read()).toEqual([]);
      await send({ message: 'Hello' });
      expect(await refusalOf(send())).toMatchObject(nothing);
      expect(await refusalOf(trpc.message.start.mutate({ sessionId }))).toMatchObject(nothing);
      expect(await read()).toHaveLength(2);
      expect((await trpc.session.get.query({ sessionId })).session).toMatchObject({ status: 'idle', messageCount: 2 });
    });

    it('answers the initial message, once', async () => {
      const { send, read } = await newSession({ initialMessage: 'To begin with' });
      const [initial] = await read();
      expect(await send()).toMatchObject({ userMessage: initial });
      expect(asked()).toEqual(['user: To begin with']);
      expect(await refusalOf(send())).toMatchObject({ code: 'BAD_REQUEST' });
      expect(await read()).toHaveLength(2);
    });

    it('answers the message again once its answer is deleted', async () => {
      const { trpc, sessionId, send } = await newSession();
      const { message, userMessage } = await send({ message: 'Once more' });
      await trpc.message.delete.mutate({ sessionId, messageId: message.id });
      expect((await send()).userMessage).toEqual(userMessage);
      expect(asked()).toEqual(['user: Once more']);
    });
  });

  describe('model and parameters', () => {
    it("are the session's, overridden key by key for one message", async () => {
      const { trpc, sessionId, send } = await newSession({ parameters: { temperature: 1.5, topP: 0.25 } });
      await send({ message: 'As usual' });
      expect(world.openai.calls.at(-1)?.body).toMatchObject({
        model: 'fake-1',
        temperature: 1.5,
        top_p: 0.25,
        max_tokens: 512_000,
      });
      const { message } = await send({
        message: 'Differently',
        modelId: 'other-model',
        parameters: { temperature: 0, maxTokens: 5 },
      });
      expect(message).toMatchObject({ modelId: 'other-model', fallbackFrom: null });
      expect(world.openai.calls.at(-1)?.body).toMatchObject({
        model: 'fake-2',
        temperature: 0,
        top_p: 0.25,
        max_tokens: 5,
      });
      await send({ message: 'As usual again' });
      expect(world.openai.calls.at(-1)?.body).toMatchObject({ model: 'fake-1', temperature: 1.5, top_p: 0.25 });
      expect((await trpc.session.get.query({ sessionId })).session).toMatchObject({
        modelId: 'test-model',
        parameters: { temperature: 1.5, topP: 0.25 },
      });
      await send({ message: 'Within bounds', modelId: 'short-model', parameters: { maxTokens: 5000 } });
      expect(world.openai.calls.at(-1)?.body['max_tokens']).toBe(10);
    });

    it('have to be known and in range', async () => {
      const { send, read } = await newSession();
      const wrong = [
        [{ modelId: 'no-such-model' }, 'modelId'],
        [{ modelId: '' }, 'modelId'],
        [{ parameters: { temperature: 2.1 } }, 'parameters.temperature'],
        [{ parameters: { topP: -0.1 } }, 'parameters.topP'],
        [{ parameters: { maxTokens: 0 } }, 'parameters.maxTokens'],
        [{ parameters: { maxTokens: 1.5 } }, 'parameters.maxTokens'],
        [{ parameters: { penalty: 1 } }, 'parameters.penalty'],
      ] as const;
      for (const [input, path] of wrong) {
        expect(await refusalOf(send({ message: 'Hello', ...(input as Partial<SendMessageInput>) }))).toMatchObject({
          code: 'BAD_REQUEST',
          errors: [{ path }],
        });
      }
      expect(await read()).toEqual([]);
    });

    it('stay as they were admitted while the session changes', async () => {
      const { trpc, sessionId, read } = await newSession({ systemPrompt: 'Old.' });
      const { length } = world.openai.calls;
      const { streamId } = await trpc.message.start.mutate({ sessionId, message: 'Slowly [hold]' });
      const call = await world.openai.call(length);
      await trpc.session.update.mutate({ sessionId, modelId: 'other-model', systemPrompt: 'New.' });
      call.releaseAll();
      await expect.poll(async () => (await read()).at(-1)?.status, patience).toBe('complete');
      expect((await read()).at(-1)).toMatchObject({ id: streamId, modelId: 'test-model', content: 'half whole' });
      await trpc.message.send.mutate({ sessionId, message: 'Next' });
      expect(world.openai.calls.at(-1)?.body.model).toBe('fake-2');
      expect(asked()?.[0]).toBe('system: New.');
    });
  });

  describe('the history', () => {
    const words = (name: string) => `${name} ${'apple '.repeat(15).trim()}`;

    it('is fitted to the window: oldest turns go first, never the system prompt or the last turn', async () => {
      const { send } = await newSession({ systemPrompt: 'System stays.', modelId: 'narrow-model' });
      for (const name of ['one', 'two', 'three', 'four']) {
        world.openai.script(words(name), { chunks: [`answer ${name}`] });
        await send({ message: words(name) });
      }
      const prompt = asked() ?? [];
      expect(prompt[0]).toBe('system: System stays.');
      expect(prompt.at(-1)).toBe(`user: ${words('four')}`);
      expect(prompt.slice(1, -1)).toEqual([
        `user: ${words('two')}`,
        'assistant: answer two',
        `user: ${words('three')}`,
        'assistant: answer three',
      ]);
    });

    it('leaves a message that does not fit into the window to the user', async () => {
      const { trpc, sessionId, send, read } = await newSession({ modelId: 'narrow-model' });
      const refusal = await refusalOf(send({ message: 'apple '.repeat(130), idempotencyKey: 'long' }));
      expect(refusal).toMatchObject({ code: 'BAD_REQUEST', errors: [{ path: 'message' }] });
      expect(await read()).toEqual([]);
      expect((await trpc.session.get.query({ sessionId })).session).toMatchObject({ status: 'idle', title: null });
      const { message } = await send({
        message: 'apple '.repeat(130),
        idempotencyKey: 'long wide',
        modelId: 'test-model',
      });
      expect(message.status).toBe('complete');
    });
  });

  describe('the fallback model', () => {
    const isBacked = ({ model }: { model: string }) => model === 'fake-3';

    it('answers where the model asked for fails before its first token', async () => {
      const { send, read } = await newSession({ modelId: 'backed-model', systemPrompt: 'Be kind.' });
      world.openai.script(isBacked, { status: 400, times: 1 });
      const { length } = world.openai.calls;
      const { message, usage } = await send({ message: 'Anyone?' });
      expect(message).toMatchObject({ modelId: 'other-model', fallbackFrom: 'backed-model', status: 'complete' });
      const [asked1, asked2] = world.openai.calls.slice(length).map(({ body }) => body);
      expect([asked1?.model, asked2?.model]).toEqual(['fake-3', 'fake-2']);
      expect(asked2?.messages).toEqual(asked1?.messages);
      // Priced as the model that served: 0.5 and 1 per 1,000.
      const { inputTokens = 0, outputTokens = 0 } = usage ?? {};
      expect(usage?.credits).toBe((inputTokens * 500 + outputTokens * 1000) / 1_000_000);
      expect((await read()).at(-1)).toEqual(message);
    });

    it('never takes over once a token has come', async () => {
      const { send } = await newSession({ modelId: 'backed-model' });
      world.openai.script(isBacked, { chunks: ['begun', ' not ended'], fault: { at: 1, kind: 'error' }, times: 1 });
      const { length } = world.openai.calls;
      expect(await refusalOf(send({ message: 'Anyone?' }))).toMatchObject({ code: 'MODEL_ERROR' });
      expect(world.openai.calls.slice(length).map(({ body }) => body.model)).toEqual(['fake-3']);
    });

    it('is not asked where the model answers by itself', async () => {
      const { send } = await newSession({ modelId: 'backed-model' });
      expect((await send({ message: 'Anyone?' })).message).toMatchObject({
        modelId: 'backed-model',
        fallbackFrom: null,
      });
    });
  });
});
