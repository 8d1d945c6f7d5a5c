import type { User } from '@chat-service/shared/supervisor-api';
import { ServiceError } from '../../platform/service-error.ts';
import type { FindUsers } from '../accounts/find-users.ts';

/** @throws ServiceError `NOT_FOUND` */
export type RequireUser = (userId: string) => Promise<User>;

export function createRequireUser(findUsers: FindUsers): RequireUser {
  return async function requireUser(userId) {
    const user = (await findUsers([userId])).get(userId);
    if (user === undefined) throw new ServiceError('NOT_FOUND');
    return user;
  };
}
