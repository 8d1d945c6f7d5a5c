import { decodeProtectedHeader, errors, jwtVerify, type JWTPayload } from 'jose';
import { LRUCache } from 'lru-cache';
import type { Clock } from '../../platform/clock.ts';
import type { Logger } from '../../platform/logger.ts';
import { ServiceError } from '../../platform/service-error.ts';
import { checkAuthKeys, type AuthConfig } from './auth-config.ts';
import { JwksKeys } from './jwks-keys.ts';
import { createStaticKeys, type VerificationKey } from './key-source.ts';
import { clockToleranceSeconds, type Authenticate, type Principal } from './principal.ts';
import { readClaims } from './read-claims.ts';

export interface AuthenticateOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  /** Used for the key set alone. @default globalThis.fetch */
  readonly fetch?: typeof globalThis.fetch;
}

interface Verified {
  readonly principal: Principal;
  /** Milliseconds since the epoch. */
  readonly validUntil: number;
  /** Of the key that verified it. */
  readonly keyVersion: number;
}

/** How long a verification is taken on trust; also the longest that nobody looks at the age of the key set. */
const trustMs = 60_000;
const maxVerified = 10_000;
/** Bounds the memory that large tokens take: tokens have about a thousand characters. */
const maxVerifiedCharacters = 16 * 1024 * 1024;
/** More than any HTTP server takes in its headers by default. */
const maxTokenLength = 16 * 1024;

/**
 * Verifies the Auth Service's tokens with the configured keys. A token verified within the last minute is looked up
 * under its exact text instead: only what verified is ever entered, so that no other text can hit or push it out.
 * @throws Error when `checkAuthKeys` finds a problem.
 */
export function createAuthenticate(config: AuthConfig, options: AuthenticateOptions): Authenticate {
  const problems = checkAuthKeys(config);
  if (problems.length > 0) throw new Error(problems.join('; '));
  const { clock, logger, fetch = globalThis.fetch } = options;
  const keys =
    config.kind === 'jwks' ? new JwksKeys({ url: config.url, clock, logger, fetch }) : createStaticKeys(config);
  const verified = new LRUCache<string, Verified>({
    max: maxVerified,
    maxSize: maxVerifiedCharacters,
    sizeCalculation: (_, token) => token.length,
  });

  async function verify(token: string): Promise<Verified> {
    if (!isCanonical(token)) throw new RefusedToken('malformed');
    const { alg, kid } = decodeProtectedHeader(token);
    if (typeof alg !== 'string' || (kid !== undefined && typeof kid !== 'string')) throw new RefusedToken('malformed');
    for await (const key of keys.candidates(alg, kid)) {
      const claims = await claimsIfSignedBy(key, token);
      if (claims === undefined) continue;
      const principal = readClaims(claims, config);
      if (principal === undefined) throw new RefusedToken('unusable sub or exp');
      const expiry = (principal.expiresAt + clockToleranceSeconds) * 1_000;
      return { principal, validUntil: Math.min(expiry, clock.now() + trustMs), keyVersion: key.version };
    }
    throw new RefusedToken('no key verifies it');
  }

  /** Undefined when another key may have signed it; throws when it is this key's and no good. */
  async function claimsIfSignedBy(key: VerificationKey, token: string): Promise<JWTPayload | undefined> {
    try {
      const { payload } = await jwtVerify(token, key.key, {
        algorithms: [key.algorithm],
        requiredClaims: ['sub', 'exp'],
        clockTolerance: clockToleranceSeconds,
        currentDate: new Date(clock.now()),
        ...(config.issuer !== undefined && { issuer: config.issuer }),
        ...(config.audience !== undefined && { audience: config.audience }),
      });
      return payload;
    } catch (error) {
      if (error instanceof errors.JWSSignatureVerificationFailed) return undefined;
      throw error;
    }
  }

  return async (token) => {
    const seen = verified.get(token);
    if (seen !== undefined) {
      if (clock.now() < seen.validUntil && seen.keyVersion === keys.version) return seen.principal;
      verified.delete(token);
    }
    try {
      const entry = await verify(token);
      verified.set(token, entry);
      return entry.principal;
    } catch (error) {
      if (error instanceof ServiceError && error.code === 'AUTH_UNAVAILABLE') throw error;
      // Neither the token nor its claims: what jose throws carries the payload.
      logger.debug({ reason: reasonOf(error) }, 'Token refused.');
      throw new ServiceError('UNAUTHORIZED', { detail: 'The token is missing, expired or not valid here.' });
    }
  };
}

/** Its message is one of ours, fit for the log. */
class RefusedToken extends Error {}

/** A fixed word, never text from the token. */
function reasonOf(error: unknown): string {
  if (error instanceof RefusedToken) return error.message;
  if (error instanceof errors.JWTClaimValidationFailed || error instanceof errors.JWTExpired) {
    return `${error.code} ${error.claim}`;
  }
  if (error instanceof errors.JOSEError) return error.code;
  return error instanceof Error ? error.name : 'unknown';
}

const compactForm = /^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$/;

/** Ends of an encoding whose unused bits are zero, by its length modulo 4; none has the length 1. */
const canonicalEnds: readonly (RegExp | undefined)[] = [/./, undefined, /[AQgw]$/, /[AEIMQUYcgkosw048]$/];

/**
 * One token, one text: base64url decoders overlook spaces, padding and the unused bits of the last character, so that
 * a signature could be spelt in several ways. (Header and payload are signed as they are spelt.)
 */
function isCanonical(token: string): boolean {
  if (token.length > maxTokenLength || !compactForm.test(token)) return false;
  const signature = token.slice(token.lastIndexOf('.') + 1);
  return canonicalEnds[signature.length % 4]?.test(signature) === true;
}
