import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { patience } from '../src/call-for.ts';
import { describeEachDatabase } from '../src/describe-databases.ts';
import { releaseChunks } from '../src/held-answer.ts';
import { watcherKinds } from '../src/watchers.ts';
import { startWorld, type World } from '../src/world.ts';

const chunks = ['Nobody', ' is', ' listening', '.'];

describeEachDatabase('a client that goes away for good', (kind) => {
  let world: World;
  let count = 0;
  beforeAll(async () => {
    world = await startWorld({ kind });
  });
  afterAll(() => world[Symbol.asyncDispose]());

  it.each(watcherKinds)('after the first event, $name: the answer is stored whole', async (watcherKind) => {
    count += 1;
    const user = `gone-${count}`;
    const message = `Question <${count}>`;
    world.openai.script(message, { chunks, hold: 'every' });
    const index = world.openai.calls.length;
    const { trpc } = world.trpc(user);
    const { sessionId } = await trpc.session.create.mutate({});
    const watcher = watcherKind.open(world, user);
    const watched = await watcher.send({ sessionId, message, idempotencyKey: `key-${count}` });
    await watched.until(1);
    watched.unsubscribe();
    watcher.cut();
    await watcher[Symbol.asyncDispose]();
    await vi.waitFor(() => expect(world.app.transportStats()).toMatchObject({ connections: 0, inFlight: 0 }), patience);

    const call = await world.openai.call(index);
    await releaseChunks(call, 0, chunks.length + 1);
    expect(call).toMatchObject({ state: 'finished', sent: chunks });
    const stored = await vi.waitFor(async () => {
      const read = await trpc.session.get.query({ sessionId });
      expect(read.session).toMatchObject({ status: 'idle', activeStreamId: null, messageCount: 2 });
      return read.messages[1];
    }, patience);
    expect(stored).toMatchObject({
      content: chunks.join(''),
      status: 'complete',
      finishReason: 'stop',
      usage: { outputTokens: chunks.length, estimated: false },
      error: null,
      stoppedBy: null,
    });
    expect(watched.events).toHaveLength(1);
    expect(world.openai.calls).toHaveLength(index + 1);
  });

  it('while it waits for a whole answer: it is stored all the same', async () => {
    const message = 'Wait for it';
    world.openai.script(message, { chunks, hold: 'every' });
    const index = world.openai.calls.length;
    const { trpc } = world.trpc('impatient');
    const { sessionId } = await trpc.session.create.mutate({});
    const gone = new AbortController();
    const sent = trpc.message.send.mutate({ sessionId, message }, { signal: gone.signal });
    const refused = expect(sent).rejects.toThrow();
    const call = await world.openai.call(index);
    await releaseChunks(call, 0, 1);
    gone.abort();
    await refused;
    await vi.waitFor(() => expect(world.app.transportStats().inFlight).toBe(0), patience);
    call.releaseAll();
    await call.ended;
    await vi.waitFor(async () => {
      const { messages } = await trpc.message.list.query({ sessionId });
      expect(messages[1]).toMatchObject({ content: chunks.join(''), status: 'complete' });
    }, patience);
    expect(call.state).toBe('finished');
  });
});
