import type { Database } from '../../db/database.ts';
import type { Clock } from '../../platform/clock.ts';
import type { NewId } from '../../platform/ids.ts';
import type { SearchUsers } from '../accounts/search-users.ts';
import type { UserOperations } from '../accounts/user-operations.ts';
import type { Generations } from '../generations/generations.ts';
import type { SessionOperations } from '../sessions/session-operations.ts';
import type { ToSession } from '../sessions/session-row.ts';
import { createAuditStore } from './audit-store.ts';
import { createFindRole, type FindRole } from './find-role.ts';
import { createGetUserSession, type GetUserSession } from './get-user-session.ts';
import { createListLive, type ListLive } from './list-live.ts';
import { createListUserSessions, type ListUserSessions } from './list-user-sessions.ts';
import { createObservationsStore } from './observations-store.ts';
import type { ObserveSession } from './observe-session.ts';
import type { ObserverCounts } from './observer-counts.ts';
import { createReadAuditLog, type ReadAuditLog } from './read-audit-log.ts';
import { createRecordAudit, type RecordAudit } from './record-audit.ts';
import { createRequireUser } from './require-user.ts';
import { createFindSubject, createStopObserved, type FindSubject, type StopObserved } from './stop-observed.ts';

export interface SupervisionOperationsOptions {
  readonly database: Database;
  readonly clock: Clock;
  readonly newId: NewId;
  readonly users: UserOperations;
  readonly sessions: Pick<SessionOperations, 'listSessions' | 'getSession'>;
  readonly generations: Pick<Generations, 'listLiveGenerations' | 'stopGeneration'>;
  readonly counts: Pick<ObserverCounts, 'read'>;
  readonly observeSession: ObserveSession;
  readonly toSession: ToSession;
  /** Whether a look without a reason is refused. */
  readonly requireReason: boolean;
  /** Whether sessions show how many watch them. */
  readonly notice: boolean;
}

export interface SupervisionOperations {
  readonly observeSession: ObserveSession;
  readonly listLive: ListLive;
  readonly stopObserved: StopObserved;
  readonly listUserSessions: ListUserSessions;
  readonly getUserSession: GetUserSession;
  readonly searchUsers: SearchUsers;
  readonly readAuditLog: ReadAuditLog;
  readonly findSubject: FindSubject;
  readonly recordAudit: RecordAudit;
  readonly findRole: FindRole;
  readonly requireReason: boolean;
}

/** Puts the operations of the feature together; the live observation is put together by itself. */
export function createSupervisionOperations(options: SupervisionOperationsOptions): SupervisionOperations {
  const { database, users, sessions, generations, observeSession, requireReason } = options;
  const audit = createAuditStore(options);
  const requireUser = createRequireUser(users.findUsers);
  const store = createObservationsStore(database);
  const findSubject = createFindSubject({ database, store });
  return {
    observeSession,
    listLive: createListLive({ ...options, ...users, ...generations }),
    stopObserved: createStopObserved({ findSubject, ...generations }),
    listUserSessions: createListUserSessions({ requireUser, ...sessions }),
    getUserSession: createGetUserSession({ requireUser, ...sessions }),
    searchUsers: users.searchUsers,
    readAuditLog: createReadAuditLog({ database, audit }),
    findSubject,
    recordAudit: createRecordAudit({ database, audit }),
    findRole: createFindRole({ database, store }),
    requireReason,
  };
}
