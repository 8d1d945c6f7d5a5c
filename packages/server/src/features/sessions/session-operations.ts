import type { Database } from '../../db/database.ts';
import type { Clock } from '../../platform/clock.ts';
import type { NewId } from '../../platform/ids.ts';
import type { Logger } from '../../platform/logger.ts';
import type { AdmitSession } from '../credits/admit-session.ts';
import type { GenerationLog } from '../generations/generation-log.ts';
import type { Generations } from '../generations/generations.ts';
import type { ObservedNotices } from '../generations/reader-notices.ts';
import type { IdempotencyKeys } from '../idempotency/idempotency-keys.ts';
import type { ReadNewestMessages } from '../messages/read-newest-messages.ts';
import { createCreateSession, type CreateSession } from './create-session.ts';
import { createDeleteSession, type DeleteSession } from './delete-session.ts';
import { createFollowOwnSession, type FollowOwnSession } from './follow-own-session.ts';
import { createGetSession, type GetSession } from './get-session.ts';
import { createListSessions, type ListSessions } from './list-sessions.ts';
import { createRemoveSession } from './remove-session.ts';
import { createRequireModel } from './require-model.ts';
import { createSessionReadsStore } from './session-reads-store.ts';
import { createShowSessions, createToSession, type ShowObservers } from './session-row.ts';
import { createSessionsStore } from './sessions-store.ts';
import { createSweepTombstones } from './sweep-tombstones.ts';
import { createUpdateSession, type UpdateSession } from './update-session.ts';

export interface SessionOperationsOptions {
  readonly database: Database;
  readonly keys: IdempotencyKeys;
  readonly log: GenerationLog;
  readonly clock: Clock;
  readonly newId: NewId;
  readonly logger: Logger;
  readonly generations: Generations;
  readonly admitSession: AdmitSession;
  /** Told when something has been deleted. */
  readonly deleted: () => void;
  readonly readNewestMessages: ReadNewestMessages;
  readonly defaultModelId: string;
  readonly isKnownModel: (modelId: string) => boolean;
  /** What the users' streams tell of observers; null for nothing. @default null */
  readonly observedNotices?: ObservedNotices | null;
  /** Fills in how many observe; null leaves it out. @default null */
  readonly showObservers?: ShowObservers | null;
}

export interface SessionOperations {
  readonly createSession: CreateSession;
  readonly getSession: GetSession;
  readonly listSessions: ListSessions;
  readonly updateSession: UpdateSession;
  readonly deleteSession: DeleteSession;
  readonly followSession: FollowOwnSession;
}

/** Puts the operations of the feature together. */
export function createSessionOperations(options: SessionOperationsOptions): SessionOperations & {
  readonly sweepTombstones: () => Promise<void>;
} {
  const { database, generations } = options;
  const store = createSessionsStore(database);
  const reads = createSessionReadsStore(database);
  const toSession = createToSession(options.defaultModelId);
  const requireModel = createRequireModel(options.isKnownModel);
  const removeSession = createRemoveSession({ ...options, store, endForDeletion: generations.endForDeletion });
  const { announceChange, followSession, readAutomaticTitle } = generations;
  const { observedNotices = null, showObservers } = options;
  const showSessions = createShowSessions(toSession, showObservers ?? null);
  const base = { ...options, store, reads, showSessions, requireModel, removeSession, observedNotices };
  return {
    createSession: createCreateSession(base),
    getSession: createGetSession(base),
    listSessions: createListSessions(base),
    updateSession: createUpdateSession({ ...base, announceChange, readAutomaticTitle }),
    deleteSession: createDeleteSession(base),
    followSession: createFollowOwnSession({ ...base, followSession }),
    sweepTombstones: createSweepTombstones(base),
  };
}
