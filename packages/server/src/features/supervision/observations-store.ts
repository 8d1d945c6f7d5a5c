import type { Role } from '@chat-service/shared/objects';
import { and, count, eq, gte, inArray, isNull, lt } from 'drizzle-orm';
import type { Database, Queryable, Tables } from '../../db/database.ts';

/** An observation that is open: its id is the connection's. */
export type ObservationRow = Tables['observations']['$inferSelect'];

export interface ObservedSession {
  readonly session: Tables['sessions']['$inferSelect'];
  readonly user: Tables['users']['$inferSelect'];
}

export type ObservationsStore = ReturnType<typeof createObservationsStore>;

/** The statements on open observations. Leases are judged by the database's clock. */
export function createObservationsStore({ tables, dialect }: Pick<Database, 'tables' | 'dialect'>) {
  const { observations, sessions, users } = tables;

  return {
    /** The session with its user, whoever that is; null for one that is gone. */
    async findSession(tx: Queryable, sessionId: string): Promise<ObservedSession | null> {
      const [row] = await tx
        .select({ session: sessions, user: users })
        .from(sessions)
        .innerJoin(users, eq(users.id, sessions.userId))
        .where(and(eq(sessions.id, sessionId), isNull(sessions.deletedAt)));
      return row ?? null;
    },

    /** The roles that these users have now; users who are gone are left out. */
    async rolesOf(tx: Queryable, userIds: readonly string[]): Promise<Map<string, Role>> {
      const rows = await tx
        .select({ id: users.id, role: users.role })
        .from(users)
        .where(inArray(users.id, [...userIds]));
      return new Map(rows.map(({ id, role }) => [id, role]));
    },

    async insert(
      tx: Queryable,
      observation: Omit<ObservationRow, 'leaseExpiresAt' | 'createdAt'>,
      leaseMilliseconds: number,
    ): Promise<void> {
      await tx.insert(observations).values({
        ...observation,
        leaseExpiresAt: dialect.nowPlus(leaseMilliseconds),
        createdAt: dialect.now(),
      });
    },

    /** Renews the leases of `ids` that `owner` still holds, and tells which those are. */
    async renew(tx: Queryable, owner: string, ids: readonly string[], leaseMilliseconds: number): Promise<Set<string>> {
      const rows = await tx
        .update(observations)
        .set({ leaseExpiresAt: dialect.nowPlus(leaseMilliseconds) })
        .where(and(inArray(observations.id, [...ids]), eq(observations.owner, owner)))
        .returning({ id: observations.id });
      return new Set(rows.map(({ id }) => id));
    },

    /** Those of `ids` that were still there: whoever removes one writes its end. */
    async remove(tx: Queryable, ids: readonly string[]): Promise<ObservationRow[]> {
      return tx
        .delete(observations)
        .where(inArray(observations.id, [...ids]))
        .returning();
    },

    async removeExpired(tx: Queryable, limit: number): Promise<ObservationRow[]> {
      const expired = lt(observations.leaseExpiresAt, dialect.now());
      const found = tx.select({ id: observations.id }).from(observations).where(expired).limit(limit);
      // Asked again of each row once it is locked: its lease may have been renewed meanwhile.
      return tx
        .delete(observations)
        .where(and(inArray(observations.id, found), expired))
        .returning();
    },

    /** Whoever holds them: for where nobody can. */
    async removeAny(tx: Queryable, limit: number): Promise<ObservationRow[]> {
      const found = tx.select({ id: observations.id }).from(observations).limit(limit);
      return tx.delete(observations).where(inArray(observations.id, found)).returning();
    },

    /** How many watch each of these sessions; those that nobody watches are left out. */
    async countBySession(tx: Queryable, sessionIds: readonly string[]): Promise<Map<string, number>> {
      const rows = await tx
        .select({ sessionId: observations.sessionId, observers: count() })
        .from(observations)
        .where(and(inArray(observations.sessionId, [...sessionIds]), gte(observations.leaseExpiresAt, dialect.now())))
        .groupBy(observations.sessionId);
      return new Map(rows.map(({ sessionId, observers }) => [sessionId, observers]));
    },
  };
}
