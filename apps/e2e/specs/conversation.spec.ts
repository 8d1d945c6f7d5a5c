import { afterAll, beforeAll, expect, it } from 'vitest';
import { collect, textOf } from '../src/collect.ts';
import { describeEachDatabase } from '../src/describe-databases.ts';
import { startWorld, type World } from '../src/world.ts';

describeEachDatabase('a conversation', (kind) => {
  let world: World;
  beforeAll(async () => {
    world = await startWorld({ kind });
  });
  afterAll(() => world[Symbol.asyncDispose]());

  it('streams an answer token by token and stores it', async () => {
    const { trpc } = world.trpc();
    world.openai.script('Hello?', { chunks: ['Hi', ' there', '.'] });
    const { session } = await trpc.session.create.mutate({});
    const stream = collect((subscriber) =>
      trpc.message.stream.subscribe({ sessionId: session.id, message: 'Hello?', idempotencyKey: 'first' }, subscriber),
    );
    await stream.done;
    expect(stream.events.map(({ event }) => event.type)).toEqual(['start', 'chunk', 'chunk', 'chunk', 'done']);
    expect(textOf(stream.events)).toBe('Hi there.');
    const ids = stream.events.map(({ id }) => id);
    expect(ids).toEqual([...new Set(ids)].toSorted());
    const read = await trpc.session.get.query({ sessionId: session.id });
    expect(read.session).toMatchObject({ status: 'idle', messageCount: 2, title: 'Hello?' });
    expect(read.messages.map(({ role, content, status }) => [role, content, status])).toEqual([
      ['user', 'Hello?', 'complete'],
      ['assistant', 'Hi there.', 'complete'],
    ]);
    expect(stream.events.at(-1)?.event).toMatchObject({
      type: 'done',
      message: read.messages[1],
      finishReason: 'stop',
    });
  });

  it('answers a plain send with the whole answer', async () => {
    const client = world.client('bob');
    world.openai.script('Sum up', { chunks: ['All', ' good'] });
    const { session } = await client.sessions.create({ title: 'Mine' });
    const sent = await client.messages.send({ sessionId: session.id, message: 'Sum up' });
    expect(sent.message).toMatchObject({ content: 'All good', status: 'complete', modelId: 'test-model' });
    expect(sent.usage).toEqual(sent.message.usage);
    const stream = client.messages.stream({ sessionId: session.id, message: 'Sum up' });
    const final = await stream.finalMessage();
    expect(final.content).toBe('All good');
  });
});
