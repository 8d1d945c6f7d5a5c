import { createHmac } from 'node:crypto';
import { EventEmitter, on } from 'node:events';
import {
  exportJWK,
  exportPKCS8,
  exportSPKI,
  generateKeyPair,
  SignJWT,
  type CryptoKey,
  type JWK,
  type JWTHeaderParameters,
  type JWTPayload,
} from 'jose';
import { expect } from 'vitest';
import type { AuthConfig, AuthKeys } from '../../../src/clients/auth/auth-config.ts';
import { createAuthenticate } from '../../../src/clients/auth/verify-token.ts';
import type { Principal } from '../../../src/clients/auth/principal.ts';
import type { Logger } from '../../../src/platform/logger.ts';
import { ServiceError } from '../../../src/platform/service-error.ts';
import { createManualClock, type ManualClock } from './manual-clock.ts';

export type AsymmetricAlgorithm = 'RS256' | 'ES256' | 'EdDSA';
export const asymmetricAlgorithms: readonly AsymmetricAlgorithm[] = ['RS256', 'ES256', 'EdDSA'];

export const secret = 'a secret of more than thirty-two bytes: ß';

export interface TestKey {
  readonly algorithm: string;
  readonly signWith: CryptoKey;
  readonly jwk: JWK;
  readonly pem: string;
  readonly privatePem: string;
}

export async function createKey(algorithm: string, kid?: string, bits = 2048): Promise<TestKey> {
  const { publicKey, privateKey } = await generateKeyPair(algorithm, { extractable: true, modulusLength: bits });
  return {
    algorithm,
    signWith: privateKey,
    jwk: { ...(await exportJWK(publicKey)), ...(kid !== undefined && { kid }) },
    pem: await exportSPKI(publicKey),
    privatePem: await exportPKCS8(privateKey),
  };
}

/** Claims that nothing is wrong with, five minutes to go. */
export function goodClaims(clock: ManualClock, more: JWTPayload = {}): JWTPayload {
  return { sub: 'user-1', iat: clock.seconds(), exp: clock.seconds() + 300, ...more };
}

export function signWithSecret(claims: JWTPayload, key = secret, header: Partial<JWTHeaderParameters> = {}) {
  return new SignJWT(claims).setProtectedHeader({ alg: 'HS256', ...header }).sign(Buffer.from(key));
}

export function signWithKey(claims: JWTPayload, key: TestKey, header: Partial<JWTHeaderParameters> = {}) {
  const { kid } = key.jwk;
  return new SignJWT(claims)
    .setProtectedHeader({ alg: key.algorithm, ...(kid !== undefined && { kid }), ...header })
    .sign(key.signWith);
}

/** The same key, published and used without a `kid`. */
export function withoutKid(key: TestKey): TestKey {
  const { kid: _, ...jwk } = key.jwk;
  return { ...key, jwk };
}

/** HS256 over a header and claims that jose itself would not sign. */
export function signUnchecked(header: unknown, claims: unknown): string {
  const input = assemble(header, claims, '').slice(0, -1);
  return `${input}.${createHmac('sha256', secret).update(input).digest('base64url')}`;
}

/** Any header and claims at all, with a signature of the caller's. */
export function assemble(header: unknown, claims: unknown, signature = 'AAAA'): string {
  const encode = (part: unknown) => Buffer.from(JSON.stringify(part)).toString('base64url');
  return `${encode(header)}.${encode(claims)}.${signature}`;
}

/** The service's side: an authenticate function, its clock, every line that it logged, and the next one with a text. */
export function setUp(keys: AuthKeys, more: Partial<Omit<AuthConfig, keyof AuthKeys>> = {}) {
  const clock = createManualClock();
  const lines: string[] = [];
  const written = new EventEmitter();
  const write = (...line: unknown[]) => {
    lines.push(JSON.stringify(line));
    written.emit('line', lines.at(-1));
  };
  const logged = async (text: string) => {
    for await (const [line] of on(written, 'line')) if (String(line).includes(text)) return;
  };
  const logger: Logger = { debug: write, info: write, warn: write, error: write, fatal: write };
  const authenticate = createAuthenticate(
    { roleClaim: 'role', planClaim: 'plan', ...keys, ...more },
    { clock, logger },
  );
  return { authenticate, clock, lines, logged };
}

/** Passes when the call was refused with `code`, and hands the error back. */
export async function expectRefusal(call: Promise<Principal>, code: ServiceError['code'] = 'UNAUTHORIZED') {
  const outcome = await call.then(
    (principal) => ({ principal }),
    (error: unknown) => error,
  );
  if (!(outcome instanceof ServiceError)) return expect.fail(`not refused with a ServiceError: ${String(outcome)}`);
  expect(outcome.code).toBe(code);
  return outcome;
}
