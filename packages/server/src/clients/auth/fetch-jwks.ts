import { importJWK, type CryptoKey, type JWK } from 'jose';
import type { Clock } from '../../platform/clock.ts';
import { readBoundedText } from '../../platform/read-bounded-text.ts';
import { minRsaBits, type PublicKeyAlgorithm } from './public-key.ts';

export interface JwksKey {
  readonly algorithm: PublicKeyAlgorithm;
  readonly keyId: string | undefined;
  readonly key: CryptoKey;
}

const timeoutMs = 5_000;
/** Key sets are a few kilobytes; one with certificate chains some dozens. */
const maxBytes = 512 * 1024;
/** Bounds what one token without `kid` can cost. */
const maxKeys = 100;

/** Fetches the key set's text. Rejects with an Error in our own words, fit for the log, on anything but a full 200. */
export async function fetchJwks(url: string, clock: Clock, fetch: typeof globalThis.fetch): Promise<string> {
  const controller = new AbortController();
  const cancelTimeout = clock.after(timeoutMs, () => controller.abort(new Error(`no answer in ${timeoutMs} ms`)));
  try {
    const response = await fetch(url, {
      signal: controller.signal,
      // Not followed: whom to trust is what the operator wrote, not what a redirect says.
      redirect: 'manual',
      headers: { accept: 'application/jwk-set+json, application/json' },
    });
    if (response.status !== 200) {
      const hint = response.status >= 300 && response.status < 400 ? '; redirects are not followed' : '';
      throw new Error(`the answer's status is ${response.status}${hint}`);
    }
    const text = await readBoundedText(response, maxBytes);
    if (text === null) throw new Error(`the answer is larger than ${maxBytes} bytes`);
    return text;
  } finally {
    cancelTimeout();
    // Ends a response that was not read to its end; does nothing to one that was.
    controller.abort();
  }
}

/**
 * The keys of a key set that can verify tokens here; other kinds (encryption keys, secrets, private or weak keys) are
 * left out, as a set may serve other readers too. Rejects when none is left: a service without a key can issue
 * nothing, so that is a fault of the answer and no revocation of all keys.
 */
export async function readJwks(text: string): Promise<JwksKey[]> {
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    throw new Error('the answer is not JSON');
  }
  const listed = isObject(body) ? body['keys'] : undefined;
  if (!Array.isArray(listed)) throw new Error('the answer is not a key set');
  const read = await Promise.all(listed.slice(0, maxKeys).map(readKey));
  const keys = read.filter((key) => key !== undefined);
  if (keys.length === 0) throw new Error('the key set holds no key for RS256, ES256 or EdDSA');
  return keys;
}

async function readKey(jwk: unknown): Promise<JwksKey | undefined> {
  if (!isObject(jwk)) return undefined;
  const algorithm = algorithmOf(jwk);
  const { kid, alg, use, key_ops: operations } = jwk;
  if (algorithm === undefined || (alg !== undefined && alg !== algorithm)) return undefined;
  if (kid !== undefined && typeof kid !== 'string') return undefined;
  if (use !== undefined && use !== 'sig') return undefined;
  if (operations !== undefined && !(Array.isArray(operations) && operations.includes('verify'))) return undefined;
  try {
    const key = await importJWK(jwk as JWK, algorithm);
    // A private key that is published is everyone's key.
    if (key instanceof Uint8Array || key.type !== 'public' || isWeak(key)) return undefined;
    return { algorithm, keyId: kid, key };
  } catch {
    return undefined;
  }
}

function algorithmOf(jwk: Record<string, unknown>): PublicKeyAlgorithm | undefined {
  const { kty, crv } = jwk;
  if (kty === 'RSA') return 'RS256';
  if (kty === 'EC' && crv === 'P-256') return 'ES256';
  if (kty === 'OKP' && crv === 'Ed25519') return 'EdDSA';
  return undefined;
}

function isWeak(key: CryptoKey): boolean {
  const { algorithm } = key;
  return 'modulusLength' in algorithm && Number(algorithm.modulusLength) < minRsaBits;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
