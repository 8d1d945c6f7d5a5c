import { ForbiddenError, NotFoundError } from '@chat-service/client-sdk';
import { explainError } from '@chat-service/terminal/explain-error';

/** What went wrong, for the person at the keyboard. */
export function explain(error: unknown, url: string): string {
  if (error instanceof ForbiddenError) return 'Watching is for supervisors: the token is of a user without that role.';
  if (error instanceof NotFoundError) return 'There is no such session.';
  return explainError(error, url);
}
