import { and, eq, isNull, lt, lte, or } from 'drizzle-orm';
import type { Principal } from '../../clients/auth/principal.ts';
import type { Database } from '../../db/database.ts';
import { searchTextOf } from './search-text.ts';

export interface AccountsStore {
  /**
   * Makes the user's row where there is none; where there is one, moves `lastSeenAt` on if it is not later than
   * `unlessSeenAfter`. Safe against any number of callers at once.
   */
  insertOrTouch(principal: Principal, seenAt: Date, unlessSeenAfter: Date): Promise<void>;
  /** Stores the claims unless the row's are as new or newer. Claims without `iat` yield to any that have one. */
  updateClaims(principal: Principal): Promise<void>;
}

export function createAccountsStore({ query, tables: { users } }: Pick<Database, 'query' | 'tables'>): AccountsStore {
  return {
    async insertOrTouch(principal, seenAt, unlessSeenAfter) {
      await query
        .insert(users)
        .values({ id: principal.userId, ...claimsOf(principal), lastSeenAt: seenAt, createdAt: seenAt })
        .onConflictDoUpdate({
          target: users.id,
          set: { lastSeenAt: seenAt },
          setWhere: lte(users.lastSeenAt, unlessSeenAfter),
        });
    },

    async updateClaims(principal) {
      const claims = claimsOf(principal);
      const { claimsIssuedAt } = claims;
      const isOlder = claimsIssuedAt === null ? undefined : lt(users.claimsIssuedAt, claimsIssuedAt);
      await query
        .update(users)
        .set(claims)
        .where(and(eq(users.id, principal.userId), or(isNull(users.claimsIssuedAt), isOlder)));
    },
  };
}

function claimsOf(principal: Principal) {
  const { username, email, role, plan, issuedAt } = principal;
  // The column holds whole seconds; `iat` may have a fraction.
  const claimsIssuedAt = issuedAt === null ? null : Math.floor(issuedAt);
  return { username, email, role, plan, claimsIssuedAt, searchText: searchTextOf(principal) };
}
