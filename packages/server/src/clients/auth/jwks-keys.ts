import type { Clock } from '../../platform/clock.ts';
import type { Logger } from '../../platform/logger.ts';
import { ServiceError } from '../../platform/service-error.ts';
import { fetchJwks, readJwks, type JwksKey } from './fetch-jwks.ts';
import type { KeySource, VerificationKey } from './key-source.ts';
import type { PublicKeyAlgorithm } from './public-key.ts';

export interface JwksKeysOptions {
  readonly url: string;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly fetch: typeof globalThis.fetch;
}

/** Older keys are fetched again, in the background, while they go on serving. */
const refreshAfterMs = 10 * 60_000;
/** Keys this old were asked for by nobody in between, and may be long withdrawn: they are fetched before they serve. */
const staleAfterMs = 2 * refreshAfterMs;
/** An unknown `kid` costs its sender nothing, so that it may cause one fetch in this time, however many come. */
const unknownKeyCooldownMs = 30_000;
/** After a failed fetch, while there are keys to serve with. */
const retryRefreshMs = 30_000;
/** After a failed fetch while there are none: every request is refused meanwhile, so soon, but not at each of them. */
const retryFirstMs = 1_000;

const algorithms: ReadonlySet<string> = new Set<PublicKeyAlgorithm>(['RS256', 'ES256', 'EdDSA']);

type KeySet = readonly (VerificationKey & Pick<JwksKey, 'keyId'>)[];

/**
 * The keys that the Auth Service publishes. There is at most one fetch at any time, shared by all who wait for it, and
 * keys once had serve through an outage of any length. A token whose key is not among them is refused, or, where the
 * latest fetch failed and so nobody can say whether its key exists, answered `AUTH_UNAVAILABLE`.
 */
export class JwksKeys implements KeySource {
  version = 0;
  readonly #options: JwksKeysOptions;
  #keys: KeySet | undefined;
  /** What `#keys` was read from: an unchanged answer changes no version. */
  #text = '';
  #loadedAt = 0;
  /** When the latest fetch failed; undefined when it succeeded. */
  #failedAt: number | undefined;
  #unknownKeyAt: number | undefined;
  #loading: Promise<void> | undefined;

  constructor(options: JwksKeysOptions) {
    this.#options = options;
  }

  async *candidates(algorithm: string, keyId: string | undefined): AsyncGenerator<VerificationKey, void> {
    if (!algorithms.has(algorithm)) return;
    const matching = (keys: KeySet) =>
      keys.filter((key) => key.algorithm === algorithm && (keyId === undefined || key.keyId === keyId));

    const isFresh = this.#keys === undefined;
    const keys = await this.#current();
    const known = matching(keys);
    yield* known;
    // Who is still here was verified by none of them. With a known `kid` that is final; without one the key may be new.
    if (isFresh || (keyId !== undefined && known.length > 0)) return;
    const newer = await this.#newerThan(keys);
    if (newer !== undefined) yield* matching(newer);
  }

  async #current(): Promise<KeySet> {
    if (this.#keys === undefined) {
      if (this.#loading === undefined && this.#since(this.#failedAt) < retryFirstMs) throw this.#unavailable();
      await this.#load();
      if (this.#keys === undefined) throw this.#unavailable();
      return this.#keys;
    }
    const age = this.#since(this.#loadedAt);
    if (age > refreshAfterMs && this.#since(this.#failedAt) >= retryRefreshMs) {
      const mustWait = age > staleAfterMs && this.#failedAt === undefined;
      const loading = this.#load();
      if (mustWait) await loading;
    }
    return this.#keys;
  }

  /** Keys fetched after `keys`, or undefined when there are none and none may be fetched now. */
  async #newerThan(keys: KeySet): Promise<KeySet | undefined> {
    if (this.#keys === keys) {
      if (this.#loading === undefined && this.#since(this.#unknownKeyAt) >= unknownKeyCooldownMs) {
        this.#unknownKeyAt = this.#options.clock.now();
        await this.#load();
      } else {
        await this.#loading;
      }
      if (this.#failedAt !== undefined) throw this.#unavailable();
    }
    return this.#keys === keys ? undefined : this.#keys;
  }

  /** Fetches, or joins the fetch under way. Never rejects: a failure shows in `#failedAt`. */
  #load(): Promise<void> {
    this.#loading ??= this.#fetch().finally(() => {
      this.#loading = undefined;
    });
    return this.#loading;
  }

  async #fetch(): Promise<void> {
    const { url, clock, fetch, logger } = this.#options;
    try {
      const text = await fetchJwks(url, clock, fetch);
      if (text !== this.#text) {
        const keys = await readJwks(text);
        const version = this.version + 1;
        this.#keys = keys.map((key) => ({ ...key, version }));
        this.#text = text;
        this.version = version;
        logger.info({ keyIds: keys.map((key) => key.keyId ?? null) }, 'Token keys loaded.');
      }
      this.#loadedAt = clock.now();
      this.#failedAt = undefined;
    } catch (error) {
      this.#failedAt = clock.now();
      const { origin, pathname } = new URL(url);
      const cachedKeys = this.#keys?.length ?? 0;
      logger.warn({ url: origin + pathname, reason: reasonOf(error), cachedKeys }, 'Token keys cannot be fetched.');
    }
  }

  /** Milliseconds since `time`; for ever since what never was, and since what a clock set back puts in the future. */
  #since(time: number | undefined): number {
    const elapsed = time === undefined ? Infinity : this.#options.clock.now() - time;
    return elapsed < 0 ? Infinity : elapsed;
  }

  #unavailable(): ServiceError {
    const waitMs = this.#keys === undefined ? retryFirstMs : unknownKeyCooldownMs - this.#since(this.#unknownKeyAt);
    return new ServiceError('AUTH_UNAVAILABLE', {
      detail: 'The keys that the token is verified with cannot be had at the moment.',
      retryAfter: Math.max(1, Math.ceil(waitMs / 1_000)),
    });
  }
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  // `fetch failed` says nothing; its cause says why (ECONNREFUSED, ENOTFOUND, a certificate).
  return error.cause instanceof Error ? `${error.message}: ${error.cause.message}` : error.message;
}
