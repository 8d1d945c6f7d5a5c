import { and, eq, inArray, sql } from 'drizzle-orm';
import type { Database, Queryable } from '../../../db/database.ts';
import type { Periods } from './periods.ts';
import { nothingUsed, type QuotaUsage, type UsedQuotas } from './quotas.ts';

export type QuotaStore = ReturnType<typeof createQuotaStore>;

/** The statements on what users have used of their quotas; whoever writes holds the account. */
export function createQuotaStore({ tables }: Pick<Database, 'tables'>) {
  const { quotaUsage } = tables;
  const sumsWith = (added: UsedQuotas) => ({
    sessions: sql`${quotaUsage.sessions} + ${added.sessions}`,
    messages: sql`${quotaUsage.messages} + ${added.messages}`,
    tokens: sql`${quotaUsage.tokens} + ${added.tokens}`,
    computeMilliseconds: sql`${quotaUsage.computeMilliseconds} + ${added.computeMilliseconds}`,
  });

  return {
    async read(tx: Queryable, userId: string, { day, month }: Periods): Promise<QuotaUsage> {
      const rows = await tx
        .select()
        .from(quotaUsage)
        .where(and(eq(quotaUsage.userId, userId), inArray(quotaUsage.period, [day, month])));
      const used = (period: string): UsedQuotas => rows.find((row) => row.period === period) ?? nothingUsed;
      return { day: used(day), month: used(month) };
    },

    /** Counts what was not counted before. */
    async count(tx: Queryable, userId: string, { day, month }: Periods, amounts: Partial<UsedQuotas>): Promise<void> {
      const added = { ...nothingUsed, ...amounts };
      await tx
        .insert(quotaUsage)
        .values([day, month].map((period) => ({ userId, period, ...added })))
        .onConflictDoUpdate({ target: [quotaUsage.userId, quotaUsage.period], set: sumsWith(added) });
    },

    /** Changes what was counted by amounts that may be negative; a period that nothing is known of stays so. */
    async correct(tx: Queryable, userId: string, { day, month }: Periods, amounts: Partial<UsedQuotas>): Promise<void> {
      await tx
        .update(quotaUsage)
        .set(sumsWith({ ...nothingUsed, ...amounts }))
        .where(and(eq(quotaUsage.userId, userId), inArray(quotaUsage.period, [day, month])));
    },
  };
}
