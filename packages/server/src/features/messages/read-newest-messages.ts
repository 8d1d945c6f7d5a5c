import type { ListMessagesOutput } from '@chat-service/shared/message-api';
import { paginate } from '../../platform/paging.ts';
import type { MessageReadsStore } from './message-reads-store.ts';

/** The newest messages of a session, oldest first; the cursor leads to older ones with `order: "desc"`. */
export type ReadNewestMessages = (
  session: { id: string; messageCount: number },
  limit: number,
) => Promise<ListMessagesOutput>;

export function createReadNewestMessages(reads: MessageReadsStore): ReadNewestMessages {
  return async function readNewestMessages({ id, messageCount }, limit) {
    const found = await reads.list(id, 'desc', { after: null, offset: 0 }, limit + 1);
    const { rows, pagination } = paginate(found, { limit }, messageCount, ({ sequence }) => sequence);
    return { messages: rows.map(({ message }) => message).toReversed(), pagination: { ...pagination, page: null } };
  };
}
