import { BadRequestError, ForbiddenError, NotFoundError } from '@chat-service/client-sdk';
import { explainError } from '@chat-service/terminal/explain-error';

/** What went wrong, for the person at the keyboard. */
export function explain(error: unknown, url: string): string {
  if (error instanceof ForbiddenError) return 'Watching is for supervisors: the token is of a user without that role.';
  if (error instanceof NotFoundError) return 'There is no such session.';
  if (error instanceof BadRequestError && error.errors.some(({ path }) => path === 'reason')) {
    return `${explainError(error, url)}\nThe service keeps the reason of every look: say yours with --reason "<text>".`;
  }
  return explainError(error, url);
}
