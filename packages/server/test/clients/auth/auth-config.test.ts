import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { checkAuthKeys, splitSecrets } from '../../../src/clients/auth/auth-config.ts';
import { certificate, certifiedToken } from './certificate.ts';
import { asymmetricAlgorithms, createKey, secret, setUp } from './tokens.ts';

const checkSecret = (text: string) => checkAuthKeys({ kind: 'secret', secrets: splitSecrets(text) });
const checkPem = (pem: string) => checkAuthKeys({ kind: 'public-key', pem });

describe('AUTH_JWT_SECRET', () => {
  it('may be one secret of 32 bytes or several', () => {
    expect(checkSecret('x'.repeat(32))).toEqual([]);
    expect(checkSecret('ß'.repeat(16))).toEqual([]);
    expect(checkSecret(`${secret}, ${'y'.repeat(40)}`)).toEqual([]);
    for (let round = 0; round < 50; round += 1) expect(checkSecret(randomBytes(48).toString('base64'))).toEqual([]);
  });

  it('is refused when short, counted in bytes', () => {
    expect(checkSecret('x'.repeat(31))).toEqual(['AUTH_JWT_SECRET has 31 bytes; at least 32 are needed']);
  });

  it('names the entry of the comma list that is short or empty', () => {
    expect(checkSecret(`${secret},short`)).toEqual(['AUTH_JWT_SECRET (entry 2) has 5 bytes; at least 32 are needed']);
    expect(checkSecret(`${secret},`)).toEqual(['AUTH_JWT_SECRET (entry 2) is empty']);
    expect(checkSecret(`${secret},,${secret}`)).toEqual(['AUTH_JWT_SECRET (entry 2) is empty']);
    expect(checkSecret('')).toEqual(['AUTH_JWT_SECRET is empty']);
    expect(checkAuthKeys({ kind: 'secret', secrets: [] })).toHaveLength(1);
  });

  it.each(asymmetricAlgorithms)('is refused when it is a PEM or a JWK (%s)', async (algorithm) => {
    const { pem, privatePem, jwk } = await createKey(algorithm);
    const pemForms = [pem, privatePem, pem.replaceAll('\n', String.raw`\n`), Buffer.from(pem).toString('base64')];
    const bare = pem.replaceAll(/-----.*?-----|\n/g, '');
    for (const text of [...pemForms, bare]) {
      expect(checkSecret(text)).toEqual([expect.stringContaining('AUTH_JWT_SECRET holds a key or certificate')]);
    }
    for (const json of [JSON.stringify(jwk), JSON.stringify({ keys: [jwk] }), JSON.stringify(jwk, null, 2)]) {
      expect(checkSecret(json)).toEqual(['AUTH_JWT_SECRET holds JSON (a JWK?), which is no shared secret']);
    }
    expect(checkSecret(`${secret},${pem}`)).toEqual([expect.stringContaining('(entry 2) holds a key')]);
  });

  it('is refused when it is a symmetric JWK', () => {
    expect(checkSecret(JSON.stringify({ kty: 'oct', k: randomBytes(32).toString('base64url') }))).toHaveLength(1);
  });
});

describe('AUTH_JWT_PUBLIC_KEY', () => {
  it.each(asymmetricAlgorithms)('may be a PEM public key for %s', async (algorithm) => {
    expect(checkPem((await createKey(algorithm)).pem)).toEqual([]);
  });

  it('may be a certificate', async () => {
    expect(checkPem(certificate)).toEqual([]);
    const { authenticate } = setUp({ kind: 'public-key', pem: certificate });
    expect((await authenticate(certifiedToken)).userId).toBe('user-1');
  });

  it.each(asymmetricAlgorithms)('is refused when it is a private key (%s)', async (algorithm) => {
    const { pem, privatePem } = await createKey(algorithm);
    const problem = 'AUTH_JWT_PUBLIC_KEY holds a private key; configure only its public half';
    expect(checkPem(privatePem)).toEqual([problem]);
    expect(checkPem(pem + privatePem)).toEqual([problem]);
  });

  it('is refused when it is a private key in an older form', () => {
    const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;
    const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
    for (const pem of [rsa.export({ format: 'pem', type: 'pkcs1' }), ec.export({ format: 'pem', type: 'sec1' })]) {
      expect(checkPem(pem.toString())).toEqual([expect.stringContaining('holds a private key')]);
    }
  });

  it('is refused when it cannot do RS256, ES256 or EdDSA', () => {
    const spki = { format: 'pem', type: 'spki' } as const;
    const publicPems = [
      generateKeyPairSync('rsa', { modulusLength: 1024 }).publicKey.export(spki),
      generateKeyPairSync('rsa-pss', { modulusLength: 2048 }).publicKey.export(spki),
      generateKeyPairSync('ec', { namedCurve: 'P-384' }).publicKey.export(spki),
      generateKeyPairSync('ec', { namedCurve: 'secp256k1' }).publicKey.export(spki),
      generateKeyPairSync('ed448').publicKey.export(spki),
      generateKeyPairSync('x25519').publicKey.export(spki),
    ];
    for (const pem of publicPems) expect(checkPem(pem.toString())).toHaveLength(1);
  });

  it('is refused when it is no PEM, a broken one or more than one', async () => {
    const { pem } = await createKey('ES256');
    const [head = '', ...rest] = pem.split('\n');
    const broken = [head, 'AAAA', ...rest].join('\n');
    for (const text of ['', 'secret', secret, '{"kty":"RSA"}', head, broken, pem + pem]) {
      expect(checkPem(text), text).toHaveLength(1);
    }
  });
});

describe('AUTH_JWKS_URL', () => {
  it('is an http or https URL without credentials', () => {
    const check = (url: string) => checkAuthKeys({ kind: 'jwks', url });
    expect(check('https://auth.example/.well-known/jwks.json')).toEqual([]);
    expect(check('http://127.0.0.1:4000/keys')).toEqual([]);
    for (const url of ['', 'auth.example/keys', 'file:///etc/keys', 'ftp://auth.example']) {
      expect(check(url)).toEqual(['AUTH_JWKS_URL is not an http or https URL']);
    }
    expect(check('https://user:hunter2@auth.example')).toEqual([expect.not.stringContaining('hunter2')]);
  });
});

describe('problems', () => {
  it('never repeat the key', () => {
    expect(checkSecret('hunter2,hunter3').join()).not.toContain('hunter');
    expect(checkPem('hunter2').join()).not.toContain('hunter');
  });

  it('keep the service from verifying anything', () => {
    const build = () => setUp({ kind: 'secret', secrets: ['short'] });
    expect(build).toThrow('AUTH_JWT_SECRET has 5 bytes');
  });
});
