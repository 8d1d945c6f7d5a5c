import type { Message } from '@chat-service/shared/objects';
import type { ReadSession, StoredMessage } from './session-snapshot.ts';

/** Characters that are held for a reader who may take them slowly, unless a single message has more. */
const pageLength = 64 * 1024;

/** The messages in their order, in pages that are read when they are asked for; last, null where a message is gone by then. */
export async function* readHistory(
  { messages }: Pick<ReadSession, 'messages'>,
  stored: readonly StoredMessage[],
): AsyncGenerator<readonly Message[] | null, void, void> {
  for (const ids of pagesOf(stored)) {
    const page = await messages(ids);
    if (page.length < ids.length) return yield null;
    yield page;
  }
}

function pagesOf(stored: readonly StoredMessage[]): string[][] {
  const pages: string[][] = [];
  let room = 0;
  for (const { id, length } of stored) {
    const last = pages.at(-1);
    if (last === undefined || length > room) {
      pages.push([id]);
      room = pageLength - length;
    } else {
      last.push(id);
      room -= length;
    }
  }
  return pages;
}
