import type { AppRouter } from '@chat-service/server/app-router';
import { createTRPCClient, httpBatchLink, httpBatchStreamLink, TRPCClientError } from '@trpc/client';
import superjson from 'superjson';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { patience } from '../src/call-for.ts';
import { openRawSocket } from '../src/raw-socket.ts';
import { callRest, type RestAnswer } from '../src/rest.ts';
import { startWorld, type World } from '../src/world.ts';

const limit = 20;

/** What an answer says of the limit. */
function limitsOf({ headers }: RestAnswer<unknown>) {
  const [, policy, remaining, seconds] = /^"(\w+)";r=(\d+);t=(\d+)$/u.exec(headers.get('ratelimit') ?? '') ?? [];
  expect(Number(seconds)).toBeGreaterThanOrEqual(1);
  expect(Number(seconds)).toBeLessThanOrEqual(60);
  expect(headers.get('ratelimit-policy')).toBe(`"${policy}";q=${limit};w=60`);
  return Number(remaining);
}

function expectWait(seconds: unknown) {
  expect(seconds).toBeGreaterThanOrEqual(1);
  expect(seconds).toBeLessThanOrEqual(60);
}

/** How often each outcome came: codes, and `ok`. */
function tally(outcomes: readonly string[]): Record<string, number> {
  return Object.fromEntries(
    [...Map.groupBy(outcomes, (outcome) => outcome)].map(([outcome, all]) => [outcome, all.length]),
  );
}

describe('20 calls a minute', () => {
  let world: World;
  let users = 0;
  beforeAll(async () => {
    world = await startWorld({ kind: 'sqlite', env: { RATE_LIMIT_PER_MINUTE: String(limit) } });
  });
  afterAll(() => world[Symbol.asyncDispose]());

  const newUser = () => `user-${(users += 1)}`;

  async function batching(sub: string, link: typeof httpBatchLink | typeof httpBatchStreamLink, maxItems: number) {
    const authorization = `Bearer ${await world.token(sub)}`;
    const responses: Response[] = [];
    const trpc = createTRPCClient<AppRouter>({
      links: [
        link({
          url: `${world.url}/trpc`,
          transformer: superjson,
          maxItems,
          headers: { authorization },
          async fetch(input, init) {
            const response = await fetch(String(input), init as RequestInit);
            responses.push(response);
            return response;
          },
        }),
      ],
    });
    const outcome = (call: Promise<unknown>) =>
      call.then(
        () => 'ok',
        (error: unknown) => {
          if (!(error instanceof TRPCClientError)) throw error;
          const data = error.data as { code: string; retryAfter: number };
          expectWait(data.retryAfter);
          return data.code;
        },
      );
    return {
      responses,
      list: (calls: number) => Promise.all(Array.from({ length: calls }, () => outcome(trpc.session.list.query({})))),
    };
  }

  it.each([
    ['plain', httpBatchLink],
    ['streamed', httpBatchStreamLink],
  ])('%s batches: of two with 15 calls, exactly 20 succeed', async (_, link) => {
    const { list, responses } = await batching(newUser(), link, 15);
    expect(tally(await list(30))).toEqual({ ok: 20, RATE_LIMITED: 10 });
    expect(responses).toHaveLength(2);
    for (const { headers } of responses) expect(headers.get('ratelimit-policy')).toBe(`"default";q=${limit};w=60`);
    const left = responses.map(({ headers }) => headers.get('ratelimit')?.split(';')[1]);
    expect(new Set(left)).toEqual(new Set(['r=5', 'r=0']));
    // Refused as a whole, a batch is told so for every call in it.
    expect(tally(await list(15))).toEqual({ RATE_LIMITED: 15 });
    expect(responses[2]?.status).toBe(429);
    expectWait(Number(responses[2]?.headers.get('retry-after')));
  });

  it('over WebSocket: of 25, 20 succeed; stopping and pings count nothing', async () => {
    const token = await world.token(newUser());
    await using raw = await openRawSocket(world.url, { token });
    for (let n = 0; n < 30; n += 1) {
      raw.socket.send('PING');
      raw.socket.send(JSON.stringify({ id: 999, method: 'subscription.stop' }));
    }
    const replies = await Promise.all(Array.from({ length: 25 }, () => raw.call('query', 'session.list', {})));
    const refused = replies.flatMap(({ error }) => (error === undefined ? [] : [error.json.data]));
    expect(refused).toHaveLength(5);
    for (const data of refused) {
      expect(data).toMatchObject({ code: 'RATE_LIMITED', httpStatus: 429 });
      expectWait(data['retryAfter']);
    }
  });

  it('over REST: each answer tells what is left, the 21st is a problem; others are not affected', async () => {
    const sub = newUser();
    for (let left = limit - 1; left >= 0; left -= 1) {
      const answer = await callRest(world, 'GET /api/chat/sessions', { sub });
      expect([answer.status, limitsOf(answer)]).toEqual([200, left]);
    }
    const refused = await callRest(world, 'GET /api/chat/sessions', { sub });
    expect([refused.status, limitsOf(refused)]).toEqual([429, 0]);
    expect(refused.headers.get('content-type')).toBe('application/problem+json');
    expect(refused.body).toMatchObject({
      type: 'urn:chat-service:error:RATE_LIMITED',
      status: 429,
      code: 'RATE_LIMITED',
      requestId: refused.headers.get('x-request-id'),
    });
    expectWait(refused.body.retryAfter);
    expect(refused.headers.get('retry-after')).toBe(String(refused.body.retryAfter));
    const other = await callRest(world, 'GET /api/chat/sessions', { sub: newUser() });
    expect([other.status, limitsOf(other)]).toEqual([200, limit - 1]);
    expect((await callRest(world, 'GET /api/health', { sub })).status).toBe(200);
  });

  it('all doors share one count, which account.usage tells', async () => {
    const sub = newUser();
    const { list } = await batching(sub, httpBatchStreamLink, 20);
    expect(tally(await list(7))).toEqual({ ok: 7 });
    await using raw = await openRawSocket(world.url, { token: await world.token(sub) });
    await Promise.all(Array.from({ length: 6 }, () => raw.call('query', 'session.list', {})));
    const usage = await callRest<{ rateLimit: { limit: number; remaining: number; resetsAt: string } }>(
      world,
      'GET /api/account/usage',
      { sub },
    );
    expect(limitsOf(usage)).toBe(6);
    expect(usage.body.rateLimit).toMatchObject({ limit, remaining: 6 });
    const left = Date.parse(usage.body.rateLimit.resetsAt) - Date.now();
    expect(left).toBeLessThanOrEqual(60_000);
    expect(tally(await list(7))).toEqual({ ok: 6, RATE_LIMITED: 1 });
    expect((await raw.call('query', 'session.list', {})).error?.json.data).toMatchObject({ code: 'RATE_LIMITED' });
    expect((await callRest(world, 'GET /api/models', { sub })).status).toBe(429);
  });

  it('refusals and replays count as well, and what is too much is told before anything else', async () => {
    const sub = newUser();
    const unknown = '01890a5d-ac96-774b-bcce-b302099a8057';
    const key = { 'idempotency-key': 'made once' };
    const requests: [number, string, Omit<Parameters<typeof callRest>[2] & object, 'sub'>][] = [
      [400, 'POST /api/chat/sessions', { raw: '{"title":' }],
      [400, 'POST /api/chat/sessions', { body: { title: 7 } }],
      [415, 'POST /api/chat/sessions', { body: {}, headers: { 'content-type': 'text/plain' } }],
      [406, 'GET /api/chat/sessions', { headers: { accept: 'text/html' } }],
      [404, `GET /api/chat/sessions/${unknown}`, {}],
      [403, 'GET /api/chat/live', {}],
      [413, 'POST /api/chat/sessions', { body: { title: 'x'.repeat(1_100_000) } }],
      [201, 'POST /api/chat/sessions', { body: {}, headers: key }],
      [201, 'POST /api/chat/sessions', { body: {}, headers: key }],
      [422, 'POST /api/chat/sessions', { body: { title: 'Other' }, headers: key }],
    ];
    let left = limit;
    for (const [status, target, request] of requests) {
      const answer = await callRest(world, target, { ...request, sub });
      expect([target, answer.status, limitsOf(answer)]).toEqual([target, status, (left -= 1)]);
    }
    await Promise.all(Array.from({ length: left }, () => callRest(world, 'HEAD /api/models', { sub })));
    for (const [, target, request] of requests) {
      const { status, body } = await callRest(world, target, { ...request, sub });
      expect([target, status, body.code]).toEqual([target, 429, 'RATE_LIMITED']);
    }
    const trpc = await fetch(`${world.url}/trpc/session.create`, {
      method: 'POST',
      headers: { authorization: `Bearer ${await world.token(sub)}`, 'content-type': 'application/json' },
      body: '{"json":',
    });
    expect(trpc.status).toBe(429);
    expect(await trpc.json()).toMatchObject({ error: { json: { data: { code: 'RATE_LIMITED' } } } });
  });

  it('what no procedure is asked for counts as well: unknown paths, and methods that a path has not', async () => {
    const sub = newUser();
    const targets = [
      [404, 'GET /api/nothing'],
      [404, 'POST /api/chat/nothing'],
      [404, 'DELETE /nothing'],
      [405, 'DELETE /api/models'],
      [405, 'PATCH /api/docs'],
    ] as const;
    for (let left = limit - 1; left >= 0; left -= 1) {
      const [status, target] = targets[left % targets.length] ?? [404, 'GET /'];
      const answer = await callRest(world, target, { sub });
      expect([target, answer.status, limitsOf(answer)]).toEqual([target, status, left]);
    }
    for (const target of [...targets.map(([, one]) => one), 'GET /api/models']) {
      const refused = await callRest(world, target, { sub });
      expect([target, refused.status, refused.body.code, limitsOf(refused)]).toEqual([target, 429, 'RATE_LIMITED', 0]);
      expectWait(refused.body.retryAfter);
      expect(refused.headers.get('retry-after')).toBe(String(refused.body.retryAfter));
    }
    expect((await callRest(world, 'GET /api/health', { sub })).status).toBe(200);
    expect((await callRest(world, 'PUT /api/health', { sub })).status).toBe(405);
  });

  it('without a valid token an address gets as many 401s, whatever it says of itself; who has one goes on', async () => {
    const strange = (forwarded: string) =>
      callRest(world, 'GET /api/models', { sub: null, headers: { 'x-forwarded-for': forwarded } });
    for (let left = limit - 1; left >= 0; left -= 1) {
      const answer = await strange(`192.0.2.${left}`);
      expect([answer.status, limitsOf(answer)]).toEqual([401, left]);
    }
    const flooding = await strange('192.0.2.99');
    expect([flooding.status, flooding.body.code]).toEqual([429, 'RATE_LIMITED']);
    expectWait(Number(flooding.headers.get('retry-after')));
    const token = `${(await world.token()).slice(0, -2)}xx`;
    for (const path of ['/api/chat/sessions', '/api/openapi.json', '/api/docs', '/api/nothing', '/trpc/model.list']) {
      expect([path, (await callRest(world, `GET ${path}`, { token })).status]).toEqual([path, 429]);
    }
    expect((await callRest(world, 'PUT /api/models', { sub: null })).status).toBe(429);
    for (const path of ['/api/health', '/api/health/live', '/api/health/ready', '/trpc/system.health']) {
      expect([path, (await callRest(world, `GET ${path}`, { sub: null })).status]).toEqual([path, 200]);
    }
    await using stranger = await openRawSocket(world.url, { token });
    const { error } = await stranger.call('query', 'model.list', {});
    expect(error?.json.data).toMatchObject({ code: 'RATE_LIMITED' });
    expect((await callRest(world, 'GET /api/models', { sub: newUser() })).status).toBe(200);
  });
});

describe('behind a proxy that is trusted', () => {
  it('addresses count apart, and what stands before the proxy’s own word does not', async () => {
    await using world = await startWorld({ kind: 'sqlite', env: { RATE_LIMIT_PER_MINUTE: '2', TRUST_PROXY: 'true' } });
    const strange = async (forwarded: string) =>
      (await callRest(world, 'GET /api/models', { sub: null, headers: { 'x-forwarded-for': forwarded } })).status;
    expect([await strange('192.0.2.1'), await strange('192.0.2.2'), await strange('192.0.2.1')]).toEqual([
      401, 401, 401,
    ]);
    expect([await strange('192.0.2.7, 192.0.2.1'), await strange('192.0.2.2')]).toEqual([429, 401]);
    expect([await strange('2001:db8::1'), await strange('2001:db8::2'), await strange('2001:db8::3')]).toEqual([
      401, 401, 429,
    ]);
  });
});

it('a client with 60 subscriptions that reconnects three times in a minute loses none', async () => {
  await using world = await startWorld({ kind: 'sqlite', env: { RATE_LIMIT_PER_MINUTE: '100' } });
  const { trpc, cut } = world.trpc();
  const { sessionId } = await trpc.session.create.mutate({});
  const told = Array.from({ length: 60 }, () => [] as string[]);
  const errors: unknown[] = [];
  let started = 0;
  for (const types of told) {
    trpc.session.follow.subscribe(
      { sessionId },
      {
        onStarted: () => (started += 1),
        onData: ({ data }) => void types.push(data.type),
        onError: (error) => void errors.push(error),
      },
    );
  }
  const history = ['history-start', 'history-end'];
  await vi.waitFor(() => expect(told).toEqual(told.map(() => history)), patience);
  for (let reconnect = 1; reconnect <= 3; reconnect += 1) {
    cut();
    await vi.waitFor(() => expect(started).toBe(60 * (reconnect + 1)), patience);
  }
  await trpc.session.update.mutate({ sessionId, title: 'Renamed' });
  await vi.waitFor(() => expect(told).toEqual(told.map(() => [...history, 'session-updated'])), patience);
  expect(errors).toEqual([]);
});
