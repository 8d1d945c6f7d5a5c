import { createTRPCClient, httpBatchStreamLink, httpSubscriptionLink, TRPCClientError } from '@trpc/client';
import superjson from 'superjson';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { FetchEventSource } from './event-source.ts';
import { createWorld, http, tokenFor, type ToyRouter, type World } from './world.ts';

let world: World;
beforeEach(async () => {
  world = await createWorld();
});
afterEach(async () => {
  await world[Symbol.asyncDispose]();
});

interface Answer {
  result?: { data: { json: unknown } };
  error?: { json: { code: number; message: string; data: Record<string, unknown> } };
}
const json = async (response: Response) => (await response.json()) as Answer;
const input = (value: unknown) => `input=${encodeURIComponent(JSON.stringify({ json: value }))}`;

/** The request line of the call that was answered with this id. */
async function lineOf(requestId: string | null) {
  return eventually(() => {
    const line = world.requests().find((candidate) => candidate['requestId'] === requestId);
    expect(line).toBeDefined();
    return line ?? { msg: '', level: '' };
  });
}

describe('a call over HTTP', () => {
  it('is answered and logged in one line without its input', async () => {
    const response = await world.fetch(`/trpc/echo?${input({ text: 'private words' })}`);
    expect(await json(response)).toEqual({ result: { data: { json: { text: 'private words' } } } });
    expect(response.headers.get('cache-control')).toBe('no-store');
    const line = await lineOf(response.headers.get('x-request-id'));
    expect(line).toMatchObject({ userId: 'ada', method: 'GET', route: '/trpc/echo', status: 200, durationMs: 0 });
    expect(JSON.stringify(world.lines)).not.toContain('private');
    expect(JSON.stringify(world.lines)).not.toContain(world.token);
  });

  it('keeps a valid request id and replaces any other', async () => {
    const kept = await world.fetch('/trpc/whoami', { headers: { 'x-request-id': 'my-id.1' } });
    expect(kept.headers.get('x-request-id')).toBe('my-id.1');
    expect((await json(kept)).result?.data.json).toEqual({ userId: 'ada', requestId: 'my-id.1' });
    const replaced = await world.fetch('/trpc/whoami', { headers: { 'x-request-id': 'no good' } });
    expect(replaced.headers.get('x-request-id')).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7/u);
  });

  it('tells an own error with its status, code, ids and wait', async () => {
    const limited = await world.post('/trpc/fail', { json: { how: 'limited' } });
    expect([limited.status, limited.headers.get('retry-after')]).toEqual([429, '7']);
    expect((await json(limited)).error?.json.data).toMatchObject({ code: 'RATE_LIMITED', retryAfter: 7, path: 'fail' });
    const busy = await world.post('/trpc/fail', { json: { how: 'busy' } });
    expect(busy.status).toBe(409);
    expect((await json(busy)).error?.json.data).toMatchObject({ code: 'GENERATION_IN_PROGRESS', streamId: 'stream-1' });
  });

  it('tells a bug in general terms, and logs it once with its stack under the request id', async () => {
    const response = await world.post('/trpc/fail', { json: { how: 'bug' } });
    const text = await response.text();
    expect(response.status).toBe(500);
    expect(text).toContain('INTERNAL');
    expect(text).not.toMatch(/secret|stack|TypeError/u);
    const requestId = response.headers.get('x-request-id');
    const told = world.lines.filter((line) => line.level === 'error');
    expect(told).toHaveLength(1);
    expect(told[0]).toMatchObject({ requestId, err: { message: 'secret: x is undefined' } });
    expect(await lineOf(requestId)).toMatchObject({ status: 500, code: 'INTERNAL' });
  });

  it('logs what is behind a failure of others, and tells it to nobody', async () => {
    const response = await world.post('/trpc/fail', { json: { how: 'down' } });
    expect([response.status, response.headers.get('retry-after')]).toEqual([503, '5']);
    expect(await response.text()).not.toContain('secret');
    expect(world.lines.filter((line) => line.level === 'warn')).toHaveLength(1);
  });

  it('lists the fields of an input that fails validation', async () => {
    const response = await world.fetch(`/trpc/echo?${input({ text: 5, extra: 1 })}`);
    expect(response.status).toBe(400);
    const { data } = (await json(response)).error?.json ?? {};
    expect(data).toMatchObject({ code: 'BAD_REQUEST' });
    expect(data?.['errors']).toEqual([
      { path: 'text', message: expect.any(String) },
      { path: 'extra', message: 'unknown field' },
    ]);
  });
});

describe('authentication over HTTP', () => {
  it('challenges without a token, and names the error of a bad one', async () => {
    const none = await fetch(`${world.url}/trpc/whoami`);
    expect([none.status, none.headers.get('www-authenticate')]).toEqual([401, 'Bearer realm="chat-service"']);
    const { data } = (await json(none)).error?.json ?? {};
    expect(data).toMatchObject({ code: 'UNAUTHORIZED', requestId: none.headers.get('x-request-id') });
    const bad = await world.fetch('/trpc/whoami', { headers: { authorization: 'Bearer nonsense' } });
    expect(bad.status).toBe(401);
    expect(bad.headers.get('www-authenticate')).toContain('error="invalid_token"');
    const basic = await world.fetch('/trpc/whoami', { headers: { authorization: 'Basic abc' } });
    expect(basic.headers.get('www-authenticate')).toBe('Bearer realm="chat-service"');
  });

  it('comes before the schema, the body and whether the procedure exists', async () => {
    for (const path of ['/trpc/echo?input=%7B', '/trpc/nothing', '/trpc/echo,whoami?batch=1']) {
      expect((await fetch(`${world.url}${path}`)).status).toBe(401);
    }
    const large = await fetch(`${world.url}/trpc/write`, { method: 'POST', body: 'x'.repeat(100_000) });
    expect(large.status).toBe(401);
  });

  it('is not asked of a public procedure', async () => {
    const response = await fetch(`${world.url}/trpc/open`);
    expect([response.status, (await json(response)).result?.data.json]).toEqual([200, 'open']);
    const mixed = await fetch(`${world.url}/trpc/open,whoami?batch=1`);
    expect(mixed.status).toBe(207);
    expect(mixed.headers.get('www-authenticate')).toContain('Bearer');
  });

  it('answers 503 with a wait when no key can be had', async () => {
    world.keys.available = false;
    const response = await world.fetch('/trpc/whoami');
    expect([response.status, response.headers.get('retry-after')]).toEqual([503, '5']);
    expect(response.headers.get('www-authenticate')).toBeNull();
  });

  it('reaches the stock batch client as a typed error', async () => {
    const client = createTRPCClient<ToyRouter>({
      links: [httpBatchStreamLink({ url: `${world.url}/trpc`, transformer: superjson })],
    });
    const results = await Promise.allSettled([client.whoami.query(), client.echo.query({ text: 'a' })]);
    for (const result of results) {
      expect(result.status === 'rejected' && result.reason).toBeInstanceOf(TRPCClientError);
      expect(result).toMatchObject({ reason: { data: { code: 'UNAUTHORIZED', httpStatus: 401 } } });
    }
  });

  it.each([
    '/trpc/whoami?token=TTT',
    '/trpc/whoami?access_token=TTT',
    '/trpc/whoami?Access-Token=TTT',
    `/trpc/follow?connectionParams=${encodeURIComponent('{"token":"TTT"}')}`,
    '/trpc/follow?connectionParams=%7Bbad',
    '/api/health?token=TTT',
  ])('refuses a token in the URL and does not log it: %s', async (path) => {
    const response = await world.fetch(path);
    expect(response.status).toBe(400);
    expect(await response.text()).toContain('BAD_REQUEST');
    await lineOf(response.headers.get('x-request-id'));
    expect(JSON.stringify(world.lines)).not.toContain('TTT');
  });
});

describe('bodies and inputs', () => {
  it.each([
    ['with', { 'content-length': '70000' }],
    ['without', { 'transfer-encoding': 'chunked' }],
  ])('refuses a large body %s a length', async (_, length) => {
    const headers = { authorization: `Bearer ${world.token}`, 'content-type': 'application/json', ...length };
    const body = JSON.stringify({ json: { text: 'x'.repeat(70_000 - 22) } });
    const response = await http(world, { method: 'POST', path: '/trpc/write', headers, body });
    expect(response.status).toBe(413);
    expect(JSON.parse(response.text)).toMatchObject({ error: { json: { data: { code: 'PAYLOAD_TOO_LARGE' } } } });
  });

  it('takes a body of exactly the limit', async () => {
    const frame = JSON.stringify({ json: { text: '' } }).length;
    const response = await world.post('/trpc/write', { json: { text: 'x'.repeat(64 * 1024 - frame) } });
    expect(response.status).toBe(200);
  });

  it.each([
    ['malformed JSON', '{"json":'],
    ['no object', '[1]'],
    ['a string', '"text"'],
    ['a BigInt', '{"json":{"text":"12"},"meta":{"values":{"text":["bigint"]}}}'],
    ['a RegExp', '{"json":{"text":"/a/"},"meta":{"values":{"text":["regexp"]}}}'],
    ['a Date', '{"json":{"text":"2020"},"meta":{"values":{"text":["Date"]}}}'],
    ['a Map', '{"json":{"text":[]},"meta":{"values":{"text":["map"]}}}'],
    ['an unknown class', '{"json":{"text":{}},"meta":{"values":{"text":[["class","X"]]}}}'],
    [
      'an annotation with a path that is none',
      String.raw`{"json":{"text":"a"},"meta":{"values":{"\\x":["undefined"]},"v":1}}`,
    ],
    ['a polluting path', '{"json":{"text":"a"},"meta":{"values":{"__proto__.text":["undefined"]},"v":1}}'],
    ['a polluting key', '{"json":{"text":"a","__proto__":{"admin":true}}}'],
    ['meta that is no object', '{"json":{"text":"a"},"meta":[1]}'],
    ['values that are no object', '{"json":{"text":"a"},"meta":{"values":"bigint"}}'],
    ['deep nesting', `{"json":${'['.repeat(20_000)}${']'.repeat(20_000)}}`],
    ['deep annotations', `{"json":{},"meta":{"values":${'{"a":'.repeat(9000)}1${'}'.repeat(9000)}}}`],
  ])('answers 400 to %s', async (_, body) => {
    const response = await world.fetch(`/trpc/echo?input=${encodeURIComponent(body).slice(0, 12_000)}`);
    expect(response.status).toBe(400);
    const posted = await world.post('/trpc/fail', body);
    expect(posted.status).toBe(400);
    expect(await posted.text()).not.toMatch(/JSON at|Unexpected|Cannot read|invalid path/u);
    expect(Object.hasOwn(Object.prototype, 'admin')).toBe(false);
    expect(world.seen).toEqual([]);
  });

  it('understands undefined, and values that were written twice', async () => {
    const twice = superjson.serialize({ text: 'a', maybe: undefined });
    const response = await world.fetch(`/trpc/echo?input=${encodeURIComponent(JSON.stringify(twice))}`);
    expect(response.status).toBe(200);
    expect(world.seen).toEqual([{ text: 'a', maybe: undefined }]);
  });

  it('refuses other media, compressed bodies, other methods and a GET of a mutation', async () => {
    const post = (headers: Record<string, string>) => world.post('/trpc/plain', '{}', headers);
    expect((await post({ 'content-type': 'text/plain' })).status).toBe(415);
    expect((await post({ 'content-type': 'multipart/form-data; boundary=x' })).status).toBe(415);
    expect((await post({ 'content-type': 'application/octet-stream' })).status).toBe(415);
    expect((await post({ 'content-encoding': 'gzip' })).status).toBe(415);
    const get = await world.fetch('/trpc/plain');
    expect([get.status, get.headers.get('allow')]).toEqual([405, 'POST']);
    const put = await world.fetch('/trpc/plain', { method: 'PUT', body: '{}' });
    expect([put.status, put.headers.get('allow')]).toEqual([405, 'GET, POST']);
    expect((await put.json()) as Answer).toMatchObject({ error: { json: { data: { code: 'METHOD_NOT_SUPPORTED' } } } });
  });
});

describe('batches', () => {
  it('answer up to 20 calls and log their number', async () => {
    const response = await world.fetch(`/trpc/${Array(20).fill('whoami').join(',')}?batch=1`);
    expect(response.status).toBe(200);
    expect(await response.json()).toHaveLength(20);
    expect(await lineOf(response.headers.get('x-request-id'))).toMatchObject({ batchSize: 20 });
  });

  it('refuse more, typed, also for the stock client', async () => {
    const response = await world.fetch(`/trpc/${Array(21).fill('whoami').join(',')}?batch=1`);
    expect(response.status).toBe(400);
    const { data } = (await json(response)).error?.json ?? {};
    expect(data).toMatchObject({ code: 'BAD_REQUEST', requestId: response.headers.get('x-request-id') });
    const headers = { authorization: `Bearer ${world.token}` };
    const client = createTRPCClient<ToyRouter>({
      links: [httpBatchStreamLink({ url: `${world.url}/trpc`, transformer: superjson, headers })],
    });
    const results = await Promise.allSettled(Array.from({ length: 21 }, () => client.whoami.query()));
    for (const result of results) expect(result).toMatchObject({ reason: { data: { code: 'BAD_REQUEST' } } });
  });

  it('stream to the stock client as they are done', async () => {
    const headers = { authorization: `Bearer ${world.token}` };
    const client = createTRPCClient<ToyRouter>({
      links: [httpBatchStreamLink({ url: `${world.url}/trpc`, transformer: superjson, headers })],
    });
    const held = client.hold.query({ gate: 'a' });
    expect(await client.whoami.query()).toMatchObject({ userId: 'ada' });
    await expect(client.fail.mutate({ how: 'bug' })).rejects.toMatchObject({ data: { code: 'INTERNAL' } });
    world.gates.get('a')?.resolve();
    expect(await held).toBe('a');
  });
});

/** Reads an event stream until it ends or `until` says so. */
async function readEvents(response: Response, until: (text: string) => boolean = () => false): Promise<string> {
  let text = '';
  const decoder = new TextDecoder();
  const body: AsyncIterable<Uint8Array> | null = response.body;
  if (body === null) return text;
  for await (const chunk of body) {
    text += decoder.decode(chunk, { stream: true });
    if (until(text)) break;
  }
  return text;
}

describe('subscriptions as server-sent events', () => {
  const headers = { accept: 'text/event-stream' };

  it('begin at once, carry ids, and resume behind the last one', async () => {
    world.log.publish(3);
    world.log.end();
    const response = await world.fetch('/trpc/follow', { headers });
    expect(response.headers.get('content-type')).toContain('text/event-stream');
    expect(response.headers.get('x-accel-buffering')).toBe('no');
    const text = await readEvents(response);
    expect(text.startsWith(':')).toBe(true);
    expect(text).toContain('retry:');
    expect(text.match(/^id: .*$/gmu)).toEqual(['id: 00000001', 'id: 00000002', 'id: 00000003']);
    const resumed = await world.fetch('/trpc/follow', { headers: { ...headers, 'last-event-id': '00000002' } });
    expect((await readEvents(resumed)).match(/^id: .*$/gmu)).toEqual(['id: 00000003']);
  });

  it.each(['close', 'keep-alive'])('leave to the client what becomes of the connection: %s', async (connection) => {
    world.log.publish(1);
    world.log.end();
    const asked = { ...headers, authorization: `Bearer ${world.token}`, connection };
    const answer = await http(world, { path: '/trpc/follow', headers: asked });
    expect(answer.headers.connection).toBe(connection);
    expect(answer.text).toContain('id: 00000001');
  });

  it('end at the end of the token, without an error and without a farewell', async () => {
    world.log.publish(1);
    const token = tokenFor('ada', world.nowSeconds() + 60);
    const response = await world.fetch('/trpc/follow', { headers: { ...headers, authorization: `Bearer ${token}` } });
    const all = readEvents(response);
    await eventually(() => expect(world.log.taken).toBe(1));
    await world.clock.advance(89_000);
    world.log.publish(1);
    await eventually(() => expect(world.log.taken).toBe(2));
    await world.clock.advance(1000);
    world.log.publish(1);
    const text = await all;
    expect(text.match(/^id: .*$/gmu)).toEqual(['id: 00000001', 'id: 00000002']);
    expect(text).not.toMatch(/event: (return|serialized-error)/u);
    await eventually(() => expect(world.log.readers).toBe(0));
  });

  it('are survived by the stock client at the end of a token: nothing lost, nothing twice', async () => {
    const tokens = [tokenFor('ada', world.nowSeconds() + 60)];
    let asked = 0;
    const client = createTRPCClient<ToyRouter>({
      links: [
        httpSubscriptionLink({
          url: `${world.url}/trpc`,
          transformer: superjson,
          EventSource: FetchEventSource,
          eventSourceOptions: {
            headers: () => {
              asked += 1;
              return { authorization: `Bearer ${tokens.shift() ?? world.token}` };
            },
          },
        }),
      ],
    });
    const seen: number[] = [];
    const errors: unknown[] = [];
    const done = new Promise<void>((resolve) => {
      client.follow.subscribe(undefined, {
        onData: (event) => void seen.push(event.data.n),
        onError: (error) => void errors.push(error),
        onComplete: resolve,
      });
    });
    world.log.publish(20);
    await eventually(() => expect(seen).toHaveLength(20));
    await world.clock.advance(90_000);
    world.log.publish(20);
    await eventually(() => expect(seen).toHaveLength(40));
    world.log.end();
    await done;
    expect(seen).toEqual(Array.from({ length: 40 }, (_, index) => index + 1));
    expect([asked, errors]).toEqual([2, []]);
  });

  it('tell an event source why it is refused, and everybody else by status', async () => {
    const source = await fetch(`${world.url}/trpc/follow`, { headers });
    expect(await readEvents(source)).toMatch(/event: serialized-error\ndata: .*UNAUTHORIZED/u);
    expect((await fetch(`${world.url}/trpc/follow`)).status).toBe(401);
  });

  it('are not taken where they start something: what a user writes does not travel in a URL', async () => {
    const text = encodeURIComponent(JSON.stringify({ json: { text: 'private' } }));
    for (const path of [`starts?input=${text}`, `starts?batch=1&input=${text}`, `follow,starts?batch=1&input={}`]) {
      const response = await world.fetch(`/trpc/${path}`, { headers });
      expect(response.status).toBe(400);
      expect(await response.json()).toMatchObject({ error: { json: { data: { code: 'BAD_REQUEST' } } } });
    }
    expect(world.seen).toEqual([]);
  });

  it('end without a word when they are severed', async () => {
    const text = await readEvents(await world.fetch('/trpc/severed', { headers }));
    expect(text).toContain('event: connected');
    expect(text).not.toMatch(/event: (return|serialized-error)/u);
  });

  it('may fail while they are ended, and harm nobody', async () => {
    const abort = new AbortController();
    const response = await world.fetch('/trpc/abortive', { headers, signal: abort.signal });
    await readEvents(response, (text) => text.includes('id: 1'));
    abort.abort();
    await eventually(() => expect(world.server.stats().inFlight).toBe(0));
    expect((await world.fetch('/trpc/whoami')).status).toBe(200);
  });

  it.each(['broken', 'brokenAtOnce'])('hide what broke, and log it once: %s', async (path) => {
    const response = await world.fetch(`/trpc/${path}`, { headers });
    const text = await readEvents(response);
    expect(text).toMatch(/event: serialized-error\ndata: .*INTERNAL/u);
    expect(text).toContain(response.headers.get('x-request-id'));
    expect(text).not.toContain('secret');
    expect(world.lines.filter((line) => line.level === 'error')).toHaveLength(1);
  });

  it('stop when the client leaves', async () => {
    world.log.publish(1);
    const abort = new AbortController();
    const response = await world.fetch('/trpc/follow', { headers, signal: abort.signal });
    await readEvents(response, (text) => text.includes('00000001')).catch(() => {});
    abort.abort();
    await eventually(() => expect(world.log.readers).toBe(0));
  });
});
