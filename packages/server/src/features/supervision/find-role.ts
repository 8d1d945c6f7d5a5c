import type { Role } from '@chat-service/shared/objects';
import type { Database } from '../../db/database.ts';
import type { ObservationsStore } from './observations-store.ts';

/** The role that a user has by the newest of their tokens; undefined for nobody known. */
export type FindRole = (userId: string) => Promise<Role | undefined>;

export function createFindRole(deps: { database: Database; store: ObservationsStore }): FindRole {
  const { database, store } = deps;
  return async (userId) => (await store.rolesOf(database.query, [userId])).get(userId);
}
