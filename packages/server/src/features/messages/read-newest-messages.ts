import type { ListMessagesOutput } from '@chat-service/shared/message-api';
import { pageRead, paginate } from '../../platform/paging.ts';
import { messageCursor } from './list-messages.ts';
import type { MessageReadsStore } from './message-reads-store.ts';

/**
 * The newest messages of a session, or the newest before a cursor, oldest first; the next cursor leads to older ones, also
 * in a list with `order: "desc"`.
 * @throws ServiceError `BAD_REQUEST` for a cursor that no list of messages has made
 */
export type ReadNewestMessages = (
  session: { id: string; messageCount: number },
  request: { limit: number; cursor?: string | undefined },
) => Promise<ListMessagesOutput>;

export function createReadNewestMessages(reads: MessageReadsStore): ReadNewestMessages {
  return async function readNewestMessages({ id, messageCount }, request) {
    const { start, fetch } = pageRead(messageCursor, request);
    const found = await reads.list(id, 'desc', start, fetch);
    const { rows, pagination } = paginate(found, request, messageCount, ({ sequence }) => sequence);
    return { messages: rows.map(({ message }) => message).toReversed(), pagination: { ...pagination, page: null } };
  };
}
