import {
  GenerationInProgressError,
  InsufficientCreditsError,
  ModelError,
  NotFoundError,
  QuotaExceededError,
} from '@chat-service/client-sdk';
import { explainError } from '@chat-service/terminal/explain-error';

/** What went wrong, for the person at the keyboard. */
export function explain(error: unknown, url: string): string {
  if (error instanceof NotFoundError) return 'There is no such session, or it belongs to someone else.';
  if (error instanceof GenerationInProgressError) return 'The session is answering already; try again when it is done.';
  if (error instanceof ModelError) return `The answer failed: ${error.message} (${error.code})`;
  if (error instanceof InsufficientCreditsError) return 'There are not enough credits left for an answer.';
  if (error instanceof QuotaExceededError) {
    return `The quota of ${error.quota ?? 'the plan'} is used up${error.resetsAt === null ? '' : ` until ${error.resetsAt}`}.`;
  }
  return explainError(error, url);
}
