import { and, asc, count, eq, lte, min, sql } from 'drizzle-orm';
import type { OutboxBody } from '../../../db/column-types.ts';
import { isDueDelivery } from '../../../db/conditions.ts';
import type { Database, Queryable } from '../../../db/database.ts';

/** A row that is due, as it was read. */
export interface DueDelivery {
  readonly id: string;
  /** Rises with each lease: whoever holds the row with another number holds it no more. */
  readonly attempts: number;
}

/** A row that is in somebody's hands until its lease runs out. */
export interface LeasedDelivery extends DueDelivery {
  readonly usageId: string;
  readonly body: OutboxBody;
  /** Without the attempt that the lease is for. */
  readonly refusals: number;
  readonly leasedBy: string;
}

export interface OutboxStats {
  /** Rows to be delivered. */
  readonly pending: number;
  /** Rows that were refused so often that somebody has to look at them. */
  readonly parked: number;
  /** Milliseconds since the oldest pending row was written; 0 where there is none. */
  readonly oldestAgeMs: number;
}

export type OutboxStore = ReturnType<typeof createOutboxStore>;

/** What the Accounting Service has yet to be told. Times are the database's, so that instances agree on them. */
export function createOutboxStore({ tables, dialect, query }: Pick<Database, 'tables' | 'dialect' | 'query'>) {
  const { accountingOutbox: outbox } = tables;

  const inHand = ({ id, attempts, leasedBy }: LeasedDelivery) =>
    and(eq(outbox.id, id), eq(outbox.attempts, attempts), eq(outbox.leasedBy, leasedBy));

  return {
    /**
     * One row for each usage id, and what it says stays. A second one has it delivered after this moment: the delivery
     * that is under way may come too early for what is to be released.
     */
    async insert(tx: Queryable, { id, body }: { id: string; body: OutboxBody }): Promise<void> {
      const now = dialect.now();
      await tx
        .insert(outbox)
        .values({ id, usageId: body.usageId, body, state: 'pending', nextAttemptAt: now, createdAt: now })
        .onConflictDoUpdate({
          target: outbox.usageId,
          set: { attempts: sql`${outbox.attempts} + 1`, leasedBy: null, nextAttemptAt: now },
        });
    },

    /** The rows that wait longest first; what is in somebody's hands is due when its lease has run out. */
    async listDue(limit: number): Promise<DueDelivery[]> {
      return query
        .select({ id: outbox.id, attempts: outbox.attempts })
        .from(outbox)
        .where(and(isDueDelivery(outbox), lte(outbox.nextAttemptAt, dialect.now())))
        .orderBy(asc(outbox.nextAttemptAt))
        .limit(limit);
    },

    /** Null where another delivery was faster. Each row by itself: nobody waits for a row lock while holding another. */
    async lease({ id, attempts }: DueDelivery, by: string, milliseconds: number): Promise<LeasedDelivery | null> {
      const [row] = await query
        .update(outbox)
        .set({ attempts: attempts + 1, leasedBy: by, nextAttemptAt: dialect.nowPlus(milliseconds) })
        .where(
          and(
            eq(outbox.id, id),
            eq(outbox.attempts, attempts),
            isDueDelivery(outbox),
            lte(outbox.nextAttemptAt, dialect.now()),
          ),
        )
        .returning({ usageId: outbox.usageId, body: outbox.body, refusals: outbox.refusals });
      return row === undefined ? null : { id, attempts: attempts + 1, leasedBy: by, ...row };
    },

    /** Delivered. */
    async remove(delivery: LeasedDelivery): Promise<void> {
      await query.delete(outbox).where(inHand(delivery));
    },

    /** Not before `milliseconds` from now. */
    async postpone(
      delivery: LeasedDelivery,
      milliseconds: number,
      changes: { readonly lastStatus?: number | null; readonly refusals?: number } = {},
    ): Promise<void> {
      await query
        .update(outbox)
        .set({ ...changes, leasedBy: null, nextAttemptAt: dialect.nowPlus(milliseconds) })
        .where(inHand(delivery));
    },

    /** Never again, unless somebody says so. */
    async park(
      delivery: LeasedDelivery,
      changes: { readonly lastStatus: number; readonly refusals: number },
    ): Promise<void> {
      await query
        .update(outbox)
        .set({ ...changes, state: 'parked', leasedBy: null })
        .where(inHand(delivery));
    },

    async stats(): Promise<OutboxStats> {
      const rows = await query
        .select({ state: outbox.state, rows: count(), oldest: min(outbox.createdAt), now: dialect.now() })
        .from(outbox)
        .groupBy(outbox.state);
      const [pending, parked] = (['pending', 'parked'] as const).map((state) =>
        rows.find((row) => row.state === state),
      );
      const age = pending?.oldest == null ? 0 : pending.now.getTime() - pending.oldest.getTime();
      return { pending: pending?.rows ?? 0, parked: parked?.rows ?? 0, oldestAgeMs: Math.max(0, age) };
    },
  };
}
