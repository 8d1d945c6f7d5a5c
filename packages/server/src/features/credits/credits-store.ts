import { and, eq, sql } from 'drizzle-orm';
import type { Micro } from '../../clients/accounting/accounting.ts';
import type { Database, Queryable } from '../../db/database.ts';

/** The statements that add credit to accounts of the embedded ledger. */
export function createCreditsStore({ tables, dialect }: Pick<Database, 'tables' | 'dialect'>) {
  const { creditAccounts: accounts, ledgerEntries, users } = tables;
  return {
    /** What can be spent then; null where the account would hold more than `most`, and nothing is changed. */
    async topUp(tx: Queryable, userId: string, amount: Micro, most: Micro): Promise<Micro | null> {
      await tx.insert(accounts).values({ userId, createdAt: dialect.now() }).onConflictDoNothing();
      const [row] = await tx
        .update(accounts)
        .set({ granted: sql`${accounts.granted} + ${amount}` })
        .where(
          and(eq(accounts.userId, userId), sql`${accounts.granted} <= ${sql.param(most - amount, accounts.granted)}`),
        )
        .returning({ granted: accounts.granted, held: accounts.held, spent: accounts.spent });
      return row === undefined ? null : row.granted - row.held - row.spent;
    },

    async insertTopUp(tx: Queryable, userId: string, id: string, amount: Micro): Promise<void> {
      const entry = { key: `top-up:${id}`, kind: 'top-up', amount } as const;
      await tx.insert(ledgerEntries).values({ userId, ...entry, createdAt: dialect.now() });
    },

    /** Whether the user has been here. */
    async isKnown(tx: Queryable, userId: string): Promise<boolean> {
      return (await tx.select({ id: users.id }).from(users).where(eq(users.id, userId))).length > 0;
    },
  };
}
