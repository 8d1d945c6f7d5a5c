import type { Queryable } from '../../db/database.ts';
import { ServiceError } from '../../platform/service-error.ts';
import type { GenerationsStore } from './generations-store.ts';

/** In a transaction that has locked the session. @throws ServiceError `GENERATION_IN_PROGRESS` while it generates */
export type RequireIdle = (tx: Queryable, sessionId: string) => Promise<void>;

export function createRequireIdle(store: GenerationsStore): RequireIdle {
  return async function requireIdle(tx, sessionId) {
    const live = await store.findLive(tx, sessionId);
    if (live === null) return;
    throw new ServiceError('GENERATION_IN_PROGRESS', {
      detail: 'This session is generating an answer.',
      sessionId,
      streamId: live.row.id,
    });
  };
}
