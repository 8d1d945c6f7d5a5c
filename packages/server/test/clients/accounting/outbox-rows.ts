import { eq } from 'drizzle-orm';
import type { HttpAccounting } from '../../../src/clients/accounting/http/http-accounting.ts';
import type { Database } from '../../../src/db/database.ts';
import { newUuid } from '../../../src/platform/ids.ts';
import { chargeOf, releaseOf } from './http-world.ts';

/** The rows behind the port: what tests put there and look for. */
export function openOutbox({ query, transaction, tables, dialect }: Database) {
  const { accountingOutbox: outbox, usageRecords } = tables;
  const settle = (accounting: HttpAccounting, charge = chargeOf(newUuid())) =>
    transaction((tx) => accounting.settle(tx, charge)).then(() => charge.usageId);
  return {
    rows: () => query.select().from(outbox),
    row: async (usageId: string) => (await query.select().from(outbox).where(eq(outbox.usageId, usageId)))[0],
    record: async (usageId: string) =>
      (await query.select().from(usageRecords).where(eq(usageRecords.usageId, usageId)))[0],
    /** As if the pauses and leases of all rows had passed. */
    makeDue: () => query.update(outbox).set({ nextAttemptAt: dialect.now() }),
    /** Milliseconds until the row's next attempt, by the database's clock. */
    async pauseOf(usageId: string) {
      const [row] = await query
        .select({ at: outbox.nextAttemptAt, now: dialect.now() })
        .from(outbox)
        .where(eq(outbox.usageId, usageId));
      return (row?.at.getTime() ?? 0) - (row?.now.getTime() ?? 0);
    },
    hold: (usageId: string) =>
      query.insert(usageRecords).values({
        usageId,
        userId: 'alice',
        sessionId: 'session',
        modelId: 'model',
        plan: 'free',
        state: 'held',
        held: 1_500_000,
        createdAt: new Date(),
      }),
    async clear() {
      await query.delete(outbox);
      await query.delete(usageRecords);
    },
    settle,
    release: (accounting: HttpAccounting, request = releaseOf(newUuid())) =>
      transaction((tx) => accounting.release(tx, request)).then(() => request.usageId),
    /** Rows of so many charges. */
    async settleMany(accounting: HttpAccounting, count: number): Promise<string[]> {
      const ids: string[] = [];
      for (let charge = 0; charge < count; charge += 1) ids.push(await settle(accounting));
      return ids;
    },
  };
}
