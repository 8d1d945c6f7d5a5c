import { once } from 'node:events';
import { WebSocket } from 'ws';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { configOf } from '../src/config-of.ts';
import { describeEachDatabase } from '../src/describe-databases.ts';
import type { Outage, TokenOptions } from '../src/fake-auth.ts';
import { forgeToken, tamperWith } from '../src/forged-tokens.ts';
import { createHandClock } from '../src/hand-clock.ts';
import { callOverHttp } from '../src/raw-http.ts';
import { openRawSocket } from '../src/raw-socket.ts';
import { startWorld, type World } from '../src/world.ts';

const audience = 'chat';
/** In which a socket has to show a token: no other timer is as long. */
const authSeconds = 222;
const list = { type: 'query', path: 'session.list' } as const;
const listOverHttp = (world: World, token: string | null) => callOverHttp(world.url, { ...list, token });

async function listOverSocket(world: World, token: string) {
  await using socket = await openRawSocket(world.url, { token });
  const first = await socket.call('query', 'session.list', undefined);
  const second = await socket.call('query', 'session.list', undefined);
  // A refused connection stays, or the client would be back at once.
  expect(socket.socket.readyState).toBe(WebSocket.OPEN);
  expect(second.error?.json.data['code']).toBe(first.error?.json.data['code']);
  return first.error?.json.data ?? { code: 'OK' };
}

/** Refused at both doors, with 401 and a challenge where there is a status line. */
async function expectUnauthorized(world: World, token: string): Promise<void> {
  const { status, headers, refusal } = await listOverHttp(world, token);
  expect(status).toBe(401);
  expect(headers.get('www-authenticate')).toMatch(/^Bearer .*error="invalid_token"/u);
  expect(refusal).toMatchObject({ code: 'UNAUTHORIZED', httpStatus: 401, requestId: headers.get('x-request-id') });
  expect(await listOverSocket(world, token)).toMatchObject({ code: 'UNAUTHORIZED', httpStatus: 401 });
}

async function expectAccepted(world: World, token: string): Promise<void> {
  expect((await listOverHttp(world, token)).status).toBe(200);
  expect(await listOverSocket(world, token)).toEqual({ code: 'OK' });
}

describeEachDatabase('authentication with a key set', (kind) => {
  const clock = createHandClock((milliseconds) => milliseconds === authSeconds * 1000);
  let world: World;
  beforeAll(async () => {
    world = await startWorld({
      kind,
      clock,
      env: ({ auth }) => ({ AUTH_ISSUER: auth.issuer, AUTH_AUDIENCE: audience, WS_AUTH_SECONDS: `${authSeconds}` }),
    });
  });
  afterAll(() => world[Symbol.asyncDispose]());
  const tokenOf = (options: Partial<TokenOptions> = {}) => world.auth.token({ sub: 'alice', audience, ...options });

  it.each(['RS256', 'ES256', 'EdDSA'] as const)('takes %s', async (alg) => {
    await expectAccepted(world, await tokenOf({ alg }));
    await expectAccepted(world, await tokenOf({ alg, kid: null }));
  });

  it('asks for a token at every door', async () => {
    for (const type of ['query', 'mutation'] as const) {
      for (const path of type === 'query'
        ? ['session.list', 'model.list', 'system.version']
        : ['session.create', 'message.send']) {
        const { status, headers, refusal } = await callOverHttp(world.url, { type, path, token: null });
        expect(status).toBe(401);
        expect(headers.get('www-authenticate')).toMatch(/^Bearer(?!.*error)/u);
        expect(refusal).toMatchObject({ code: 'UNAUTHORIZED' });
      }
    }
    const basic = await callOverHttp(world.url, { ...list, token: null, headers: { authorization: 'Basic YTpi' } });
    expect(basic.status).toBe(401);
    await using socket = await openRawSocket(world.url, {});
    const stream = { sessionId: '01900000-0000-7000-8000-000000000000' };
    for (const reply of [
      await socket.call('query', 'session.list', undefined),
      await socket.call('subscription', 'message.follow', stream),
    ]) {
      expect(reply.error?.json.data).toMatchObject({ code: 'UNAUTHORIZED' });
    }
    expect((await fetch(`${world.url}/api/health`)).status).toBe(200);
    expect((await callOverHttp(world.url, { type: 'query', path: 'system.health', token: null })).status).toBe(200);
  });

  it('closes a socket that shows no token in time', async () => {
    for (const params of [null, undefined]) {
      const url = `${world.url.replace('http', 'ws')}/trpc${params === null ? '' : '?connectionParams=1'}`;
      const socket = new WebSocket(url);
      await once(socket, 'open');
      const closed = once(socket, 'close') as Promise<[number]>;
      clock.pass();
      const [code] = await closed;
      expect(code).toBe(4401);
    }
  });

  describe('refuses', () => {
    const hour = () => Math.floor(Date.now() / 1_000) + 3_600;
    const claims = () => ({ sub: 'alice', exp: hour(), iss: world.auth.issuer, aud: audience });
    const kidOf = async (alg: 'RS256' | 'ES256') => {
      const [header] = (await tokenOf({ alg })).split('.');
      return (JSON.parse(Buffer.from(header ?? '', 'base64url').toString()) as { kid: string }).kid;
    };

    const bad: readonly (readonly [string, () => Promise<string> | string])[] = [
      ['garbage', () => 'garbage'],
      ['three parts of garbage', () => 'a.b.c'],
      ['an empty signature', async () => `${(await tokenOf()).split('.').slice(0, 2).join('.')}.`],
      ['alg none', () => forgeToken({ alg: 'none' }, claims())],
      [
        'alg none with the signature of another token',
        async () => forgeToken({ alg: 'none' }, claims()) + ((await tokenOf()).split('.')[2] ?? ''),
      ],
      ['alg None', () => forgeToken({ alg: 'None' }, claims())],
      [
        'HS256 under the public key',
        async () => forgeToken({ alg: 'HS256', kid: await kidOf('RS256') }, claims(), world.auth.publicKey('RS256')),
      ],
      ['HS256 under a shared secret', () => tokenOf({ alg: 'HS256' })],
      [
        'RS256 said of an ES256 key',
        async () => forgeToken({ alg: 'RS256', kid: await kidOf('ES256') }, claims(), 'x'),
      ],
      ['another user under a true signature', async () => tamperWith(await tokenOf(), { sub: 'bob' })],
      ['a later end under a true signature', async () => tamperWith(await tokenOf(), { exp: hour() + 3_600 })],
      ['no exp', () => tokenOf({ expiresIn: null })],
      ['an exp that is no number', () => tokenOf({ claims: { exp: 'tomorrow' as never } })],
      ['no sub', () => tokenOf({ claims: { sub: undefined } as never })],
      ['an empty sub', () => tokenOf({ sub: '' })],
      ['a sub with U+0000', () => tokenOf({ sub: 'a\u0000b' })],
      ['an end more than 30 s ago', () => tokenOf({ expiresIn: -31 })],
      ['a beginning more than 30 s ahead', () => tokenOf({ notBefore: 60 })],
      ['another issuer', () => tokenOf({ issuer: 'https://elsewhere.example' })],
      ['no issuer', () => tokenOf({ issuer: null })],
      ['another audience', () => tokenOf({ audience: 'other' })],
      ['other audiences', () => tokenOf({ audience: ['other', 'chat2'] })],
      ['no audience', () => world.auth.token({ sub: 'alice' })],
      ['the key of another kind by its kid', async () => tokenOf({ alg: 'ES256', kid: await kidOf('RS256') })],
      [
        'a critical header that nobody knows',
        async () => forgeToken({ alg: 'ES256', crit: ['x'], x: 1 }, claims(), 'x'),
      ],
    ];
    it.each(bad)('%s', async (_, make) => {
      await expectUnauthorized(world, await make());
    });
  });

  it('allows for clocks that differ by 30 s', async () => {
    await expectAccepted(world, await tokenOf({ expiresIn: -20 }));
    await expectAccepted(world, await tokenOf({ notBefore: 20 }));
    await expectAccepted(world, await tokenOf({ audience: ['other', audience] }));
  });

  it('refuses a token in a URL at every door, and logs it nowhere', async () => {
    const token = await tokenOf();
    for (const name of ['token', 'access_token', 'jwt', 'Authorization']) {
      const response = await fetch(`${world.url}/trpc/session.list?${name}=${token}`, {
        headers: { authorization: `Bearer ${token}` },
      });
      expect(response.status).toBe(400);
      expect(await response.text()).toContain('"BAD_REQUEST"');
      expect((await fetch(`${world.url}/api/health?${name}=${token}`)).status).toBe(400);
      const socket = new WebSocket(`${world.url.replace('http', 'ws')}/trpc?${name}=${token}`);
      const [, response2] = (await once(socket, 'unexpected-response')) as [unknown, { statusCode: number }];
      expect(response2.statusCode).toBe(400);
    }
    const params = encodeURIComponent(JSON.stringify({ token }));
    expect((await fetch(`${world.url}/trpc/session.list?connectionParams=${params}`)).status).toBe(400);
    expect(world.logs.join('\n')).not.toContain(token.split('.')[2]);
    expect(world.logs.join('\n')).not.toContain(token.slice(0, 40));
  });

  it('asks for the keys once, however many unknown key ids come', async () => {
    await expectAccepted(world, await tokenOf());
    clock.shift(31);
    const before = world.auth.jwksFetches();
    const strangers = await Promise.all(
      Array.from({ length: 50 }, (_, index) => tokenOf({ kid: `unknown-${index}`, expiresIn: 600 })),
    );
    const answers = await Promise.all(strangers.map((token) => listOverHttp(world, token)));
    expect(answers.map(({ status }) => status)).toEqual(Array.from({ length: 50 }, () => 401));
    expect(world.auth.jwksFetches() - before).toBe(1);

    await world.auth.rotate({ keepOld: true });
    const fresh = await tokenOf({ expiresIn: 600 });
    expect((await listOverHttp(world, fresh)).status).toBe(401);
    expect(world.auth.jwksFetches() - before).toBe(1);
    clock.shift(31);
    expect((await listOverHttp(world, fresh)).status).toBe(200);
    expect(world.auth.jwksFetches() - before).toBe(2);
  });

  describe('while the keys cannot be had', () => {
    it.each(['refused', 'error', 'garbage'] satisfies Outage[])('serves with those it has (%s)', async (outage) => {
      const token = await tokenOf({ expiresIn: 3_600 });
      await expectAccepted(world, token);
      await world.auth.startOutage(outage);
      await expectAccepted(world, await tokenOf({ expiresIn: 3_600 }));
      // Older than their time, they are asked for anew, in vain.
      clock.shift(21 * 60);
      await expectAccepted(world, await tokenOf({ expiresIn: 7_200 }));
      clock.shift(31);
      const unknown = await listOverHttp(world, await tokenOf({ kid: 'unknown', expiresIn: 7_200 }));
      expect(unknown).toMatchObject({ status: 503, refusal: { code: 'AUTH_UNAVAILABLE' } });
      await world.auth.endOutage();
      clock.shift(31);
      await expectAccepted(world, await tokenOf({ expiresIn: 7_200 }));
    });

    it.each(['refused', 'error', 'garbage'] satisfies Outage[])('says so where it has none (%s)', async (outage) => {
      await world.auth.startOutage(outage);
      await world.restart();
      const token = await tokenOf({ expiresIn: 36_000 });
      const answer = await listOverHttp(world, token);
      expect(answer).toMatchObject({ status: 503, refusal: { code: 'AUTH_UNAVAILABLE', retryAfter: 1 } });
      expect(answer.headers.get('retry-after')).toBe('1');
      expect(answer.headers.get('www-authenticate')).toBeNull();
      expect((await fetch(`${world.url}/api/health`)).status).toBe(200);
      await using socket = await openRawSocket(world.url, { token });
      expect((await socket.call('query', 'session.list', undefined)).error?.json.data).toMatchObject({
        code: 'AUTH_UNAVAILABLE',
      });
      await world.auth.endOutage();
      clock.shift(2);
      // The connection that was told so goes on.
      expect((await socket.call('query', 'session.list', undefined)).result?.data?.json).toMatchObject({
        sessions: [],
      });
      await expectAccepted(world, token);
    });
  });

  describe('keeps the row of the user', () => {
    const long = 360_000;
    async function row(id: string) {
      await using database = await world.openDatabase();
      return (await database.query.select().from(database.tables.users)).find((user) => user.id === id);
    }

    it('in step with the newest claims', async () => {
      const sub = 'claimant';
      const first = { sub, username: 'Ada', email: 'ada@example.org', expiresIn: long, issuedIn: -100 };
      await expectAccepted(world, await tokenOf(first));
      expect(await row(sub)).toMatchObject({
        username: 'Ada',
        email: 'ada@example.org',
        role: 'enduser',
        plan: 'free',
        sessionCount: 0,
      });
      await expectAccepted(world, await tokenOf({ ...first, role: 'supervisor', plan: 'pro', issuedIn: -50 }));
      expect(await row(sub)).toMatchObject({ role: 'supervisor', plan: 'pro' });
      await expectAccepted(world, await tokenOf({ ...first, username: 'Old', role: 'admin', issuedIn: -70 }));
      expect(await row(sub)).toMatchObject({ username: 'Ada', role: 'supervisor', plan: 'pro' });
      await expectAccepted(world, await tokenOf({ ...first, username: 'Countess', issuedIn: -10 }));
      expect(await row(sub)).toMatchObject({ username: 'Countess', role: 'enduser', plan: 'free' });
    });

    it.each([
      ['unknown roles grant nothing', { role: 'root' }, 'enduser'],
      ['the strongest of several counts', { claims: { roles: ['enduser', 'admin', 'root', 'supervisor'] } }, 'admin'],
      ['both claims count', { role: 'supervisor', claims: { roles: ['enduser'] } }, 'supervisor'],
      ['a role is text', { claims: { role: { admin: true }, roles: 'admin' } }, 'enduser'],
    ] as const)('with the role: %s', async (sub, options, role) => {
      const { claims, ...rest } = { claims: {}, ...options };
      await expectAccepted(world, await tokenOf({ sub, expiresIn: long, ...rest, claims }));
      expect(await row(sub)).toMatchObject({ role });
    });

    it('and when they were last seen, to five minutes', async () => {
      const token = await tokenOf({ sub: 'seen', expiresIn: long });
      await expectAccepted(world, token);
      const first = (await row('seen'))?.lastSeenAt.getTime() ?? 0;
      clock.shift(4 * 60);
      await expectAccepted(world, token);
      expect((await row('seen'))?.lastSeenAt.getTime()).toBe(first);
      clock.shift(61);
      await expectAccepted(world, token);
      expect((await row('seen'))?.lastSeenAt.getTime()).toBeGreaterThanOrEqual(first + 300_000);
    });
  });
});

describe('authentication with shared secrets', () => {
  const former = 'a former secret of more than 32 bytes';
  let world: World;
  beforeAll(async () => {
    world = await startWorld({
      kind: 'sqlite',
      env: ({ auth }) => ({ AUTH_JWKS_URL: '', AUTH_JWT_SECRET: `${auth.secret}, ${former}` }),
    });
  });
  afterAll(() => world[Symbol.asyncDispose]());

  it('takes every secret of the list, and nothing else', async () => {
    await expectAccepted(world, await world.token('alice', { alg: 'HS256' }));
    await expectAccepted(world, await world.token('alice', { alg: 'HS256', secret: former }));
    await expectAccepted(world, await world.token('alice', { alg: 'HS256', kid: 'whatever', issuer: null }));
    await expectUnauthorized(
      world,
      await world.token('alice', { alg: 'HS256', secret: 'another secret of more than 32 bytes' }),
    );
    await expectUnauthorized(world, await world.token('alice', { alg: 'HS256', expiresIn: null }));
    for (const alg of ['RS256', 'ES256', 'EdDSA'] as const)
      await expectUnauthorized(world, await world.token('alice', { alg }));
    await expectUnauthorized(world, forgeToken({ alg: 'none' }, { sub: 'alice', exp: 4e9 }));
    expect(world.auth.jwksFetches()).toBe(0);
  });
});

describe('authentication with a public key', () => {
  let world: World;
  beforeAll(async () => {
    world = await startWorld({
      kind: 'sqlite',
      env: ({ auth }) => ({
        AUTH_JWKS_URL: '',
        AUTH_JWT_PUBLIC_KEY: auth.publicKey('RS256').replaceAll('\n', String.raw`\n`),
      }),
    });
  });
  afterAll(() => world[Symbol.asyncDispose]());

  it('takes what that key has signed by its own algorithm, and nothing else', async () => {
    await expectAccepted(world, await world.token('alice', { alg: 'RS256' }));
    await expectAccepted(world, await world.token('alice', { alg: 'RS256', kid: null }));
    for (const alg of ['ES256', 'EdDSA', 'HS256'] as const)
      await expectUnauthorized(world, await world.token('alice', { alg }));
    const pem = world.auth.publicKey('RS256');
    const claims = { sub: 'alice', exp: 4e9 };
    for (const secret of [pem, pem.trim(), pem.replaceAll('\n', String.raw`\n`)]) {
      await expectUnauthorized(world, forgeToken({ alg: 'HS256' }, claims, secret));
    }
    await world.auth.rotate();
    await expectUnauthorized(world, await world.token('alice', { alg: 'RS256' }));
  });
});

describe('a start with keys that protect nothing', () => {
  const pem = `-----BEGIN PUBLIC KEY-----${'A'.repeat(60)}-----END PUBLIC KEY-----`;
  const secret = 's'.repeat(32);
  it.each([
    ['a short secret', { AUTH_JWT_SECRET: 's'.repeat(31) }, 'AUTH_JWT_SECRET'],
    ['a short secret in a list', { AUTH_JWT_SECRET: `${secret},short` }, 'AUTH_JWT_SECRET'],
    ['a PEM as a secret', { AUTH_JWT_SECRET: pem }, 'AUTH_JWT_SECRET'],
    ['a PEM that is none', { AUTH_JWT_PUBLIC_KEY: pem }, 'AUTH_JWT_PUBLIC_KEY'],
    ['two kinds at once', { AUTH_JWT_SECRET: secret, AUTH_JWKS_URL: 'https://auth.example/jwks' }, 'AUTH_JWKS_URL'],
    ['none in production', { NODE_ENV: 'production' }, 'AUTH_'],
    ['none for the whole network', { HOST: '0.0.0.0' }, 'AUTH_'],
  ])('is refused: %s', (_, env, variable) => {
    expect(() => configOf({ DATABASE_URL: 'file:/tmp/never-opened.db', ...env })).toThrow(variable);
  });
});
