import type { IncomingMessage, ServerResponse } from 'node:http';

export interface UnreadAnswerOptions {
  /** Real ones: only Node.js sees what the operating system takes of an answer that is long and one piece. */
  readonly milliseconds: number;
  /** Told before the connection is ended. */
  readonly onCut: () => void;
}

/**
 * Ends the connection of a client that has taken nothing of an answer for so long, and would otherwise be held the rest of
 * it for ever. One that is still being made is waited for.
 */
export function cutUnread(
  { socket }: IncomingMessage,
  outgoing: ServerResponse,
  { milliseconds, onCut }: UnreadAnswerOptions,
): void {
  outgoing.setTimeout(milliseconds, () => {
    if (socket.destroyed || socket.writableLength === 0) return;
    onCut();
    socket.destroy();
  });
}
