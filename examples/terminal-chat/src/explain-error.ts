import {
  ChatError,
  ConnectionError,
  GenerationInProgressError,
  InsufficientCreditsError,
  ModelError,
  NotFoundError,
  QuotaExceededError,
  UnauthorizedError,
} from '@chat-service/client-sdk';

/** What went wrong, for the person at the keyboard. */
export function explain(error: unknown, url: string): string {
  if (error instanceof ConnectionError) return `Cannot reach the service at ${url}. ${error.message}`;
  if (error instanceof UnauthorizedError) {
    return `The service at ${url} does not accept the token: it is wrong, has expired, or is meant for another service.`;
  }
  if (error instanceof NotFoundError) return 'There is no such session, or it belongs to someone else.';
  if (error instanceof GenerationInProgressError) return 'The session is answering already; try again when it is done.';
  if (error instanceof ModelError) return `The answer failed: ${error.message} (${error.code})`;
  if (error instanceof InsufficientCreditsError) return 'There are not enough credits left for an answer.';
  if (error instanceof QuotaExceededError) {
    return `The quota of ${error.quota ?? 'the plan'} is used up${error.resetsAt === null ? '' : ` until ${error.resetsAt}`}.`;
  }
  if (error instanceof ChatError) {
    const fields = error.errors.map(({ path, message }) => `\n  ${path}: ${message}`).join('');
    const pause = error.retryAfter === null ? '' : ` Try again in ${error.retryAfter} s.`;
    return `${error.message} (${error.code})${pause}${fields}`;
  }
  return error instanceof Error ? error.message : String(error);
}
