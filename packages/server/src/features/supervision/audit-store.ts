import { and, desc, eq, gte, lt, sql } from 'drizzle-orm';
import type { Database, Queryable, Tables } from '../../db/database.ts';
import { rowBefore } from '../../db/keyset.ts';
import type { Clock } from '../../platform/clock.ts';
import type { NewId } from '../../platform/ids.ts';
import type { PageStart } from '../../platform/paging.ts';

export type AuditRow = Tables['auditLog']['$inferSelect'];
/** Why a look is refused that cannot be written down. */
export const auditUnavailable = 'The audit log cannot be written at the moment.';
/** Who did what, as it is written down. */
export type AuditedAct = Omit<AuditRow, 'id' | 'at'>;

/** What the entries of a list have in common. */
export interface AuditFilter {
  readonly actorId?: string | undefined;
  readonly subjectId?: string | undefined;
  /** From this time on. */
  readonly from: Date | null;
  /** Before this time. */
  readonly to: Date | null;
}

/** Where a list of entries stands: time and id of the last one shown. */
export interface AuditPosition {
  readonly at: Date;
  readonly id: string;
}

export interface AuditStoreOptions {
  readonly database: Pick<Database, 'tables'>;
  readonly clock: Clock;
  readonly newId: NewId;
}

/** Entries are added and read, and nothing else: on Postgres the table itself refuses all other statements. */
export type AuditStore = ReturnType<typeof createAuditStore>;

export function createAuditStore({ database, clock, newId }: AuditStoreOptions) {
  const { auditLog } = database.tables;
  const matching = ({ actorId, subjectId, from, to }: AuditFilter) =>
    and(
      actorId === undefined ? undefined : eq(auditLog.actorId, actorId),
      subjectId === undefined ? undefined : eq(auditLog.subjectId, subjectId),
      from === null ? undefined : gte(auditLog.at, from),
      to === null ? undefined : lt(auditLog.at, to),
    );

  return {
    async append(tx: Queryable, act: AuditedAct): Promise<void> {
      await tx.insert(auditLog).values({ ...act, id: newId(), at: new Date(clock.now()) });
    },

    /** Newest first. */
    async list(
      tx: Queryable,
      filter: AuditFilter,
      { after, offset }: PageStart<AuditPosition>,
      fetch: number,
    ): Promise<AuditRow[]> {
      const beyond =
        after === null
          ? undefined
          : rowBefore([
              [auditLog.at, after.at],
              [auditLog.id, after.id],
            ]);
      return tx
        .select()
        .from(auditLog)
        .where(and(matching(filter), beyond))
        .orderBy(desc(auditLog.at), desc(auditLog.id))
        .limit(fetch)
        .offset(offset);
    },

    /** How many there are, counted up to `limit`. */
    async count(tx: Queryable, filter: AuditFilter, limit: number): Promise<number> {
      const some = tx
        .select({ one: sql`1` })
        .from(auditLog)
        .where(matching(filter))
        .limit(limit);
      return tx.$count(some.as('some'));
    },
  };
}
