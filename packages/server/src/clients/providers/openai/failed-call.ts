import type { Clock } from '../../../platform/clock.ts';
import { readRetryAfter } from '../../../platform/retry-after.ts';
import { AttemptFailure } from '../attempt.ts';
import { describeError, errorFields } from './chat-chunk.ts';

/** Bytes of an answer that is not a stream; what is over is not read. */
const longestBody = 4 * 1024 * 1024;

/** `cause` is left out: messages of the HTTP client may quote headers. */
export function networkFailure(error: unknown): AttemptFailure {
  const code = errorCode(error) ?? errorCode(error instanceof Error ? error.cause : undefined) ?? 'unknown';
  return new AttemptFailure(`the connection failed: ${code}`, { retryable: true });
}

function errorCode(error: unknown): string | undefined {
  const code = typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined;
  return typeof code === 'string' ? code : undefined;
}

/** What a status other than 2xx means. */
export function statusFailure(response: Response, body: unknown, clock: Clock): AttemptFailure {
  const { status } = response;
  const requestAtFault = status === 400 || status === 413 || status === 422;
  return new AttemptFailure(`status ${status}: ${describeError(body)}`, {
    retryable: status === 408 || status === 429 || status >= 500,
    retryAfter: readRetryAfter(response.headers.get('retry-after'), clock),
    providerAtFault: !requestAtFault,
  });
}

/** The parameter that the model does not know or does not let be set, where a 400 says so. */
export function refusedParameter(status: number, body: unknown): string | null {
  if (status !== 400) return null;
  const { code, param } = errorFields(body);
  const refused = code === 'unsupported_parameter' || code === 'unsupported_value' || code === 'unknown_parameter';
  return refused && typeof param === 'string' ? param : null;
}

/** The JSON of a body; undefined when it is none or too long. */
export async function readJson(response: Response): Promise<unknown> {
  if (response.body === null) return undefined;
  const decoder = new TextDecoder();
  let text = '';
  let size = 0;
  try {
    for await (const bytes of response.body as AsyncIterable<Uint8Array>) {
      size += bytes.byteLength;
      if (size > longestBody) return undefined;
      text += decoder.decode(bytes, { stream: true });
    }
  } catch (error) {
    throw networkFailure(error);
  }
  try {
    return JSON.parse(text + decoder.decode());
  } catch {
    return undefined;
  }
}
