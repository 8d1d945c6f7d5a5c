import type { SearchUsersInput, SearchUsersOutput } from '@chat-service/shared/supervisor-api';
import { boundedText } from '@chat-service/shared/text';
import type { Database } from '../../db/database.ts';
import { pageRead, paginate } from '../../platform/paging.ts';
import type { FindUsers } from './find-users.ts';
import { searchedPart } from './search-text.ts';
import type { UsersStore } from './users-store.ts';

/**
 * Users by a part of username, email or id, in the order of their ids. `total` is exact up to 1,000, and pages go as far;
 * cursors go to the end.
 */
export type SearchUsers = (request: Omit<SearchUsersInput, 'reason'>) => Promise<SearchUsersOutput>;

export interface SearchUsersDependencies {
  readonly database: Database;
  readonly store: UsersStore;
  readonly findUsers: FindUsers;
}

/** Counting more would cost as much as finding them all. */
const mostCounted = 1000;
/** The id of the last user shown. */
const userCursor = boundedText(1, 512);

export function createSearchUsers({ database, store, findUsers }: SearchUsersDependencies): SearchUsers {
  return async function searchUsers({ query, role, ...request }) {
    const { start, limit, fetch } = pageRead(userCursor, request);
    const search = { part: searchedPart(query), role };
    // One more than is counted, so that the last page that is counted knows of more.
    const counted = await store.search(database.query, { ...search, after: null }, mostCounted + 1);
    const total = Math.min(counted.length, mostCounted);
    const shown =
      start.after === null
        ? counted.slice(start.offset, start.offset < total ? start.offset + fetch : start.offset)
        : await store.search(database.query, { ...search, after: start.after }, fetch);
    const users = await findUsers(shown.slice(0, limit));
    const { rows, pagination } = paginate(shown, request, total, (id) => id);
    // One who is gone since is left out.
    return { users: rows.flatMap((id) => users.get(id) ?? []), pagination };
  };
}
