import type { UserSessionInput, UserSessionOutput } from '@chat-service/shared/supervisor-api';
import type { GetSession } from '../sessions/get-session.ts';
import type { RequireUser } from './require-user.ts';

/**
 * A session of a user with its newest messages, or with the newest before a cursor.
 * @throws ServiceError `NOT_FOUND`, also where it is another user's; `BAD_REQUEST` for a cursor that cannot be read
 */
export type GetUserSession = (request: Omit<UserSessionInput, 'reason'>) => Promise<UserSessionOutput>;

export interface GetUserSessionDependencies {
  readonly requireUser: RequireUser;
  readonly getSession: GetSession;
}

export function createGetUserSession({ requireUser, getSession }: GetUserSessionDependencies): GetUserSession {
  return async function getUserSession(request) {
    const user = await requireUser(request.userId);
    return { user, ...(await getSession(request)) };
  };
}
