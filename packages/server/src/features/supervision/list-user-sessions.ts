import type { UserSessionsInput, UserSessionsOutput } from '@chat-service/shared/supervisor-api';
import type { ListSessions } from '../sessions/list-sessions.ts';
import type { RequireUser } from './require-user.ts';

/** The sessions of a user as they list them themselves. @throws ServiceError `NOT_FOUND` */
export type ListUserSessions = (request: Omit<UserSessionsInput, 'reason'>) => Promise<UserSessionsOutput>;

export interface ListUserSessionsDependencies {
  readonly requireUser: RequireUser;
  readonly listSessions: ListSessions;
}

export function createListUserSessions(deps: ListUserSessionsDependencies): ListUserSessions {
  const { requireUser, listSessions } = deps;
  return async function listUserSessions(request) {
    const user = await requireUser(request.userId);
    return { user, ...(await listSessions(request)) };
  };
}
