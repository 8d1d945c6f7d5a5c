import type { Database } from '../../db/database.ts';
import { createFindUsers, type FindUsers } from './find-users.ts';
import { createSearchUsers, type SearchUsers } from './search-users.ts';
import { createUsersStore } from './users-store.ts';

export interface UserOperations {
  readonly findUsers: FindUsers;
  readonly searchUsers: SearchUsers;
}

/** Puts the reading of users together. */
export function createUserOperations(database: Database): UserOperations {
  const store = createUsersStore(database);
  const findUsers = createFindUsers({ database, store });
  return { findUsers, searchUsers: createSearchUsers({ database, store, findUsers }) };
}
