import type { DeleteMessageInput } from '@chat-service/shared/message-api';
import type { Database } from '../../db/database.ts';
import type { Clock } from '../../platform/clock.ts';
import { ServiceError } from '../../platform/service-error.ts';
import type { AnnounceChange } from '../generations/announce-change.ts';
import type { ReadAutomaticTitle } from '../generations/read-automatic-title.ts';
import type { RequireIdle } from '../generations/require-idle.ts';
import type { MessageRemovalStore } from './message-removal-store.ts';

/**
 * Deletes one message and nothing else.
 * @throws ServiceError `NOT_FOUND`; `GENERATION_IN_PROGRESS` while the session generates
 */
export type DeleteMessage = (request: DeleteMessageInput & { userId: string }) => Promise<void>;

export interface DeleteMessageDependencies {
  readonly database: Database;
  readonly store: MessageRemovalStore;
  readonly requireIdle: RequireIdle;
  readonly readAutomaticTitle: ReadAutomaticTitle;
  readonly announceChange: AnnounceChange;
  readonly clock: Clock;
  /** Told when something has been deleted. */
  readonly deleted: () => void;
}

export function createDeleteMessage({
  database,
  store,
  requireIdle,
  readAutomaticTitle,
  announceChange,
  clock,
  deleted,
}: DeleteMessageDependencies): DeleteMessage {
  return async function deleteMessage({ userId, sessionId, messageId }) {
    const place = await database.transaction(async (tx) => {
      if ((await store.lockSession(tx, userId, sessionId)) === null) throw new ServiceError('NOT_FOUND');
      await requireIdle(tx, sessionId);
      if (!(await store.remove(tx, sessionId, messageId, new Date(clock.now())))) throw new ServiceError('NOT_FOUND');
      // The words of a deleted message must not stay in a title that was made of them.
      await store.setAutomaticTitle(tx, sessionId, await readAutomaticTitle(tx, sessionId));
      return announceChange.place(tx, sessionId);
    });
    deleted();
    await announceChange.publish(sessionId, place, { type: 'message-deleted', messageId });
  };
}
