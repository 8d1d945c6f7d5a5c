import { EventSource } from 'eventsource';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createClientFolder } from '../src/foreign-clients/client-folder.ts';
import { releaseChunk } from '../src/held-answer.ts';
import { startShell } from '../src/shell.ts';
import { startWorld, type World } from '../src/world.ts';

let world: World;
beforeAll(async () => {
  world = await startWorld({ kind: 'sqlite' });
  world.openai.script('Hi', { chunks: ['Good', ' day'] });
  world.openai.script('Stream it', { chunks: ['one', ' two'] });
});
afterAll(() => world[Symbol.asyncDispose]());

async function openSession(sub: string): Promise<string> {
  const { session } = await world.trpc(sub).trpc.session.create.mutate({});
  return session.id;
}

const documentText = async () => (await fetch(`${world.url}/api/openapi.json`)).text();

describe('clients made from the served document', () => {
  it('openapi-typescript and openapi-fetch: types hold and calls work', async () => {
    await using folder = createClientFolder();
    folder.write('openapi.json', await documentText());
    await folder.run('openapi-typescript openapi.json --output schema.ts');
    folder.addProgram('openapi-fetch');
    await folder.compile('openapi-fetch');
    const { stdout } = await folder.run(`node openapi-fetch.ts ${world.url} ${await world.token('ola')}`);
    expect(JSON.parse(stdout)).toEqual({
      title: 'Typed',
      refused: [400, 'title'],
      answer: 'Good day',
      tokens: 2,
      newest: ['assistant'],
      total: 2,
      streamed: ['start', 'one', ' two', 'done'],
      deleted: 204,
      gone: 'NOT_FOUND',
    });
  });

  it('@hey-api/openapi-ts: types hold, calls work, and streams are read', async () => {
    await using folder = createClientFolder();
    folder.write('openapi.json', await documentText());
    const settings = {
      input: 'openapi.json',
      output: { path: 'generated', module: { extension: '.ts' } },
      plugins: ['@hey-api/client-fetch', '@hey-api/sdk', '@hey-api/typescript'],
    };
    folder.write('openapi-ts.config.ts', `export default ${JSON.stringify(settings)};\n`);
    await folder.run('openapi-ts --no-log-file');
    folder.addProgram('hey-api');
    await folder.compile('hey-api');
    const { stdout } = await folder.run(`node hey-api.ts ${world.url} ${await world.token('hege')}`);
    expect(JSON.parse(stdout)).toEqual({
      title: 'Typed',
      refused: ['BAD_REQUEST', 'message'],
      answer: 'Good day',
      streamed: ['start', 'one', ' two', 'done'],
      model: 'test-model',
      gone: 'NOT_FOUND',
    });
  });
});

describe('clients that know nothing of the service', () => {
  it('an EventSource resumes after its connection was cut, and stops where nothing is left', async () => {
    world.openai.script('Listen', { chunks: ['a', 'b', 'c'], hold: 'every' });
    const sessionId = await openSession('eva');
    const token = await world.token('eva');
    const index = world.openai.calls.length;
    const { trpc } = world.trpc('eva');
    await trpc.message.start.mutate({ sessionId, message: 'Listen' });
    const call = await world.openai.call(index);

    const requests: { readonly lastEventId: string | null; readonly status: number }[] = [];
    let cut = () => {};
    await using opened = new AsyncDisposableStack();
    const source = new EventSource(`${world.url}/api/chat/sessions/${sessionId}/stream`, {
      async fetch(input, init) {
        const connection = new AbortController();
        // As a network does it: an AbortError would say that the reader itself has left.
        cut = () => connection.abort(new Error('The connection is gone.'));
        const headers = { ...init.headers, Authorization: `Bearer ${token}` };
        const own: AbortSignal = init.signal;
        const signal = AbortSignal.any([connection.signal, own]);
        const response = await fetch(input, { ...init, headers, signal });
        requests.push({ lastEventId: new Headers(headers).get('last-event-id'), status: response.status });
        return response;
      },
    });
    opened.defer(() => source.close());
    const received: { readonly type: string; readonly id: string; readonly text?: string }[] = [];
    const chunks = [1, 2, 3].map(() => Promise.withResolvers<void>());
    const closed = Promise.withResolvers<void>();
    for (const type of ['start', 'chunk', 'done', 'resync'] as const) {
      source.addEventListener(type, ({ data, lastEventId }) => {
        const { text } = JSON.parse(String(data)) as { text?: string };
        received.push({ type, id: lastEventId, ...(text !== undefined && { text }) });
        if (type === 'chunk') chunks[received.filter((event) => event.type === 'chunk').length - 1]?.resolve();
      });
    }
    source.addEventListener('error', () => {
      if (source.readyState === source.CLOSED) closed.resolve();
    });

    await releaseChunk(call, 0);
    await chunks[0]?.promise;
    cut();
    // What is written while nobody listens is not lost.
    await releaseChunk(call, 1);
    await chunks[1]?.promise;
    call.releaseAll();
    await closed.promise;

    expect(received.map(({ type, text }) => text ?? type)).toEqual(['start', 'a', 'b', 'c', 'done']);
    expect(new Set(received.map(({ id }) => id)).size).toBe(received.length);
    expect(requests).toEqual([
      { lastEventId: null, status: 200 },
      { lastEventId: received[1]?.id, status: 200 },
      { lastEventId: received.at(-1)?.id, status: 204 },
    ]);
  });

  it('curl shows tokens as they come', async () => {
    world.openai.script('Slowly', { chunks: ['first', ' second', ' third'], hold: 'every' });
    const sessionId = await openSession('kurt');
    const index = world.openai.calls.length;
    await using shell = startShell(
      [
        `curl -sN ${world.url}/api/chat/sessions/${sessionId}/stream`,
        `-H "Authorization: Bearer ${await world.token('kurt')}"`,
        `-H 'Content-Type: application/json' -d '{"message":"Slowly"}'`,
      ].join(' '),
      { cwd: '.', env: process.env },
    );
    const call = await world.openai.call(index);
    await call.reached(0);
    const before = await shell.says('event: start');
    expect(before).toMatch(/^: stream\nretry: \d+\n\n/u);
    expect(before).not.toContain('event: chunk');
    call.release();
    // The model writes no further before the first token has been seen.
    expect(await shell.says('"text":"first"')).not.toContain('second');
    call.release();
    expect(await shell.says('"text":" second"')).not.toContain('third');
    call.releaseAll();
    const { code, stdout } = await shell.result;
    expect(code).toBe(0);
    expect([...stdout.matchAll(/^event: (\w+)$/gmu)].map(([, type]) => type)).toEqual([
      'start',
      'chunk',
      'chunk',
      'chunk',
      'done',
    ]);
  });
});
