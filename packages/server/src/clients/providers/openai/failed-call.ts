import type { Clock } from '../../../platform/clock.ts';
import { errorCode } from '../../../platform/error-code.ts';
import { readBoundedText } from '../../../platform/read-bounded-text.ts';
import { readRetryAfter } from '../../../platform/retry-after.ts';
import { AttemptFailure } from '../attempt.ts';
import { describeError, errorFields } from './chat-chunk.ts';

/** Bytes of an answer that is not a stream; what is over is not read. */
const longestBody = 4 * 1024 * 1024;

/** `cause` is left out: messages of the HTTP client may quote headers. */
export function networkFailure(error: unknown): AttemptFailure {
  return new AttemptFailure(`the connection failed: ${errorCode(error) ?? 'unknown'}`, { retryable: true });
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
  const text = await readBoundedText(response, longestBody).catch((error: unknown) => {
    throw networkFailure(error);
  });
  if (text === null) return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
