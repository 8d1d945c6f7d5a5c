import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { HealthOutput } from '@chat-service/shared/system-api';
import { eventually } from '../support/eventually.ts';
import { call, pass, rawSocket, reply, until, untilFrames } from './sockets.ts';
import { createWorld, http, rawHttp, stockClient, type World } from './world.ts';

let world: World;
let healthStatus: HealthOutput['status'] | 'broken';
beforeEach(async () => {
  healthStatus = 'ok';
  world = await createWorld({
    health: async () => {
      if (healthStatus === 'broken') throw new Error('secret: health broke');
      return { status: healthStatus, version: '1', timestamp: '2026-01-01T00:00:00.000Z', checks: {} };
    },
  });
});
afterEach(async () => {
  await world[Symbol.asyncDispose]();
});

describe('health', () => {
  const statuses = async () => {
    const answers = ['', '/ready', '/live'].map((path) => fetch(`${world.url}/api/health${path}`));
    return (await Promise.all(answers)).map((answer) => answer.status);
  };

  it('needs no token and answers HEAD', async () => {
    expect(await statuses()).toEqual([200, 200, 200]);
    const response = await fetch(`${world.url}/api/health`);
    expect(await response.json()).toMatchObject({ status: 'ok', version: '1', checks: {} });
    const live = (await (await fetch(`${world.url}/api/health/live`)).json()) as HealthOutput;
    expect(live).toEqual({ status: 'ok', version: '1', timestamp: expect.stringMatching(/T.*Z$/u), checks: {} });
    const head = await fetch(`${world.url}/api/health/ready`, { method: 'HEAD' });
    expect([head.status, await head.text()]).toEqual([200, '']);
  });

  it('is 503 without what the service cannot do without, and live all the same', async () => {
    healthStatus = 'degraded';
    expect(await statuses()).toEqual([200, 200, 200]);
    healthStatus = 'unavailable';
    expect(await statuses()).toEqual([503, 503, 200]);
    healthStatus = 'broken';
    expect(await statuses()).toEqual([503, 503, 200]);
    expect(await (await fetch(`${world.url}/api/health`)).text()).not.toContain('secret');
  });

  it('knows no other method', async () => {
    const response = await fetch(`${world.url}/api/health/live`, { method: 'POST' });
    expect([response.status, response.headers.get('allow')]).toEqual([405, 'GET, HEAD, OPTIONS']);
    expect(await response.json()).toMatchObject({ code: 'METHOD_NOT_SUPPORTED', status: 405 });
  });
});

describe('what does not exist', () => {
  it('is told as problem details', async () => {
    const response = await fetch(`${world.url}/nothing?secret=1`, { headers: { 'x-request-id': 'r-1' } });
    expect([response.status, response.headers.get('content-type')]).toEqual([404, 'application/problem+json']);
    expect(await response.json()).toEqual({
      type: 'urn:chat-service:error:NOT_FOUND',
      title: 'Not found',
      status: 404,
      detail: 'Not found',
      code: 'NOT_FOUND',
      requestId: 'r-1',
    });
    await eventually(() =>
      expect(world.requests()).toMatchObject([{ route: '/nothing', status: 404, code: 'NOT_FOUND' }]),
    );
  });
});

describe('pages of other origins', () => {
  const preflight = (origin: string) =>
    fetch(`${world.url}/trpc/plain`, {
      method: 'OPTIONS',
      headers: { origin, 'access-control-request-method': 'POST', 'access-control-request-headers': 'authorization' },
    });

  it('may ask beforehand and call when they are listed', async () => {
    const asked = await preflight('https://app.example');
    expect(asked.status).toBe(204);
    expect(asked.headers.get('access-control-allow-origin')).toBe('https://app.example');
    expect(asked.headers.get('access-control-allow-methods')).toContain('POST');
    expect(asked.headers.get('access-control-allow-headers')?.toLowerCase()).toContain('authorization');
    const called = await world.post('/trpc/plain', '{}', { origin: 'https://app.example' });
    expect(called.status).toBe(200);
    expect(called.headers.get('access-control-allow-origin')).toBe('https://app.example');
    expect(called.headers.get('vary')).toContain('Origin');
    for (const name of ['X-Request-Id', 'Retry-After', 'RateLimit', 'RateLimit-Policy', 'Location']) {
      expect(called.headers.get('access-control-expose-headers')).toContain(name);
    }
    const failed = await fetch(`${world.url}/trpc/plain`, { headers: { origin: 'https://app.example' } });
    expect([failed.status, failed.headers.get('access-control-allow-origin')]).toEqual([401, 'https://app.example']);
  });

  it('are refused otherwise, before anything runs, and the log tells the line to set', async () => {
    expect((await preflight('https://evil.example')).status).toBe(403);
    const called = await world.post('/trpc/plain', '{}', { origin: 'https://evil.example' });
    expect(called.status).toBe(403);
    expect(called.headers.get('access-control-allow-origin')).toBeNull();
    const told = world.lines.filter((line) => line.level === 'warn');
    expect(told).toMatchObject([{ set: 'CORS_ORIGINS=https://app.example,https://evil.example' }]);
    expect((await world.post('/trpc/plain', '{}', { origin: world.url })).status).toBe(200);
  });
});

describe('hostile requests', () => {
  const line = (target: string, more = '') => `GET ${target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n${more}\r\n`;

  it.each([
    ['bad escapes', line('/trpc/%ff%zz?batch=%'), 401],
    ['bad escapes with a token', line('/trpc/%ff', 'Authorization: Bearer ada.99999999999\r\n'), 400],
    ['bad escapes elsewhere', line('/%c0%af..%2f'), 404],
    ['a target that is no path', line('nothing'), 400],
    ['a backslash', line('/\\..\\etc'), 400],
    ['dots', line('/trpc/../../etc/passwd'), 404],
    ['a host that is none', 'GET / HTTP/1.1\r\nHost: a b<c>\r\nConnection: close\r\n\r\n', 400],
    ['no host', 'GET /trpc/open HTTP/1.1\r\nConnection: close\r\n\r\n', 400],
    ['huge headers', line('/', `X-Big: ${'x'.repeat(20_000)}\r\n`), 431],
    ['a huge target', line(`/${'x'.repeat(20_000)}`), 431],
    ['no HTTP', 'HELLO\r\n\r\n', 400],
    ['a TLS greeting', Buffer.from([0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x0a]), 400],
    ['two lengths', 'POST /trpc/plain HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab', 400],
    [
      'a length and chunks',
      'POST /trpc/plain HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
      400,
    ],
    ['a negative length', 'POST /trpc/plain HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n', 400],
    ['an upgrade to something else', line('/trpc/open', 'Connection: Upgrade\r\nUpgrade: h2c\r\n'), 200],
    [
      'a WebSocket handshake without a key',
      'GET /trpc HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n',
      400,
    ],
    [
      'a WebSocket handshake by POST',
      'POST /trpc HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n',
      405,
    ],
    ['TRACE', 'TRACE /trpc/open HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n', 405],
    ['an unknown method', 'PROPFIND /trpc/open HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n', 405],
  ])('never get a 5xx or a look inside: %s', async (_, text, status) => {
    const answer = await rawHttp(world.url, text);
    expect(Number(/^HTTP\/1.1 (\d+)/u.exec(answer)?.[1])).toBe(status);
    expect(answer).not.toMatch(/node_modules|at .*\.[jt]s|TypeError|URIError/u);
    expect(world.lines.filter((entry) => entry.level === 'error')).toEqual([]);
  });

  it('do not take the server with them', async () => {
    const raw = await rawSocket(world, { token: world.token, headers: { host: 'a b<c>' } }).catch(() => null);
    raw?.socket.terminate();
    const half = await rawHttp(
      world.url,
      'POST /trpc/plain HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nConnection: close\r\n\r\n',
    );
    expect(half).toContain('401');
    expect((await world.fetch('/trpc/whoami')).status).toBe(200);
  });

  it('of a long name leave a short line', async () => {
    await http(world, { path: `/${'long'.repeat(2000)}` });
    await eventually(() => expect(world.requests()).toHaveLength(1));
    expect(String(world.requests()[0]?.['route'])).toHaveLength(200);
  });
});

describe('shutting down', () => {
  it('turns readiness to 503 at once and goes on answering until what is under way is done', async () => {
    const held = world.fetch(`/trpc/hold?input=${encodeURIComponent('{"json":{"gate":"g"}}')}`);
    await eventually(() => expect(world.gates.has('g')).toBe(true));
    const drained = world.server.drain({ milliseconds: 60_000 });
    expect((await fetch(`${world.url}/api/health/ready`)).status).toBe(503);
    expect((await fetch(`${world.url}/api/health`)).status).toBe(503);
    expect((await fetch(`${world.url}/api/health/live`)).status).toBe(200);
    expect((await world.fetch('/trpc/whoami')).status).toBe(200);
    world.gates.get('g')?.resolve();
    expect((await held).status).toBe(200);
    await drained;
    await expect(fetch(`${world.url}/api/health/live`)).rejects.toThrow();
  });

  it('asks idle clients to go elsewhere at once, busy ones when they are done, and closes all at the deadline', async () => {
    const idle = await rawSocket(world, { token: world.token });
    idle.send(call(1, 'query', 'whoami'));
    await reply(idle, 1);
    const busy = await rawSocket(world, { token: world.token });
    busy.send([call(1, 'subscription', 'follow'), call(2, 'query', 'hold', { gate: 'g' })]);
    await eventually(() => expect(world.gates.has('g')).toBe(true));
    const stream = await world.fetch('/trpc/follow', { headers: { accept: 'text/event-stream' } });
    const drained = world.server.drain({ milliseconds: 60_000 });
    await untilFrames(idle, 2);
    expect(idle.frames.at(-1)).toEqual({ id: null, method: 'reconnect' });
    world.gates.get('g')?.resolve();
    await reply(busy, 2);
    expect(busy.frames.some((frame) => frame.method === 'reconnect')).toBe(false);
    busy.send({ id: 1, method: 'subscription.stop' });
    await until(busy, () => busy.frames.some((frame) => frame.method === 'reconnect'));
    expect(busy.frames.at(-1)).toEqual({ id: null, method: 'reconnect' });
    await pass(world, [idle, busy], 55_000);
    await world.clock.advance(5000);
    await drained;
    expect((await idle.closed).code).toBe(1012);
    expect((await busy.closed).code).toBe(1012);
    expect(await stream.text()).not.toMatch(/event: (return|serialized-error)/u);
    await eventually(() => expect(world.log.readers).toBe(0));
  });

  it('lets the stock client finish what it waits for, and hangs on nobody', async () => {
    const stock = stockClient(world);
    const held = stock.client.hold.query({ gate: 'g' });
    await eventually(() => expect(world.gates.has('g')).toBe(true));
    const stalled = await rawSocket(world, { token: world.token });
    stalled.socket.pause();
    stalled.send(call(1, 'subscription', 'follow'));
    await eventually(() => expect(world.log.readers).toBe(1));
    const drained = world.server.drain({ milliseconds: 1000 });
    world.gates.get('g')?.resolve();
    expect(await held).toBe('g');
    await world.clock.advance(1000);
    await drained;
    await stock.close();
    stalled.socket.terminate();
  });
});
