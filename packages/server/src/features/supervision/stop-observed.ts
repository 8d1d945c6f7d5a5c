import type { Message } from '@chat-service/shared/objects';
import type { Database } from '../../db/database.ts';
import { ServiceError } from '../../platform/service-error.ts';
import type { StopGeneration } from '../generations/stop-generation.ts';
import type { ObservationsStore } from './observations-store.ts';

/** Whose session it is; null for one that is not there. */
export type FindSubject = (sessionId: string) => Promise<string | null>;

/**
 * Stops whatever is being written in a session, on whichever instance, as its user would.
 * @throws ServiceError `NOT_FOUND` for an unknown session, `CONFLICT` where nothing is being written
 */
export type StopObserved = (
  request: { readonly sessionId: string },
  signal?: AbortSignal,
) => Promise<{ message: Message }>;

export interface StopObservedDependencies {
  readonly findSubject: FindSubject;
  readonly stopGeneration: StopGeneration;
}

export function createFindSubject(deps: { database: Database; store: ObservationsStore }): FindSubject {
  const { database, store } = deps;
  return async (sessionId) => (await store.findSession(database.query, sessionId))?.user.id ?? null;
}

export function createStopObserved({ findSubject, stopGeneration }: StopObservedDependencies): StopObserved {
  return async function stopObserved({ sessionId }, signal) {
    if ((await findSubject(sessionId)) === null) throw new ServiceError('NOT_FOUND');
    return { message: await stopGeneration({ sessionId, by: 'supervisor' }, signal) };
  };
}
