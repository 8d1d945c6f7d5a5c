import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { call, isOpen, pass, rawSocket, reply, settled, until, type RawSocket } from './sockets.ts';
import { createWorld, http, tokenFor, type World } from './world.ts';

const limitPerMinute = 2;
const resumptions = 5 * limitPerMinute;

let world: World;
const sockets: { terminate(): void }[] = [];
beforeEach(async () => {
  // The limiter's store reads the process's own clock; everything else here has the world's.
  vi.useFakeTimers({ toFake: ['Date'] });
  world = await createWorld({}, { limitPerMinute });
});
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.terminate();
  await world[Symbol.asyncDispose]();
  vi.useRealTimers();
});

async function open(options?: Parameters<typeof rawSocket>[1]): Promise<RawSocket> {
  const raw = await rawSocket(world, options);
  sockets.push(raw.socket);
  return raw;
}

/** The next window begins. */
async function passWindow(...raws: RawSocket[]) {
  vi.setSystemTime(Date.now() + 60_000);
  await pass(world, raws, 60_000);
}

const codeOf = async (raw: RawSocket, id: number | string | null) =>
  (await reply(raw, id)).error?.json.data['code'] ?? 'ok';
const limited = { code: 'RATE_LIMITED', httpStatus: 429, retryAfter: 60 };

describe('on a WebSocket', () => {
  it('whatever is said as a call counts, and is told that it is too much before what else is wrong', async () => {
    const raw = await open({ token: world.token });
    raw.send('{"id":1');
    expect(await codeOf(raw, null)).toBe('BAD_REQUEST');
    raw.send(call(2, 'query', 'nothing.here'));
    expect(await codeOf(raw, 2)).toBe('NOT_FOUND');
    raw.send([
      call(3, 'query', 'whoami'),
      { id: 4, method: 'query' },
      call(5, 'subscription', 'follow'),
      call(6, 'query', 'echo', { wrong: true }),
    ]);
    for (const id of [3, 4, 5, 6]) expect((await reply(raw, id)).error?.json.data).toMatchObject(limited);
    expect(world.log.readers).toBe(0);
    raw.socket.send(Buffer.from([1]), { binary: true });
    raw.send({ method: 'connectionParams', data: {} });
    await until(raw, () => raw.frames.filter(({ id }) => id === null).length === 3);
    expect(raw.frames.filter(({ id }) => id === null).map(({ error }) => error?.json.data['code'])).toEqual([
      'BAD_REQUEST',
      'RATE_LIMITED',
      'RATE_LIMITED',
    ]);
    expect(isOpen(raw)).toBe(true);
    await passWindow(raw);
    raw.send(call(7, 'query', 'whoami'));
    expect(await codeOf(raw, 7)).toBe('ok');
  });

  it('stopping, pings and what needs no token count nothing', async () => {
    const raw = await open({ token: world.token });
    raw.send(call(1, 'subscription', 'follow'));
    await eventually(() => expect(world.log.readers).toBe(1));
    for (let n = 0; n < 20; n += 1) {
      raw.send({ id: n === 10 ? 1 : 99, method: 'subscription.stop' });
      raw.send('PING');
      raw.send('PONG');
      raw.send(call(100 + n, 'query', 'open'));
    }
    for (let n = 0; n < 20; n += 1) expect(await codeOf(raw, 100 + n)).toBe('ok');
    expect((await reply(raw, 1)).result?.type).toBe('stopped');
    raw.send([call(2, 'query', 'whoami'), call(3, 'query', 'whoami')]);
    expect([await codeOf(raw, 2), await codeOf(raw, 3)]).toEqual(['ok', 'RATE_LIMITED']);
  });

  it('calls without a valid token count for the address, and not for who has one', async () => {
    const stranger = await open({ token: 'nonsense' });
    stranger.send([1, 2, 3].map((id) => call(id, 'query', 'whoami')));
    expect([await codeOf(stranger, 1), await codeOf(stranger, 2), await codeOf(stranger, 3)]).toEqual([
      'UNAUTHORIZED',
      'UNAUTHORIZED',
      'RATE_LIMITED',
    ]);
    stranger.send(call(4, 'query', 'open'));
    expect(await codeOf(stranger, 4)).toBe('ok');
    expect((await world.fetch('/trpc/whoami', { headers: { authorization: 'Bearer x' } })).status).toBe(429);
    const user = await open({ token: world.token });
    user.send(call(1, 'query', 'whoami'));
    expect(await codeOf(user, 1)).toBe('ok');
  });

  it('who goes on over the limit is read after a pause, and told then', async () => {
    const raw = await open({ token: world.token });
    for (const frame of [0, 20]) {
      raw.send(Array.from({ length: 20 }, (_, n) => call(frame + n, 'query', 'whoami')));
      expect(await codeOf(raw, frame + 19)).toBe('RATE_LIMITED');
    }
    raw.send(call('next', 'query', 'whoami'));
    // Meanwhile others are answered.
    const user = await open({ token: tokenFor('other', Math.floor(world.clock.now() / 1000) + 3600) });
    user.send(call(1, 'query', 'whoami'));
    expect(await codeOf(user, 1)).toBe('ok');
    expect(raw.frames.some(({ id }) => id === 'next')).toBe(false);
    await world.clock.advance(100);
    expect(await codeOf(raw, 'next')).toBe('RATE_LIMITED');
    expect(raw.frames).toHaveLength(41);
  });

  it('resumptions are counted apart, wait for the next window, and no longer than they are wanted', async () => {
    world.log.publish(2);
    const raw = await open({ token: world.token });
    const resumed = Array.from({ length: resumptions + 3 }, (_, id) =>
      id % 2 === 0
        ? call(id, 'subscription', 'follow', undefined, { lastEventId: '00000001' })
        : call(id, 'subscription', 'follow', { lastEventId: '00000001' }),
    );
    raw.send(resumed);
    await eventually(() => expect(world.log.readers).toBe(resumptions));
    await settled(raw);
    const answered = () => [...new Set(raw.frames.map(({ id }) => id))];
    expect(answered()).toHaveLength(resumptions);
    // A last id makes no resumption of what is none.
    raw.send([1, 2, 3].map((id) => call(`q${id}`, 'query', 'whoami', undefined, { lastEventId: '00000001' })));
    expect([await codeOf(raw, 'q1'), await codeOf(raw, 'q2'), await codeOf(raw, 'q3')]).toEqual([
      'ok',
      'ok',
      'RATE_LIMITED',
    ]);
    raw.send({ id: resumptions, method: 'subscription.stop' });
    expect((await reply(raw, resumptions)).result?.type).toBe('stopped');
    await passWindow(raw);
    await eventually(() => expect(world.log.readers).toBe(resumptions + 2));
    expect(raw.frames.filter(({ id, error }) => typeof id === 'number' && error !== undefined)).toEqual([]);
    expect(raw.frames.filter(({ id }) => id === resumptions)).toHaveLength(1);
    expect(world.lines.filter(({ level }) => level === 'error')).toEqual([]);
  });
});

describe('over HTTP', () => {
  const lastEventId = { 'last-event-id': '00000001', accept: 'text/event-stream' };

  it.each([
    ['tRPC, by the header', '/trpc/follow', lastEventId],
    ['tRPC, by the query', '/trpc/follow?lastEventId=00000001', {}],
    ['tRPC, by the input', '/trpc/follow?input={"json":{"lastEventId":"00000001"}}', {}],
    ['REST, by the header', '/api/follow', lastEventId],
    ['REST, by the query', '/api/follow?lastEventId=00000001', { accept: 'text/event-stream' }],
  ])('resumptions wait for the next window: %s', async (_, path, headers) => {
    world.log.publish(1);
    const leaving = new AbortController();
    let answers = 0;
    const follow = async () => {
      const response = await world.fetch(path, { headers, signal: leaving.signal });
      answers += 1;
      return response;
    };
    const opened = await Promise.all(Array.from({ length: resumptions }, follow));
    expect(opened.map(({ status }) => status)).toEqual(opened.map(() => 200));
    expect(opened[0]?.headers.get('ratelimit-policy')).toBe(`"resumption";q=${resumptions};w=60`);
    const late = [follow(), follow()];
    const gone = new AbortController();
    const left = world.fetch(path, { headers, signal: gone.signal });
    await eventually(() => expect(world.server.stats().inFlight).toBe(resumptions + 3));
    gone.abort();
    await expect(left).rejects.toThrow('aborted');
    await eventually(() => expect(world.server.stats().inFlight).toBe(resumptions + 2));
    expect((await world.fetch('/trpc/whoami')).status).toBe(200);
    expect([answers, world.log.readers]).toEqual([resumptions, resumptions]);
    await passWindow();
    expect((await Promise.all(late)).map(({ status }) => status)).toEqual([200, 200]);
    leaving.abort();
    await eventually(() => expect(world.server.stats().inFlight).toBe(0));
    expect(world.lines.filter(({ level }) => level === 'error')).toEqual([]);
    expect(world.requests().filter(({ status, code }) => status === 499 && code !== undefined)).toEqual([]);
  });

  it('an id makes no resumption of what is none, and none without a token', async () => {
    const statuses = [];
    for (const path of ['/trpc/whoami?lastEventId=1', '/trpc/whoami', '/trpc/starts?lastEventId=1']) {
      statuses.push((await world.fetch(path, { headers: { 'last-event-id': '00000001' } })).status);
    }
    expect(statuses).toEqual([200, 200, 400]);
    for (let n = 0; n < limitPerMinute; n += 1) {
      const { status } = await world.fetch('/trpc/follow', { headers: { 'last-event-id': '1', authorization: '' } });
      expect(status).toBe(401);
    }
    const { status } = await world.fetch('/trpc/follow', { headers: { 'last-event-id': '1', authorization: '' } });
    expect(status).toBe(429);
  });

  it('an event source reads from the stream that it is too much', async () => {
    await world.post('/trpc/whoami,whoami?batch=1', {});
    const response = await world.fetch('/trpc/follow', { headers: { accept: 'text/event-stream' } });
    expect(response.status).toBe(200);
    expect(await response.text()).toContain('"code":"RATE_LIMITED"');
    expect((await world.fetch('/trpc/starts', { headers: { accept: 'text/event-stream' } })).status).toBe(429);
  });

  const nothings: [string, string, number][] = [
    ['GET', '/api/nothing', 404],
    ['POST', '/api/nothing/at/all', 404],
    ['GET', '/api/health/nothing', 404],
    ['GET', '/nothing', 404],
    ['DELETE', '/api/follow', 405],
    ['HEAD', '/api/starts', 405],
    ['PUT', '/api/openapi.json', 405],
  ];

  it.each(nothings)('what is asked of no procedure counts: %s %s', async (method, path, status) => {
    const ask = async (headers: Record<string, string>) => {
      const answer = await world.fetch(path, { method, headers });
      return [answer.status, answer.headers.get('ratelimit'), answer.headers.get('retry-after')];
    };
    for (const [headers, policy] of [
      [{}, 'default'],
      [{ authorization: '' }, 'address'],
    ] as const) {
      expect(await ask(headers)).toEqual([status, `"${policy}";r=1;t=60`, null]);
      expect(await ask(headers)).toEqual([status, `"${policy}";r=0;t=60`, null]);
      expect(await ask(headers)).toEqual([429, `"${policy}";r=0;t=60`, '60']);
    }
    // A token that does not verify is none.
    expect(await ask({ authorization: 'Bearer nobody' })).toEqual([429, '"address";r=0;t=60', '60']);
    expect((await world.fetch('/trpc/whoami')).status).toBe(429);
    const other = `Bearer ${tokenFor('other', world.nowSeconds() + 3600)}`;
    expect(await ask({ authorization: other })).toEqual([status, '"default";r=1;t=60', null]);
    await passWindow();
    expect(await ask({})).toEqual([status, '"default";r=1;t=60', null]);
    await eventually(() => expect(world.requests()).toHaveLength(10));
    const callers = world.requests().map(({ userId }) => userId);
    expect(callers).toEqual(['ada', 'ada', 'ada', null, null, null, null, 'ada', 'other', 'ada']);
  });

  it('what is asked of documents counts once, also where there is none, and of health never', async () => {
    const statuses = async (path: string, method = 'GET') => {
      const answers = [];
      for (let n = 0; n < 3; n += 1) answers.push((await world.fetch(path, { method })).status);
      return answers;
    };
    for (const [path, method] of [['/api/health'], ['/api/health/live', 'POST'], ['/api/health', 'PUT']] as const) {
      expect(await statuses(path, method)).toEqual(method === undefined ? [200, 200, 200] : [405, 405, 405]);
    }
    expect(await statuses('/api/docs/nothing.js')).toEqual([404, 404, 429]);
    expect(await statuses('/api/docs', 'OPTIONS')).toEqual([204, 204, 204]);
    expect((await world.fetch('/trpc/whoami')).status).toBe(200);
  });

  it('what needs no token is answered beside what is too much', async () => {
    const batch = async (authorization: string) => {
      const response = await world.fetch('/trpc/open,whoami?batch=1', { headers: { authorization } });
      const results = (await response.json()) as { error?: { json: { data: { code: string } } } }[];
      return results.map(({ error }) => error?.json.data.code ?? 'ok');
    };
    for (const [authorization, before] of [
      [`Bearer ${world.token}`, 'ok'],
      ['', 'UNAUTHORIZED'],
    ] as const) {
      expect([await batch(authorization), await batch(authorization), await batch(authorization)]).toEqual([
        ['ok', before],
        ['ok', before],
        ['ok', 'RATE_LIMITED'],
      ]);
    }
  });

  it('a token that could not be judged counts nothing', async () => {
    world.keys.available = false;
    for (let n = 0; n < 2 * limitPerMinute; n += 1) expect((await world.fetch('/trpc/whoami')).status).toBe(503);
    world.keys.available = true;
    const response = await world.fetch('/trpc/whoami', { headers: { authorization: '' } });
    expect([response.status, response.headers.get('ratelimit')]).toEqual([401, '"address";r=1;t=60']);
  });

  it('is told before a body is read, and when the answer is too large to be counted by', async () => {
    const target = { method: 'POST', path: '/trpc/write', headers: { authorization: `Bearer ${world.token}` } };
    const large = { ...target, headers: { ...target.headers, 'content-type': 'application/json' } };
    const sizes = [];
    for (let n = 0; n < 3; n += 1) {
      const { status, headers } = await http(world, { ...large, body: `{"json":"${'x'.repeat(70_000)}"}` });
      sizes.push([status, headers['ratelimit']]);
    }
    expect(sizes).toEqual([
      [413, '"default";r=1;t=60'],
      [413, '"default";r=0;t=60'],
      [429, '"default";r=0;t=60'],
    ]);
  });

  it('an address behind a trusted proxy is the one that the proxy has seen', async () => {
    await world[Symbol.asyncDispose]();
    world = await createWorld({ trustedProxies: 1 }, { limitPerMinute });
    const stranger = async (forwarded: string) =>
      (await http(world, { path: '/trpc/whoami', headers: { 'x-forwarded-for': forwarded } })).status;
    expect([await stranger('192.0.2.1'), await stranger('8.8.8.8, 192.0.2.1')]).toEqual([401, 401]);
    expect([await stranger('192.0.2.2, 192.0.2.1'), await stranger('192.0.2.1, 192.0.2.2')]).toEqual([429, 401]);
  });
});
