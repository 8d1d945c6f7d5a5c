import { z } from 'zod';
import type { ListMessagesInput, ListMessagesOutput } from '@chat-service/shared/message-api';
import { pageRead, paginate } from '../../platform/paging.ts';
import type { MessageReadsStore } from './message-reads-store.ts';
import type { RequireSession } from './require-session.ts';

export type ListMessages = (request: ListMessagesInput & { userId: string }) => Promise<ListMessagesOutput>;

/** Where a list of messages stands: the sequence of the last one shown. What no column can hold was never given out. */
export const messageCursor = z.int32().min(0);

export interface ListMessagesDependencies {
  readonly requireSession: RequireSession;
  readonly reads: MessageReadsStore;
}

export function createListMessages({ requireSession, reads }: ListMessagesDependencies): ListMessages {
  return async function listMessages({ userId, sessionId, order = 'asc', ...request }) {
    const { messageCount } = await requireSession(userId, sessionId);
    const { start, fetch } = pageRead(messageCursor, request);
    const beyond = start.after === null && start.offset >= messageCount;
    const found = beyond ? [] : await reads.list(sessionId, order, start, fetch);
    const { rows, pagination } = paginate(found, request, messageCount, ({ sequence }) => sequence);
    return { messages: rows.map(({ message }) => message), pagination };
  };
}
