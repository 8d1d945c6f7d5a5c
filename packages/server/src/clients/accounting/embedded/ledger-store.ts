import { and, eq, sql } from 'drizzle-orm';
import type { LedgerEntryKind } from '../../../db/column-types.ts';
import type { Database, Queryable, Tables } from '../../../db/database.ts';
import type { Micro } from '../accounting.ts';
import type { UsageRecord } from '../usage-record.ts';

/** An account as its lock found it. */
export interface LockedAccount {
  /** What can be spent. */
  readonly available: Micro;
  readonly held: Micro;
  /** The database's clock. */
  readonly now: Date;
}

export interface LedgerEntry {
  readonly key: string;
  readonly kind: LedgerEntryKind;
  readonly amount: Micro;
}

interface UsageIds {
  readonly usageId: string;
  readonly userId: string;
}

export type ChargedUsage = Required<
  Pick<UsageRecord, 'modelId' | 'absorbed' | 'quotaTokens'> & {
    [Name in 'charged' | 'inputTokens' | 'outputTokens' | 'outcome' | 'settledAt']: NonNullable<UsageRecord[Name]>;
  }
>;

const released = { state: 'released', charged: 0, quotaTokens: 0 } as const;

export type LedgerStore = ReturnType<typeof createLedgerStore>;

/**
 * The statements on accounts, ledger entries and usage records. A usage record that exists is locked before its account;
 * whoever makes one holds the account.
 */
export function createLedgerStore({ tables, dialect }: Pick<Database, 'tables' | 'dialect'>) {
  const { creditAccounts: accounts, ledgerEntries, usageRecords } = tables;

  async function selectAccount(tx: Queryable, userId: string): Promise<LockedAccount | null> {
    const [row] = await dialect.forUpdate(
      tx
        .select({ granted: accounts.granted, held: accounts.held, spent: accounts.spent, now: dialect.now() })
        .from(accounts)
        .where(eq(accounts.userId, userId)),
    );
    if (row === undefined) return null;
    const { granted, held, spent, now } = row;
    return { available: granted - held - spent, held, now };
  }

  async function lockAccount(tx: Queryable, userId: string): Promise<LockedAccount> {
    const found = await selectAccount(tx, userId);
    if (found !== null) return found;
    await tx.insert(accounts).values({ userId, createdAt: dialect.now() }).onConflictDoNothing();
    const made = await selectAccount(tx, userId);
    if (made === null) throw new Error('A credit account is gone while it is used.');
    return made;
  }

  async function lockUsage(tx: Queryable, usageId: string): Promise<UsageRecord | null> {
    const [row] = await dialect.forUpdate(tx.select().from(usageRecords).where(eq(usageRecords.usageId, usageId)));
    return row ?? null;
  }

  return {
    /** The account, made where there is none, locked until the transaction ends. */
    lockAccount,

    /** The database's clock. */
    async now(tx: Queryable): Promise<Date> {
      const [row] = await tx.select({ now: dialect.now() }).from(sql`(select 1) as one`);
      if (row === undefined) throw new Error('The database told no time.');
      return row.now;
    },

    async findUsage(tx: Queryable, usageId: string): Promise<UsageRecord | null> {
      const [row] = await tx.select().from(usageRecords).where(eq(usageRecords.usageId, usageId));
      return row ?? null;
    },

    /**
     * The usage record, or null where there is none and none will be made before the transaction ends; and its account,
     * unless the ledger was never asked for it.
     */
    async lockUsageAndAccount(tx: Queryable, usageId: string, userId: string): Promise<UsageRecord | null> {
      const record = await lockUsage(tx, usageId);
      if (record?.day === null) return record;
      await lockAccount(tx, userId);
      // A check that made it may have held the account until now.
      return record ?? lockUsage(tx, usageId);
    },

    /** Writes an entry and moves what was granted, unless the entry is there. True when it was not. */
    async grantOnce(tx: Queryable, userId: string, entry: LedgerEntry): Promise<boolean> {
      const written = await tx
        .insert(ledgerEntries)
        .values({ userId, ...entry, createdAt: dialect.now() })
        .onConflictDoNothing()
        .returning({ key: ledgerEntries.key });
      if (written.length === 0) return false;
      await tx
        .update(accounts)
        .set({ granted: sql`${accounts.granted} + ${entry.amount}` })
        .where(eq(accounts.userId, userId));
      return true;
    },

    /** Holds `amount` if that much can be spent. */
    async hold(tx: Queryable, userId: string, amount: Micro): Promise<boolean> {
      const changed = await tx
        .update(accounts)
        .set({ held: sql`${accounts.held} + ${amount}` })
        .where(
          and(
            eq(accounts.userId, userId),
            sql`${accounts.granted} - ${accounts.held} - ${accounts.spent} >= ${sql.param(amount, accounts.held)}`,
          ),
        )
        .returning({ userId: accounts.userId });
      return changed.length > 0;
    },

    async giveBack(tx: Queryable, userId: string, amount: Micro): Promise<void> {
      await tx
        .update(accounts)
        .set({ held: sql`${accounts.held} - ${amount}` })
        .where(eq(accounts.userId, userId));
    },

    /** Turns a hold into what is spent of it; the rest can be spent again. */
    async spend(
      tx: Queryable,
      { userId, usageId }: UsageIds,
      { held, credits, absorbed }: { held: Micro; credits: Micro; absorbed: Micro },
    ): Promise<void> {
      await tx
        .update(accounts)
        .set({
          held: sql`${accounts.held} - ${held}`,
          spent: sql`${accounts.spent} + ${credits}`,
          absorbed: sql`${accounts.absorbed} + ${absorbed}`,
        })
        .where(eq(accounts.userId, userId));
      if (credits === 0) return;
      const entry = { key: `charge:${usageId}`, kind: 'charge', amount: -credits } as const;
      await tx.insert(ledgerEntries).values({ userId, ...entry, createdAt: dialect.now() });
    },

    /** The record of a hold. */
    async insertUsage(
      tx: Queryable,
      record: Omit<Tables['usageRecords']['$inferInsert'], 'createdAt' | 'settledAt'>,
    ): Promise<void> {
      await tx.insert(usageRecords).values({ ...record, createdAt: dialect.now() });
    },

    async markCharged(tx: Queryable, usageId: string, result: ChargedUsage): Promise<void> {
      await tx
        .update(usageRecords)
        .set({ ...result, state: 'charged' })
        .where(eq(usageRecords.usageId, usageId));
    },

    async markReleased(tx: Queryable, usageId: string): Promise<void> {
      await tx
        .update(usageRecords)
        .set({ ...released, settledAt: dialect.now() })
        .where(eq(usageRecords.usageId, usageId));
    },

    /** The record of a charge for which nothing was held. */
    async insertCharged(tx: Queryable, usage: UsageIds & { sessionId: string }, result: ChargedUsage): Promise<void> {
      await tx
        .insert(usageRecords)
        .values({ ...usage, ...result, plan: '', state: 'charged', createdAt: result.settledAt });
    },

    /** The record of what was released before it was held: what a check that comes later finds. */
    async insertReleased(tx: Queryable, usage: UsageIds): Promise<void> {
      const at = dialect.now();
      await tx
        .insert(usageRecords)
        .values({ sessionId: '', modelId: '', plan: '', ...usage, ...released, createdAt: at, settledAt: at });
    },
  };
}
