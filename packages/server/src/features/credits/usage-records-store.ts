import { eq } from 'drizzle-orm';
import type { UsageRecord } from '../../clients/accounting/usage-record.ts';
import type { Database, Queryable, Tables } from '../../db/database.ts';

export type UsageRecordsStore = ReturnType<typeof createUsageRecordsStore>;

export function createUsageRecordsStore({ tables, dialect }: Pick<Database, 'tables' | 'dialect'>) {
  const { usageRecords } = tables;
  return {
    /** Leaves a record that is there as it is. */
    async insert(tx: Queryable, record: Tables['usageRecords']['$inferInsert']): Promise<void> {
      await tx.insert(usageRecords).values(record).onConflictDoNothing();
    },

    async lock(tx: Queryable, usageId: string): Promise<UsageRecord | null> {
      const [row] = await dialect.forUpdate(tx.select().from(usageRecords).where(eq(usageRecords.usageId, usageId)));
      return row ?? null;
    },
  };
}
