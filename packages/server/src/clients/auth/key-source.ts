import type { CryptoKey } from 'jose';
import type { KeyObject } from 'node:crypto';
import type { AuthKeys } from './auth-config.ts';
import { readPublicKey, type PublicKeyAlgorithm } from './public-key.ts';

export type TokenAlgorithm = 'HS256' | PublicKeyAlgorithm;

/** A key together with the only algorithm it may be used for: what a token's header says never widens that. */
export interface VerificationKey {
  readonly algorithm: TokenAlgorithm;
  readonly key: CryptoKey | KeyObject | Uint8Array;
  /** `KeySource.version` as it was when this key came in. */
  readonly version: number;
}

export interface KeySource {
  /** Rises whenever the keys change: what was verified under another version has to be verified again. */
  readonly version: number;
  /**
   * The keys that may have signed a token with this header, likeliest first.
   * @throws ServiceError `AUTH_UNAVAILABLE` when the keys cannot be had.
   */
  candidates(algorithm: string, keyId: string | undefined): AsyncIterable<VerificationKey> | Iterable<VerificationKey>;
}

/** Keys that stand in the configuration; a token's `kid` says nothing about them. */
export function createStaticKeys(keys: Exclude<AuthKeys, { kind: 'jwks' }>): KeySource {
  const version = 0;
  const known = readKeys(keys).map((key) => ({ ...key, version }));
  return { version, candidates: (algorithm) => known.filter((key) => key.algorithm === algorithm) };
}

function readKeys(keys: Exclude<AuthKeys, { kind: 'jwks' }>): Omit<VerificationKey, 'version'>[] {
  if (keys.kind === 'secret') {
    return keys.secrets.map((secret) => ({ algorithm: 'HS256', key: Buffer.from(secret, 'utf8') }));
  }
  const read = readPublicKey(keys.pem);
  if (!read.ok) throw new Error(`The public key ${read.problem}.`);
  return [{ algorithm: read.algorithm, key: read.key }];
}
