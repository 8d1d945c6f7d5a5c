import { tracked } from '@trpc/server';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { ConnectionSevered } from '../../../src/platform/connection-severed.ts';
import { emptyStream } from '../../../src/trpc/empty-stream.ts';
import type { RestDeclaration } from '../../../src/trpc/rest-declaration.ts';
import { userProcedure } from '../../../src/trpc/procedures.ts';
import { trpc } from '../../../src/trpc/trpc.ts';
import { eventually } from '../../support/eventually.ts';
import { createWorld, tokenFor, toyLog, type World } from '../world.ts';

let world: World;
let log: ReturnType<typeof toyLog>;
let waiting: PromiseWithResolvers<void>;
let looks: number;

function at(path: string, method: RestDeclaration['method'] = 'GET') {
  return userProcedure.meta({ summary: 'Toy.', rest: { method, path, operationId: 'toy', tag: 'System' } });
}

beforeEach(async () => {
  log = toyLog();
  waiting = Promise.withResolvers();
  looks = 0;
  const router = trpc.router({
    follow: at('/api/follow')
      .input(z.strictObject({ lastEventId: z.string().nullish() }))
      .subscription(async function* ({ input, signal }) {
        for await (const [id, data] of log.read(Number(input.lastEventId ?? 0), signal)) {
          yield tracked(id, { type: 'toy', ...data });
        }
      }),
    broken: at('/api/broken').subscription(async function* () {
      yield tracked('1', { type: 'toy' });
      throw new TypeError('secret: broke');
    }),
    severed: at('/api/severed').subscription(async function* () {
      yield tracked('1', { type: 'toy' });
      throw new ConnectionSevered(new Error('secret: cannot be stored'));
    }),
    refused: at('/api/refused').subscription((): AsyncIterable<never> => {
      throw new TypeError('secret: refused');
    }),
    watched: userProcedure
      .meta({
        summary: 'Toy.',
        rest: { method: 'GET', path: '/api/watched', operationId: 'toy', tag: 'System', withoutHead: true },
      })
      .subscription(() => {
        looks += 1;
        return emptyStream;
      }),
    wait: at('/api/wait', 'POST').mutation(async ({ signal }) => {
      waiting.resolve();
      await new Promise((_, reject) => {
        signal?.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
      });
    }),
    fail: at('/api/fail', 'POST').mutation(() => {
      throw new TypeError('secret: x is undefined');
    }),
    bare: at('/api/bare', 'POST').mutation(() => null),
  });
  world = await createWorld({ router });
});
afterEach(() => world[Symbol.asyncDispose]());

/** Everything that comes until the predicate holds, or to the end. */
async function readText(response: Response, until: (text: string) => boolean = () => false): Promise<string> {
  const decoder = new TextDecoder();
  let text = '';
  const body: AsyncIterable<Uint8Array> | null = response.body;
  for await (const bytes of body ?? []) {
    text += decoder.decode(bytes, { stream: true });
    if (until(text)) break;
  }
  return text;
}

const errors = () => world.lines.filter(({ level }) => level === 'error' || level === 'warn');

describe('an event stream', () => {
  it('begins at once, has a comment every 15 s, and resumes behind an id', async () => {
    const response = await world.fetch('/api/follow');
    expect([response.status, response.headers.get('content-type')]).toEqual([200, 'text/event-stream']);
    const body: ReadableStream<Uint8Array> | null = response.body;
    const reader = body?.getReader();
    const read = async () => new TextDecoder().decode((await reader?.read())?.value);
    expect(await read()).toBe(': stream\nretry: 1000\n\n');
    for (let comment = 0; comment < 3; comment += 1) {
      await eventually(() => expect(log.readers).toBe(1));
      await world.clock.advance(15_000);
      expect(await read()).toBe(':\n\n');
    }
    log.publish(2);
    expect(await read()).toMatch(/^id: 00000001\nevent: toy\n/u);
    await reader?.cancel();
    await eventually(() => expect(log.readers).toBe(0));
    log.publish(1);
    log.end();
    const rest = await readText(await world.fetch('/api/follow', { headers: { 'last-event-id': '1' } }));
    expect(rest.match(/^id: .*$/gmu)).toEqual(['id: 00000002', 'id: 00000003']);
    expect(errors()).toEqual([]);
  });

  it('ends with its token, without an error and without a farewell', async () => {
    log.publish(1);
    const token = tokenFor('ada', world.nowSeconds() + 10);
    const all = readText(await world.fetch('/api/follow', { headers: { authorization: `Bearer ${token}` } }));
    await eventually(() => expect(log.taken).toBe(1));
    await world.clock.advance(40_000);
    log.publish(1);
    expect((await all).match(/^(?:id|event): .*$/gmu)).toEqual(['id: 00000001', 'event: toy']);
    await eventually(() => expect(log.readers).toBe(0));
    expect(errors()).toEqual([]);
  });

  it('of which only the head is asked for is not begun', async () => {
    const response = await world.fetch('/api/follow', { method: 'HEAD' });
    expect([response.status, response.headers.get('content-type'), await response.text()]).toEqual([
      200,
      'text/event-stream',
      '',
    ]);
    await eventually(() => expect(world.server.stats().inFlight).toBe(0));
    expect(log.readers).toBe(0);
  });

  it('whose beginning has an effect has no head, and is not asked for one', async () => {
    const head = await world.fetch('/api/watched', { method: 'HEAD' });
    expect([head.status, head.headers.get('allow'), await head.text(), looks]).toEqual([405, 'GET, OPTIONS', '', 0]);
    expect([(await world.fetch('/api/watched')).status, looks]).toEqual([204, 1]);
  });

  it.each([
    ['broken', 'error'],
    ['severed', 'warn'],
  ])('that is %s ends without a word to its reader, and with one in the log', async (path, level) => {
    const response = await world.fetch(`/api/${path}`);
    const text = await readText(response);
    expect(text.match(/^(?:id|event): .*$/gmu)).toEqual(['id: 1', 'event: toy']);
    expect(text).not.toContain('secret');
    await eventually(() => expect(errors()).toHaveLength(1));
    expect(errors()[0]).toMatchObject({ level, requestId: response.headers.get('x-request-id') });
    expect(JSON.stringify(errors())).toContain('secret');
  });

  it('that fails before it begins is a problem', async () => {
    const response = await world.fetch('/api/refused', { headers: { accept: 'text/event-stream' } });
    expect([response.status, response.headers.get('content-type')]).toEqual([500, 'application/problem+json']);
    const body = await response.text();
    expect(JSON.parse(body)).toMatchObject({ code: 'INTERNAL', detail: 'Internal error' });
    expect(body).not.toContain('secret');
  });
});

describe('a call', () => {
  it('that nobody waits for any more is aborted, and no failure', async () => {
    const gone = new AbortController();
    const sent = world.fetch('/api/wait', { method: 'POST', signal: gone.signal });
    const rejected = expect(sent).rejects.toThrow();
    await waiting.promise;
    gone.abort();
    await rejected;
    await eventually(() => expect(world.requests()).toMatchObject([{ route: '/api/wait', status: 499 }]));
    expect(world.requests()[0]).not.toHaveProperty('code');
    expect(errors()).toEqual([]);
  });

  it('that meets a bug is told so in general terms, and logged once with its stack', async () => {
    const response = await world.post('/api/fail', {}, { 'x-request-id': 'r-1' });
    const text = await response.text();
    expect([response.status, JSON.parse(text)]).toMatchObject([500, { code: 'INTERNAL', requestId: 'r-1' }]);
    expect(text).not.toContain('secret');
    expect(errors()).toMatchObject([
      { level: 'error', requestId: 'r-1', err: { stack: expect.stringContaining('rest-adapter.test.ts') } },
    ]);
  });

  it('needs no body, and reads none of another type', async () => {
    expect((await world.fetch('/api/bare', { method: 'POST' })).status).toBe(200);
    expect((await world.post('/api/bare', 'x', { 'content-type': 'text/plain' })).status).toBe(415);
    expect((await world.post('/api/bare', '{"__proto__":1}')).status).toBe(400);
    expect((await world.post('/api/bare', '{"a":[{"__proto__":{}}]}')).status).toBe(400);
  });

  it('of no method that a path has is told which it has', async () => {
    const wrong = await world.fetch('/api/bare');
    expect([wrong.status, wrong.headers.get('allow')]).toEqual([405, 'POST, OPTIONS']);
    const asked = await fetch(`${world.url}/api/follow`, { method: 'OPTIONS' });
    expect([asked.status, asked.headers.get('allow')]).toEqual([204, 'GET, HEAD, OPTIONS']);
  });

  it('without a token is refused before its media types are judged', async () => {
    const response = await fetch(`${world.url}/api/follow`, { headers: { accept: 'image/png' } });
    expect([response.status, response.headers.get('www-authenticate')]).toEqual([401, 'Bearer realm="chat-service"']);
  });
});
