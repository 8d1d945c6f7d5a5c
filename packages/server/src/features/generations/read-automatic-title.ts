import type { Queryable } from '../../db/database.ts';
import { automaticTitle } from './automatic-title.ts';
import type { MessageStore } from './message-store.ts';

/** The title that a session gets from its first user message; null where there is none, or where it is blank. */
export type ReadAutomaticTitle = (tx: Queryable, sessionId: string) => Promise<string | null>;

export function createReadAutomaticTitle({
  messages,
}: {
  messages: Pick<MessageStore, 'findOldestUserMessage'>;
}): ReadAutomaticTitle {
  return async function readAutomaticTitle(tx, sessionId) {
    const oldest = await messages.findOldestUserMessage(tx, sessionId);
    return oldest === null ? null : automaticTitle(oldest.content);
  };
}
