import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { base64url } from 'jose';
import { describe, expect, it } from 'vitest';
import { seed } from '../../../../shared/test/support/seed.ts';
import {
  assemble,
  asymmetricAlgorithms,
  createKey,
  expectRefusal,
  goodClaims,
  secret,
  setUp,
  signUnchecked,
  signWithKey,
  signWithSecret,
} from './tokens.ts';

const secretKeys = { kind: 'secret', secrets: [secret] } as const;

describe('shared secret', () => {
  it('verifies HS256', async () => {
    const { authenticate, clock } = setUp(secretKeys);
    const principal = await authenticate(await signWithSecret(goodClaims(clock)));
    expect(principal).toEqual({
      userId: 'user-1',
      username: null,
      email: null,
      role: 'enduser',
      plan: 'free',
      issuedAt: clock.seconds(),
      expiresAt: clock.seconds() + 300,
    });
  });

  it('tries each secret of a rotation', async () => {
    const older = 'the secret that is on its way out ......';
    const { authenticate, clock } = setUp({ kind: 'secret', secrets: [secret, older] });
    for (const key of [secret, older]) {
      await expect(authenticate(await signWithSecret(goodClaims(clock), key))).resolves.toBeDefined();
    }
    await expectRefusal(
      authenticate(await signWithSecret(goodClaims(clock), 'neither of the two, though long enough')),
    );
  });

  it.each(['HS384', 'HS512'])('refuses %s with the right secret', async (alg) => {
    const { authenticate, clock } = setUp(secretKeys);
    await expectRefusal(authenticate(await signWithSecret(goodClaims(clock), secret, { alg })));
  });

  it('refuses a token of a key pair', async () => {
    const { authenticate, clock } = setUp(secretKeys);
    await expectRefusal(authenticate(await signWithKey(goodClaims(clock), await createKey('RS256'))));
  });
});

describe.each(asymmetricAlgorithms)('public key for %s', (algorithm) => {
  it('verifies its own algorithm', async () => {
    const key = await createKey(algorithm);
    const { authenticate, clock } = setUp({ kind: 'public-key', pem: key.pem });
    const token = await signWithKey(goodClaims(clock), key, { kid: 'whatever' });
    expect((await authenticate(token)).userId).toBe('user-1');
  });

  it('reads a PEM whose line breaks are written as two characters', async () => {
    const key = await createKey(algorithm);
    const { authenticate, clock } = setUp({ kind: 'public-key', pem: key.pem.replaceAll('\n', String.raw`\n`) });
    await expect(authenticate(await signWithKey(goodClaims(clock), key))).resolves.toBeDefined();
  });

  it('refuses every other algorithm, HS256 keyed with the PEM included', async () => {
    const key = await createKey(algorithm);
    const { authenticate, clock } = setUp({ kind: 'public-key', pem: key.pem });
    for (const other of asymmetricAlgorithms.filter((name) => name !== algorithm)) {
      await expectRefusal(authenticate(await signWithKey(goodClaims(clock), await createKey(other))));
    }
    for (const text of [key.pem, key.pem.trim(), `${key.pem.trim()}\n`]) {
      await expectRefusal(authenticate(await signWithSecret(goodClaims(clock), text)));
    }
  });

  it('refuses another key of the same kind', async () => {
    const { authenticate, clock } = setUp({ kind: 'public-key', pem: (await createKey(algorithm)).pem });
    await expectRefusal(authenticate(await signWithKey(goodClaims(clock), await createKey(algorithm))));
  });
});

describe('public key', () => {
  it('refuses other algorithms that the same key could do', async () => {
    const key = await createKey('PS256');
    const { authenticate, clock } = setUp({ kind: 'public-key', pem: key.pem });
    await expectRefusal(authenticate(await signWithKey(goodClaims(clock), key)));
  });
});

describe('alg none', () => {
  it.each(['none', 'None', 'NONE', 'nOnE', '', undefined, null, 0, ['HS256'], {}])('refuses %j', async (alg) => {
    const key = await createKey('RS256');
    for (const keys of [secretKeys, { kind: 'public-key', pem: key.pem } as const]) {
      const { authenticate, clock } = setUp(keys);
      const claims = goodClaims(clock);
      for (const signature of ['', 'AAAA']) {
        await expectRefusal(authenticate(assemble({ alg, typ: 'JWT' }, claims, signature)));
      }
      await expectRefusal(authenticate(assemble({ alg }, claims, '').slice(0, -1)));
    }
  });
});

describe('claims that are checked', () => {
  it.each(['sub', 'exp'])('requires %s', async (name) => {
    const { authenticate, clock } = setUp(secretKeys);
    await expectRefusal(authenticate(await signWithSecret(goodClaims(clock, { [name]: undefined }))));
  });

  it.each(['', 7, null, ['user-1'], { id: 1 }, 'a\u0000b', '\ud800', 'x'.repeat(256), '😀'.repeat(256)])(
    'refuses sub %j',
    async (sub) => {
      const { authenticate, clock } = setUp(secretKeys);
      await expectRefusal(authenticate(signUnchecked({ alg: 'HS256' }, { ...goodClaims(clock), sub })));
    },
  );

  it.each(['x', 'x'.repeat(255), '😀'.repeat(255), 'auth0|5f7c8ec7c33c6c004bbafe82', 'Ünïcode nutzer'])(
    'takes sub %j',
    async (sub) => {
      const { authenticate, clock } = setUp(secretKeys);
      expect((await authenticate(await signWithSecret(goodClaims(clock, { sub })))).userId).toBe(sub);
    },
  );

  it.each(['soon', null, true, [1], 1e300])('refuses exp %j', async (exp) => {
    const { authenticate, clock } = setUp(secretKeys);
    await expectRefusal(authenticate(signUnchecked({ alg: 'HS256' }, { ...goodClaims(clock), exp })));
  });

  it('takes a token until 30 s after exp by the clock given, and no longer', async () => {
    const { authenticate, clock } = setUp(secretKeys);
    const sign = (exp: number) => signWithSecret(goodClaims(clock, { exp: clock.seconds() + exp }));
    await expect(authenticate(await sign(-29))).resolves.toBeDefined();
    await expectRefusal(authenticate(await sign(-30)));
    await expectRefusal(authenticate(await sign(-3_600)));
  });

  it('takes a token from 30 s before nbf, and no sooner', async () => {
    const { authenticate, clock } = setUp(secretKeys);
    const sign = (nbf: number) => signWithSecret(goodClaims(clock, { nbf: clock.seconds() + nbf }));
    await expect(authenticate(await sign(30))).resolves.toBeDefined();
    const early = await sign(31);
    await expectRefusal(authenticate(early));
    clock.advance(1_000);
    await expect(authenticate(early)).resolves.toBeDefined();
  });

  it('checks iss where one is configured', async () => {
    const { authenticate, clock } = setUp(secretKeys, { issuer: 'https://auth.example' });
    const sign = (iss?: string) => signWithSecret(goodClaims(clock, iss === undefined ? {} : { iss }));
    await expect(authenticate(await sign('https://auth.example'))).resolves.toBeDefined();
    for (const iss of [undefined, '', 'https://auth.example/', 'https://other.example']) {
      await expectRefusal(authenticate(await sign(iss)));
    }
  });

  it('checks aud where one is configured, as string and in an array', async () => {
    const { authenticate, clock } = setUp(secretKeys, { audience: 'chat' });
    const sign = (aud?: string | string[]) => signWithSecret(goodClaims(clock, aud === undefined ? {} : { aud }));
    for (const aud of ['chat', ['mail', 'chat']]) await expect(authenticate(await sign(aud))).resolves.toBeDefined();
    for (const aud of [undefined, '', 'chatter', [], ['mail']]) await expectRefusal(authenticate(await sign(aud)));
  });

  it('asks for neither where none is configured', async () => {
    const { authenticate, clock } = setUp(secretKeys);
    const token = await signWithSecret(goodClaims(clock, { iss: 'anyone', aud: 'anything' }));
    await expect(authenticate(token)).resolves.toBeDefined();
  });

  it('refuses an unknown critical header', async () => {
    const { authenticate, clock } = setUp(secretKeys);
    await expect(authenticate(signUnchecked({ alg: 'HS256' }, goodClaims(clock)))).resolves.toBeDefined();
    await expectRefusal(authenticate(signUnchecked({ alg: 'HS256', crit: ['x'], x: 1 }, goodClaims(clock))));
  });
});

describe('texts that are no token', () => {
  it('are refused, and never with another error', async () => {
    const key = await createKey('ES256');
    const { authenticate, clock } = setUp({ kind: 'public-key', pem: key.pem });
    const good = await signWithKey(goodClaims(clock), key);
    const part = fc.oneof(
      fc.base64String().map((text) => text.replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '')),
      fc.json().map((text) => base64url.encode(text)),
      fc.constantFrom(...good.split('.'), '', base64url.encode('{"alg":"ES256"}'), base64url.encode('null')),
    );
    const text = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.array(part, { maxLength: 6 }).map((parts) => parts.join('.')),
      fc
        .tuple(fc.nat(good.length), fc.string({ minLength: 1, unit: 'binary' }))
        .map(([at, noise]) => good.slice(0, at) + noise + good.slice(at)),
    );
    await fc.assert(
      fc.asyncProperty(text, async (token) => {
        fc.pre(token !== good);
        await expectRefusal(authenticate(token));
      }),
      { seed, numRuns: 600 },
    );
  });

  it.each(['', ' ', '.', '..', 'a.b', 'a.b.c', 'a.b.c.d.e', 'null', '\u0000', 'Bearer x', 'x'.repeat(100_000)])(
    'refuses %j',
    async (token) => {
      await expectRefusal(setUp(secretKeys).authenticate(token));
    },
  );
});

describe('a token that was tampered with', () => {
  it.each(['HS256', ...asymmetricAlgorithms])(
    'is refused wherever a character of it is changed (%s)',
    async (algorithm) => {
      const key = algorithm === 'HS256' ? undefined : await createKey(algorithm);
      const { authenticate, clock } = setUp(key === undefined ? secretKeys : { kind: 'public-key', pem: key.pem });
      const claims = goodClaims(clock, { role: 'enduser' });
      const token = await (key === undefined ? signWithSecret(claims) : signWithKey(claims, key));
      // Known to the cache, so that a tampered twin has every chance to hit it.
      await authenticate(token);
      const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
      for (let at = 0; at < token.length; at += 1) {
        const old = token.charAt(at);
        if (old === '.') continue;
        // The nearest neighbour differs in the lowest bit alone, which some decoders drop at the end of a part.
        const changed = alphabet.charAt(alphabet.indexOf(old) ^ 1);
        await expectRefusal(authenticate(token.slice(0, at) + changed + token.slice(at + 1)));
      }
      await expect(authenticate(token)).resolves.toBeDefined();
    },
  );

  it('is refused in every other spelling of its signature', async () => {
    const { authenticate, clock } = setUp(secretKeys);
    const token = await signWithSecret(goodClaims(clock));
    await authenticate(token);
    const standard = token.replaceAll('-', '+').replaceAll('_', '/');
    const spellings = [`${token}=`, `${token} `, ` ${token}`, `${token}\n`, `${token.slice(0, -3)} ${token.slice(-3)}`];
    for (const spelling of [...spellings, ...(standard === token ? [] : [standard])]) {
      await expectRefusal(authenticate(spelling));
    }
  });

  it('is refused with the claims of one token and the signature of another', async () => {
    const { authenticate, clock } = setUp(secretKeys);
    const mine = (await signWithSecret(goodClaims(clock, { sub: 'mallory' }))).split('.');
    const theirs = (await signWithSecret(goodClaims(clock, { sub: 'alice' }))).split('.');
    await expectRefusal(authenticate([mine[0], theirs[1], mine[2]].join('.')));
  });
});

describe('a token seen before', () => {
  it('answers the same principal without verifying again', async () => {
    const { authenticate, clock } = setUp(secretKeys);
    const token = await signWithSecret(goodClaims(clock));
    const first = await authenticate(token);
    expect(await authenticate(token)).toBe(first);
    expect(Object.isFrozen(first)).toBe(true);
    clock.advance(60_000);
    const later = await authenticate(token);
    expect(later).not.toBe(first);
    expect(later).toEqual(first);
  });

  it('is refused from exp plus tolerance on', async () => {
    const { authenticate, clock } = setUp(secretKeys);
    const token = await signWithSecret(goodClaims(clock, { exp: clock.seconds() + 10 }));
    await authenticate(token);
    clock.advance(39_999);
    await expect(authenticate(token)).resolves.toBeDefined();
    clock.advance(1);
    await expectRefusal(authenticate(token));
  });

  it('does not make an expired or forged one count', async () => {
    const { authenticate, clock } = setUp(secretKeys);
    const expired = await signWithSecret(goodClaims(clock, { exp: clock.seconds() - 60 }));
    const forged = await signWithSecret(goodClaims(clock), 'some other secret that is long enough, too');
    for (const token of [expired, forged, expired, forged]) await expectRefusal(authenticate(token));
  });
});

describe('what is told', () => {
  it('is the same sentence for every refusal, and the log has no token and no claim', async () => {
    const { authenticate, clock, lines } = setUp(secretKeys, { issuer: 'https://auth.example' });
    const canary = randomBytes(12).toString('hex');
    const tokens = [
      canary,
      await signWithSecret(goodClaims(clock, { sub: canary, iss: canary })),
      await signWithSecret(goodClaims(clock, { sub: canary, exp: 1, iss: 'https://auth.example' })),
      await signWithSecret(goodClaims(clock, { sub: canary }), 'some other secret that is long enough, too'),
    ];
    const errors = await Promise.all(tokens.map((token) => expectRefusal(authenticate(token))));
    expect(new Set(errors.map((error) => error.detail)).size).toBe(1);
    expect(errors.every((error) => error.cause === undefined)).toBe(true);
    expect(lines).toHaveLength(tokens.length);
    for (const text of [canary, ...tokens]) expect(lines.join('\n')).not.toContain(text);
  });
});
