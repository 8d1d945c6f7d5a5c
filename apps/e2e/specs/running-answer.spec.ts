import { isTRPCClientError } from '@trpc/client';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { patience } from '../src/call-for.ts';
import { collect } from '../src/collect.ts';
import { describeEachDatabase } from '../src/describe-databases.ts';
import { follow } from '../src/follow.ts';
import { releaseChunks } from '../src/held-answer.ts';
import { startWorld, type World } from '../src/world.ts';

const chunks = ['first', ' second', ' third'];

describeEachDatabase('while an answer is written', (kind) => {
  let world: World;
  beforeAll(async () => {
    world = await startWorld({ kind });
  });
  afterAll(() => world[Symbol.asyncDispose]());

  it('reads have it with its text so far, and a second send is told which one to join', async () => {
    const { trpc } = world.trpc();
    world.openai.script('Tell me', { chunks, hold: 'every' });
    const { sessionId } = await trpc.session.create.mutate({});
    const { streamId } = await trpc.message.start.mutate({ sessionId, message: 'Tell me' });
    const call = await world.openai.call(0);
    const before = await trpc.session.get.query({ sessionId });
    expect(before.session).toMatchObject({ status: 'streaming', activeStreamId: streamId, messageCount: 2 });
    expect(before.messages[1]).toMatchObject({ id: streamId, status: 'streaming', content: '', usage: null });

    await releaseChunks(call, 0, 2);
    const read = () => trpc.session.get.query({ sessionId });
    await vi.waitFor(async () => expect((await read()).messages[1]?.content).toBe('first second'), patience);
    const streaming = {
      id: streamId,
      role: 'assistant',
      status: 'streaming',
      content: 'first second',
      usage: null,
      finishReason: null,
      error: null,
    };
    const got = await read();
    expect(got.messages[1]).toMatchObject(streaming);
    expect((await trpc.message.list.query({ sessionId })).messages).toEqual(got.messages);
    expect((await trpc.message.list.query({ sessionId })).pagination.total).toBe(2);
    const { sessions } = await trpc.session.list.query({});
    expect(sessions[0]).toEqual(got.session);
    expect(got.session).toMatchObject({ status: 'streaming', activeStreamId: streamId, messageCount: 2 });

    const attempts: Promise<unknown>[] = [
      trpc.message.send.mutate({ sessionId, message: 'Another' }),
      trpc.message.start.mutate({ sessionId, message: 'Another' }),
      collect((subscriber) =>
        trpc.message.stream.subscribe({ sessionId, message: 'Another', idempotencyKey: 'another' }, subscriber),
      ).done,
      world.client().messages.send({ sessionId, message: 'Another' }, { maxRetries: 0 }),
    ];
    const refusals = await Promise.all(attempts.map((attempt) => attempt.then(() => null, refusalOf)));
    const expected = { code: 'GENERATION_IN_PROGRESS', sessionId, streamId };
    expect(refusals).toEqual([expected, expected, expected, expected]);

    const joined = follow(trpc, { sessionId, streamId: refusals[0]?.streamId ?? '' });
    await joined.until(3);
    call.releaseAll();
    await joined.done;
    expect(joined.events.map(({ event }) => event.type)).toEqual(['start', 'chunk', 'chunk', 'chunk', 'done']);
    // The session is free as soon as the end is told.
    world.openai.script('Another', { chunks: ['Yes'] });
    const { message } = await trpc.message.send.mutate({ sessionId, message: 'Another' });
    expect(message.content).toBe('Yes');
    expect(world.openai.calls).toHaveLength(2);
  });

  it('and after it no text and no token is in the log', async () => {
    const canary = 'kAnArY-7f3b';
    const token = await world.token('logged');
    const { trpc } = world.trpc('logged');
    const client = world.client('logged');
    const failing = `${canary} failing`;
    const errorBody = { error: { message: `cannot read: ${canary}`, type: 'invalid_request_error', code: 'fake' } };
    world.openai.script(canary, { chunks: [`${canary} said`, ' so'] });
    world.openai.script(failing, { status: 400, errorBody });
    world.openai.script(`${canary} broken`, { chunks: [canary, canary], fault: { at: 1, kind: 'error' } });
    const { sessionId } = await trpc.session.create.mutate({ title: canary, systemPrompt: canary });
    await trpc.message.send.mutate({ sessionId, message: canary });
    await client.messages.stream({ sessionId, message: canary }).finalMessage();
    await expect(trpc.message.send.mutate({ sessionId, message: failing })).rejects.toThrow();
    await expect(trpc.message.send.mutate({ sessionId, message: `${canary} broken` })).rejects.toThrow();
    await expect(
      collect((subscriber) =>
        trpc.message.stream.subscribe(
          // A field that does not exist: the refusal names the field and not its value.
          { sessionId, message: canary, idempotencyKey: 'k', ...{ hint: canary } },
          subscriber,
        ),
      ).done,
    ).rejects.toThrow();
    await expect(trpc.message.send.mutate({ sessionId, message: canary.repeat(5000) })).rejects.toThrow();
    await trpc.session.update.mutate({ sessionId, title: `${canary} renamed` });
    await fetch(`${world.url}/trpc/message.list?token=${token}&input=${canary}`);

    expect(world.logs.length).toBeGreaterThan(10);
    expect(world.logs.filter((line) => line.includes(canary))).toEqual([]);
    expect(world.logs.filter((line) => /eyJ[\w-]+\.eyJ/u.test(line) || line.includes(token))).toEqual([]);
  });
});

function refusalOf(error: unknown): { code?: unknown; sessionId?: unknown; streamId?: string } {
  const { code, sessionId, streamId } = (isTRPCClientError(error) ? error.data : error) as Record<string, string>;
  return { code, sessionId, ...(streamId !== undefined && { streamId }) };
}
