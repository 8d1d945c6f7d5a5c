import { exportJWK, type JWK } from 'jose';
import { describe, expect, it } from 'vitest';
import { holdClosedPort } from '../../../../shared/test/support/closed-port.ts';
import { startJwksServer, type JwksServer } from './jwks-server.ts';
import {
  asymmetricAlgorithms,
  createKey,
  expectRefusal,
  goodClaims,
  setUp as setUpKeys,
  signWithKey,
  signWithSecret,
  withoutKid,
  type TestKey,
} from './tokens.ts';

const setUp = (server: Pick<JwksServer, 'url'>) => setUpKeys({ kind: 'jwks', url: server.url });
const minute = 60_000;

const first = await createKey('ES256', 'first');
const second = await createKey('ES256', 'second');
const unpublished = await createKey('ES256', 'unpublished');

const unknownKids = (count: number, clock: Parameters<typeof goodClaims>[0]) =>
  Promise.all(
    Array.from({ length: count }, (_, index) =>
      signWithKey(goodClaims(clock), unpublished, { kid: `unknown-${index}` }),
    ),
  );

describe('keys that are published', () => {
  it.each(asymmetricAlgorithms)('verify %s', async (algorithm) => {
    const key = await createKey(algorithm, 'k');
    await using server = await startJwksServer(key.jwk);
    const { authenticate, clock } = setUp(server);
    await expect(authenticate(await signWithKey(goodClaims(clock), key))).resolves.toBeDefined();
  });

  it('are found by kid among several, and all tried for a token without one', async () => {
    const keys = [first, second, await createKey('RS256', 'third')];
    await using server = await startJwksServer(...keys.map((key) => key.jwk));
    const { authenticate, clock } = setUp(server);
    for (const key of keys) {
      await expect(authenticate(await signWithKey(goodClaims(clock), key))).resolves.toBeDefined();
      await expect(authenticate(await signWithKey(goodClaims(clock), withoutKid(key)))).resolves.toBeDefined();
    }
    await expectRefusal(authenticate(await signWithKey(goodClaims(clock), first, { kid: 'second' })));
    expect(server.requests()).toBe(1);
  });

  it('verify no shared-secret token, whatever the secret is made of', async () => {
    const rsa = await createKey('RS256', 'rsa');
    const oct: JWK = { kty: 'oct', kid: 'oct', alg: 'HS256', k: Buffer.from('x'.repeat(32)).toString('base64url') };
    await using server = await startJwksServer(rsa.jwk, oct);
    const { authenticate, clock } = setUp(server);
    const secrets = [JSON.stringify(rsa.jwk), JSON.stringify({ keys: [rsa.jwk, oct] }), rsa.pem, rsa.jwk.n ?? ''];
    for (const secret of [...secrets, 'x'.repeat(32)]) {
      for (const kid of ['rsa', 'oct']) {
        await expectRefusal(authenticate(await signWithSecret(goodClaims(clock), secret, { kid })));
      }
    }
  });

  it('verify only the algorithm that goes with the key', async () => {
    const pss = await createKey('PS256', 'k');
    await using server = await startJwksServer(pss.jwk);
    const { authenticate, clock } = setUp(server);
    await expectRefusal(authenticate(await signWithKey(goodClaims(clock), pss)));
  });

  it('count only when they are public signature keys of a sound strength', async () => {
    const good = await createKey('RS256', 'k');
    const bad: JWK[] = [
      { ...good.jwk, use: 'enc' },
      { ...good.jwk, alg: 'RS512' },
      { ...good.jwk, key_ops: ['encrypt'] },
      { ...(await exportJWK(good.signWith)), kid: 'k' },
      { ...good.jwk, n: '' },
      { ...good.jwk, n: Buffer.alloc(128, 0xff).toString('base64url') },
      { kty: 'EC', crv: 'P-256', x: 'AA', y: 'AA', kid: 'k' },
      { kty: 'unknown', kid: 'k' },
    ];
    await using server = await startJwksServer(...bad, first.jwk);
    const { authenticate, clock } = setUp(server);
    await expectRefusal(authenticate(await signWithKey(goodClaims(clock), good)));
    await expect(authenticate(await signWithKey(goodClaims(clock), first))).resolves.toBeDefined();
  });
});

describe('fetches', () => {
  it('are one for many requests at once on a cold start, and none after it', async () => {
    await using server = await startJwksServer(first.jwk);
    const { authenticate, clock } = setUp(server);
    const subjects = Array.from({ length: 50 }, (_, index) => `user-${index}`);
    const tokens = await Promise.all(subjects.map((sub) => signWithKey(goodClaims(clock, { sub }), first)));
    const principals = await Promise.all(tokens.map((token) => authenticate(token)));
    expect(principals.map((principal) => principal.userId)).toEqual(subjects);
    await authenticate(await signWithKey(goodClaims(clock, { sub: 'later' }), first));
    expect(server.requests()).toBe(1);
  });

  it('happen for no token that could not be right anyway', async () => {
    await using server = await startJwksServer(first.jwk);
    const { authenticate, clock } = setUp(server);
    for (const token of ['', 'a.b.c', await signWithSecret(goodClaims(clock), 'x'.repeat(32), { kid: 'first' })]) {
      await expectRefusal(authenticate(token));
    }
    expect(server.requests()).toBe(0);
  });

  it('are one in 30 s for any flood of unknown kids', async () => {
    await using server = await startJwksServer(first.jwk);
    const { authenticate, clock } = setUp(server);
    await authenticate(await signWithKey(goodClaims(clock), first));
    for (const expected of [2, 3, 4]) {
      for (let part = 0; part < 3; part += 1) {
        const tokens = await unknownKids(40, clock);
        await Promise.all(tokens.map((token) => expectRefusal(authenticate(token))));
        for (const token of tokens.slice(0, 5)) await expectRefusal(authenticate(token));
        clock.advance(9_999);
      }
      expect(server.requests()).toBe(expected);
      clock.advance(30_000 - 3 * 9_999);
    }
  });

  it('are one for a flood of unknown kids on a cold start', async () => {
    await using server = await startJwksServer(first.jwk);
    const { authenticate, clock } = setUp(server);
    await Promise.all((await unknownKids(40, clock)).map((token) => expectRefusal(authenticate(token))));
    expect(server.requests()).toBe(1);
  });

  it('are bounded for tokens without kid that no key verifies', async () => {
    await using server = await startJwksServer(first.jwk);
    const { authenticate, clock } = setUp(server);
    const anonymous = await createKey('ES256');
    for (let round = 0; round < 10; round += 1) {
      await expectRefusal(authenticate(await signWithKey(goodClaims(clock, { jti: String(round) }), anonymous)));
    }
    expect(server.requests()).toBe(2);
  });

  it('are none for a known kid with a wrong signature', async () => {
    await using server = await startJwksServer(first.jwk);
    const { authenticate, clock } = setUp(server);
    for (let round = 0; round < 5; round += 1) {
      await expectRefusal(authenticate(await signWithKey(goodClaims(clock), unpublished, { kid: 'first' })));
    }
    expect(server.requests()).toBe(1);
  });
});

describe('rotation', () => {
  it('is noticed at the first token of the new key, and the old key still serves when published', async () => {
    await using server = await startJwksServer(first.jwk);
    const { authenticate, clock } = setUp(server);
    await authenticate(await signWithKey(goodClaims(clock), first));
    server.publish(first.jwk, second.jwk);
    const tokens = await Promise.all([1, 2, 3].map((n) => signWithKey(goodClaims(clock, { jti: `${n}` }), second)));
    await Promise.all(tokens.map((token) => authenticate(token)));
    await expect(authenticate(await signWithKey(goodClaims(clock), first))).resolves.toBeDefined();
    expect(server.requests()).toBe(2);
  });

  it('is noticed for keys without kid', async () => {
    const [older, newer] = [await createKey('EdDSA'), await createKey('EdDSA')];
    await using server = await startJwksServer(older.jwk);
    const { authenticate, clock } = setUp(server);
    await authenticate(await signWithKey(goodClaims(clock), older));
    server.publish(newer.jwk);
    await expect(authenticate(await signWithKey(goodClaims(clock), newer))).resolves.toBeDefined();
  });

  it('ends a withdrawn key with the refresh, also for a token that was seen before', async () => {
    await using server = await startJwksServer(first.jwk, second.jwk);
    const { authenticate, clock, logged } = setUp(server);
    const sign = (key: TestKey) => signWithKey(goodClaims(clock, { exp: clock.seconds() + 3_600 }), key);
    const [withdrawn, kept] = [await sign(first), await sign(second)];
    await authenticate(withdrawn);
    server.publish(second.jwk);
    clock.advance(10 * minute);
    await expect(authenticate(withdrawn)).resolves.toBeDefined();
    expect(server.requests()).toBe(1);
    clock.advance(minute);
    // Answered at once from the keys at hand, while they are fetched anew behind it.
    const loaded = logged('Token keys loaded');
    await expect(authenticate(withdrawn)).resolves.toBeDefined();
    await loaded;
    await expectRefusal(authenticate(withdrawn));
    await expect(authenticate(kept)).resolves.toBeDefined();
    // The kept key is known by its kid, and one background refresh was all.
    expect(server.requests()).toBe(3);
  });

  it('is looked for first where nobody asked for long', async () => {
    await using server = await startJwksServer(first.jwk, second.jwk);
    const { authenticate, clock } = setUp(server);
    const withdrawn = await signWithKey(goodClaims(clock, { exp: clock.seconds() + 7_200 }), first);
    await authenticate(withdrawn);
    server.publish(second.jwk);
    clock.advance(60 * minute);
    await expectRefusal(authenticate(withdrawn));
  });

  it('makes no one verify again when the keys are the same', async () => {
    await using server = await startJwksServer(first.jwk);
    const { authenticate, clock } = setUp(server);
    const token = await signWithKey(goodClaims(clock), first);
    const principal = await authenticate(token);
    await Promise.all((await unknownKids(1, clock)).map((unknown) => expectRefusal(authenticate(unknown))));
    expect(server.requests()).toBe(2);
    expect(await authenticate(token)).toBe(principal);
  });
});

describe('outage', () => {
  const outages: [string, (server: JwksServer) => void][] = [
    ['status 500', (server) => server.answerWith((response) => void response.writeHead(500).end('{"keys":[]}'))],
    ['status 404', (server) => server.answerWith((response) => void response.writeHead(404).end())],
    ['no JSON', (server) => server.answerWith((response) => void response.end('<html>'))],
    ['other JSON', (server) => server.answerWith((response) => void response.end('[]'))],
    ['keys that are no list', (server) => server.answerWith((response) => void response.end('{"keys":{}}'))],
    ['keys that are none', (server) => server.answerWith((response) => void response.end('{"keys":[null,1,"x",[]]}'))],
    ['no key at all', (server) => server.publish()],
    ['a dropped connection', (server) => server.answerWith((response) => void response.destroy())],
    [
      'half an answer',
      (server) =>
        server.answerWith((response) => {
          response.writeHead(200, { 'content-length': 1_000 }).write('{"keys":[');
          setImmediate(() => response.destroy());
        }),
    ],
    [
      'an endless answer',
      (server) =>
        server.answerWith((response) => {
          const more = () => {
            if (!response.destroyed) response.write('x'.repeat(65_536), more);
          };
          more();
        }),
    ],
    [
      'a redirect',
      (server) => server.answerWith((response) => void response.writeHead(302, { location: '/elsewhere' }).end()),
    ],
  ];

  it.each(outages)('with a cold cache is AUTH_UNAVAILABLE, and over with the first good answer: %s', async (_, cut) => {
    await using server = await startJwksServer(first.jwk);
    cut(server);
    const { authenticate, clock, lines } = setUp(server);
    const tokens = await Promise.all(['a', 'b', 'c'].map((sub) => signWithKey(goodClaims(clock, { sub }), first)));
    const errors = await Promise.all(tokens.map((token) => expectRefusal(authenticate(token), 'AUTH_UNAVAILABLE')));
    expect(errors.map((error) => error.retryAfter)).toEqual([1, 1, 1]);
    for (const token of tokens) await expectRefusal(authenticate(token), 'AUTH_UNAVAILABLE');
    expect(server.requests()).toBe(1);
    expect(lines.filter((line) => line.includes('cannot be fetched'))).toHaveLength(1);

    clock.advance(1_000);
    for (const token of tokens) await expectRefusal(authenticate(token), 'AUTH_UNAVAILABLE');
    expect(server.requests()).toBe(2);

    server.publish(first.jwk);
    clock.advance(1_000);
    await Promise.all(tokens.map((token) => authenticate(token)));
    expect(server.requests()).toBe(3);
  });

  it.each(outages)('with a warm cache is not felt by tokens of its keys: %s', async (_, cut) => {
    await using server = await startJwksServer(first.jwk);
    const { authenticate, clock } = setUp(server);
    await authenticate(await signWithKey(goodClaims(clock), first));
    cut(server);
    for (let hour = 0; hour < 5; hour += 1) {
      clock.advance(60 * minute);
      for (let n = 0; n < 5; n += 1) {
        const token = await signWithKey(goodClaims(clock, { jti: `${n}` }), first);
        await expect(authenticate(token)).resolves.toBeDefined();
      }
    }
    expect(server.requests()).toBeLessThanOrEqual(1 + 5);
  });

  it('leaves a token of an unknown key unjudged, and is asked about it once in 30 s', async () => {
    await using server = await startJwksServer(first.jwk);
    const { authenticate, clock } = setUp(server);
    await authenticate(await signWithKey(goodClaims(clock), first));
    server.answerWith((response) => void response.writeHead(503).end());
    const token = await signWithKey(goodClaims(clock), second);
    for (let n = 0; n < 5; n += 1) {
      const error = await expectRefusal(authenticate(token), 'AUTH_UNAVAILABLE');
      expect(error.retryAfter).toBe(30);
    }
    expect(server.requests()).toBe(2);
    server.publish(first.jwk, second.jwk);
    clock.advance(30_000);
    await expect(authenticate(token)).resolves.toBeDefined();
  });

  it('with nobody listening is AUTH_UNAVAILABLE', async () => {
    await using nobody = await holdClosedPort();
    const { authenticate, clock, lines } = setUp({ url: `http://127.0.0.1:${nobody.port}/keys` });
    await expectRefusal(authenticate(await signWithKey(goodClaims(clock), first)), 'AUTH_UNAVAILABLE');
    expect(lines.join()).toContain('ECONNREFUSED');
  });

  it.each(['before the headers', 'within the body'])('that hangs %s is given up after 5 s', async (where) => {
    await using server = await startJwksServer();
    server.answerWith((response) => {
      if (where === 'within the body') response.writeHead(200).write('{"keys":[');
    });
    const { authenticate, clock } = setUp(server);
    const asked = server.nextRequest();
    const call = expectRefusal(authenticate(await signWithKey(goodClaims(clock), first)), 'AUTH_UNAVAILABLE');
    await asked;
    clock.advance(4_999);
    const early = await Promise.race([call, new Promise((resolve) => setImmediate(() => resolve('waiting')))]);
    expect(early).toBe('waiting');
    clock.advance(1);
    await call;
  });
});
