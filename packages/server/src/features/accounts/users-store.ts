import { and, asc, eq, gt, inArray } from 'drizzle-orm';
import type { Role } from '@chat-service/shared/objects';
import type { Database, Queryable } from '../../db/database.ts';
import type { UserRow } from './user-row.ts';

export interface UserSearch {
  /** See `searchedPart`. */
  readonly part: string;
  readonly role?: Role | undefined;
  /** The id that the list goes on after. */
  readonly after: string | null;
}

/** Reading users; they are written where tokens are seen. */
export type UsersStore = ReturnType<typeof createUsersStore>;

export function createUsersStore({ tables: { users }, dialect }: Pick<Database, 'tables' | 'dialect'>) {
  return {
    async findMany(tx: Queryable, ids: readonly string[]): Promise<UserRow[]> {
      if (ids.length === 0) return [];
      return tx
        .select()
        .from(users)
        .where(inArray(users.id, [...ids]));
    },

    /** Ids of the first `limit` users found, in the order of their ids. */
    async search(tx: Queryable, { part, role, after }: UserSearch, limit: number): Promise<string[]> {
      const rows = await tx
        .select({ id: users.id })
        .from(users)
        .where(
          and(
            dialect.searchTextContains(part),
            role === undefined ? undefined : eq(users.role, role),
            after === null ? undefined : gt(users.id, after),
          ),
        )
        .orderBy(asc(users.id))
        .limit(limit);
      return rows.map(({ id }) => id);
    },
  };
}
