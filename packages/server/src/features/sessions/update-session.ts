import type { UpdateSessionInput, UpdateSessionOutput } from '@chat-service/shared/session-api';
import type { Database, Queryable } from '../../db/database.ts';
import type { Clock } from '../../platform/clock.ts';
import { ServiceError } from '../../platform/service-error.ts';
import type { AnnounceChange } from '../generations/announce-change.ts';
import type { ReadAutomaticTitle } from '../generations/read-automatic-title.ts';
import type { RequireModel } from './require-model.ts';
import { showSession, type ShowSessions } from './session-row.ts';
import type { SessionsStore } from './sessions-store.ts';

/**
 * Changes what is given, each field as a whole. A running generation keeps what it was admitted with, and the session
 * keeps its place in the list.
 * @throws ServiceError `NOT_FOUND`; `BAD_REQUEST` for an unknown model
 */
export type UpdateSession = (request: UpdateSessionInput & { userId: string }) => Promise<UpdateSessionOutput>;

export interface UpdateSessionDependencies {
  readonly database: Database;
  readonly store: SessionsStore;
  readonly requireModel: RequireModel;
  readonly showSessions: ShowSessions;
  readonly announceChange: AnnounceChange;
  readonly readAutomaticTitle: ReadAutomaticTitle;
  readonly clock: Clock;
}

export function createUpdateSession(deps: UpdateSessionDependencies): UpdateSession {
  const { database, store, requireModel, showSessions, announceChange, readAutomaticTitle, clock } = deps;

  async function titleChange(tx: Queryable, sessionId: string, title: string | null | undefined) {
    if (title === undefined) return {};
    if (title !== null) return { title, titleIsAutomatic: false };
    return { title: await readAutomaticTitle(tx, sessionId), titleIsAutomatic: true };
  }

  return async function updateSession({ userId, sessionId, ...request }) {
    requireModel(request.modelId);
    const { title, modelId, systemPrompt, parameters, metadata } = request;
    const changed = await database.transaction(async (tx) => {
      if ((await store.lock(tx, userId, sessionId)) === null) return null;
      const row = await store.update(tx, sessionId, {
        ...(await titleChange(tx, sessionId, title)),
        ...(modelId !== undefined && { modelId }),
        ...(systemPrompt !== undefined && { systemPrompt }),
        ...(parameters !== undefined && { parameters: parameters ?? {} }),
        ...(metadata !== undefined && { metadata: metadata ?? {} }),
        updatedAt: new Date(clock.now()),
      });
      if (row === null) return null;
      const session = await showSession(showSessions, tx, row);
      return { session, place: await announceChange.place(tx, sessionId) };
    });
    if (changed === null) throw new ServiceError('NOT_FOUND');
    const { session, place } = changed;
    await announceChange.publish(sessionId, place, { type: 'session-updated', session });
    return { session };
  };
}
