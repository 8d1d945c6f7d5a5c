import type { Clock } from '../../../platform/clock.ts';
import { errorCode } from '../../../platform/error-code.ts';
import { readBoundedText } from '../../../platform/read-bounded-text.ts';
import { readRetryAfter } from '../../../platform/retry-after.ts';
import { AccountingFailure } from './accounting-failure.ts';

export interface ServiceCall {
  readonly method: 'GET' | 'POST';
  /** Below the service's address, with its slash. */
  readonly path: string;
  readonly idempotencyKey?: string;
  /** The user's own JWT. */
  readonly userToken?: string | null;
  readonly body?: object;
}

export interface ServiceAnswer {
  readonly status: number;
  /** Undefined where the body is no JSON, or not said to be. */
  readonly json: unknown;
  /** Whether it is a page for people: then something in between has answered. */
  readonly isPage: boolean;
  /** Milliseconds. */
  readonly retryAfter: number | undefined;
}

/**
 * One call, to the last byte of its answer, whatever its status.
 * @throws AccountingFailure where no whole answer came within 2 s; the signal's reason once it has aborted
 */
export type CallService = (call: ServiceCall, signal?: AbortSignal) => Promise<ServiceAnswer>;

export interface CallServiceOptions {
  /** An http or https address, with or without a path and a slash at its end. */
  readonly url: string;
  /** Sent as `Authorization: Bearer`, where there is one. */
  readonly token: string | undefined;
  readonly clock: Clock;
  readonly fetch: typeof globalThis.fetch;
}

const timeoutMs = 2_000;
/** Bytes; answers have some hundred. */
const longestBody = 256 * 1024;
const json = /^application\/(?:[\w.-]+\+)?json\s*(?:;|$)/iu;
const page = /^(?:text\/html|application\/xhtml\+xml)\s*(?:;|$)/iu;

export function createCallService({ url, token, clock, fetch }: CallServiceOptions): CallService {
  const base = url.replace(/\/+$/u, '');

  return async function callService({ method, path, idempotencyKey, userToken, body }, signal) {
    signal?.throwIfAborted();
    const controller = new AbortController();
    const cancel = () => controller.abort();
    signal?.addEventListener('abort', cancel, { once: true });
    let late = false;
    const stopWatching = clock.after(timeoutMs, () => {
      late = true;
      controller.abort();
    });
    try {
      const response = await fetch(base + path, {
        method,
        signal: controller.signal,
        // Not followed: whom to trust with tokens is what the operator wrote.
        redirect: 'manual',
        headers: {
          accept: 'application/json',
          ...(token !== undefined && { authorization: `Bearer ${token}` }),
          ...(idempotencyKey !== undefined && { 'idempotency-key': idempotencyKey }),
          ...(userToken != null && { 'x-user-token': userToken }),
          ...(body !== undefined && { 'content-type': 'application/json' }),
        },
        ...(body !== undefined && { body: JSON.stringify(body) }),
      });
      const text = await readBoundedText(response, longestBody);
      if (text === null) {
        throw new AccountingFailure(`the answer is larger than ${longestBody} bytes`, { status: response.status });
      }
      const type = response.headers.get('content-type') ?? '';
      return {
        status: response.status,
        json: json.test(type) ? parse(text) : undefined,
        isPage: page.test(type),
        retryAfter: readRetryAfter(response.headers.get('retry-after'), clock),
      };
    } catch (error) {
      signal?.throwIfAborted();
      if (late) throw new AccountingFailure(`no answer in ${timeoutMs} ms`);
      if (error instanceof AccountingFailure) throw error;
      // No cause: messages of the HTTP client may quote headers.
      throw new AccountingFailure(`the connection failed: ${errorCode(error) ?? 'unknown'}`);
    } finally {
      stopWatching();
      signal?.removeEventListener('abort', cancel);
      // Ends an answer that was not read to its end; does nothing to one that was.
      controller.abort();
    }
  };
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
