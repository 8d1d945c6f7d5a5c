import type { User } from '@chat-service/shared/supervisor-api';
import type { Database } from '../../db/database.ts';
import { toUser } from './user-row.ts';
import type { UsersStore } from './users-store.ts';

/** Users by their ids, as supervisors see them; those that are not known are left out. */
export type FindUsers = (ids: readonly string[]) => Promise<ReadonlyMap<string, User>>;

export function createFindUsers({ database, store }: { database: Database; store: UsersStore }): FindUsers {
  return async function findUsers(ids) {
    const rows = await store.findMany(database.query, ids);
    return new Map(rows.map((row) => [row.id, toUser(row)]));
  };
}
