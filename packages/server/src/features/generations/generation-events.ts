import { errorTable, type ErrorCode } from '@chat-service/shared/errors';
import type { TerminalEvent } from '@chat-service/shared/events';
import type { Message } from '@chat-service/shared/objects';
import type { GenerationRefusal } from '../../db/column-types.ts';
import { ServiceError } from '../../platform/service-error.ts';

/** What people are told of an answer that failed; what really happened is in the log. */
const failureTexts: Partial<Record<ErrorCode, string>> = {
  MODEL_ERROR: 'The model failed to answer.',
  MODEL_TIMEOUT: 'The model took too long to answer.',
  MODEL_UNAVAILABLE: 'The model is not available at the moment.',
  INTERRUPTED: 'The answer was interrupted before it was complete.',
};

function failureText(code: ErrorCode): string {
  return failureTexts[code] ?? errorTable[code].title;
}

/** The last event of a generation, made of its stored message alone, so that whoever comes later is told the same. */
export function terminalEvent(message: Message): TerminalEvent {
  const streamId = message.id;
  if (message.status === 'failed' || message.status === 'interrupted') {
    const code = message.error?.code ?? 'INTERNAL';
    const error = { code, message: failureText(code), retryable: errorTable[code].retryable };
    return { type: 'error', streamId, error, message };
  }
  const { usage, finishReason } = message;
  return { type: 'done', streamId, message, usage, finishReason: finishReason ?? 'stop' };
}

/** The same failure for a caller that waited for the answer instead of watching it. */
export function failureOf(message: Message, userMessageId: string | null): ServiceError | null {
  if (message.status !== 'failed' && message.status !== 'interrupted') return null;
  const code = message.error?.code ?? 'INTERNAL';
  return new ServiceError(code, {
    detail: failureText(code),
    streamId: message.id,
    sessionId: message.sessionId,
    ...(userMessageId !== null && { userMessageId }),
  });
}

/** The refusal as it was stored for copies of the request that wait. */
export function refusalError({ code, detail, retryAfter, facts }: GenerationRefusal): ServiceError {
  return new ServiceError(code, {
    ...(detail !== undefined && { detail }),
    ...(retryAfter !== undefined && { retryAfter }),
    ...facts,
  });
}

export function toRefusal(error: ServiceError): GenerationRefusal {
  const { code, detail, retryAfter, facts } = error;
  return {
    code,
    ...(detail !== undefined && { detail }),
    ...(retryAfter !== undefined && { retryAfter }),
    ...(Object.keys(facts).length > 0 && { facts }),
  };
}
