import { ChatError, ConnectionError, UnauthorizedError } from '@chat-service/client-sdk';

/** What went wrong, for the person at the keyboard, where a program has no better words of its own. */
export function explainError(error: unknown, url: string): string {
  if (error instanceof ConnectionError) return `Cannot reach the service at ${url}. ${error.message}`;
  if (error instanceof UnauthorizedError) {
    return `The service at ${url} does not accept the token: it is wrong, has expired, or is meant for another service.`;
  }
  if (error instanceof ChatError) {
    const fields = error.errors.map(({ path, message }) => `\n  ${path}: ${message}`).join('');
    const pause = error.retryAfter === null ? '' : ` Try again in ${error.retryAfter} s.`;
    return `${error.message} (${error.code})${pause}${fields}`;
  }
  return error instanceof Error ? error.message : String(error);
}
