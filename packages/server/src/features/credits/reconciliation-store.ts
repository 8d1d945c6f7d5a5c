import { and, asc, count, eq, gt, isNotNull, min, ne, sql, type Column, type SQL } from 'drizzle-orm';
import { isHeldUsage, isLiveGeneration } from '../../db/conditions.ts';
import type { Database } from '../../db/database.ts';

export type ReconciliationStore = ReturnType<typeof createReconciliationStore>;

/**
 * What is compared when credits are reconciled. Each comparison is one statement, which sees one state of the database,
 * so that nothing has to stand still meanwhile; rows come in batches, each from where the last one ended.
 */
export function createReconciliationStore({ query, tables, dialect }: Pick<Database, 'query' | 'tables' | 'dialect'>) {
  const {
    creditAccounts: accounts,
    ledgerEntries: entries,
    usageRecords: usage,
    generations,
    accountingOutbox,
  } = tables;
  // What was asked of an Accounting Service has no day.
  const isCounted = and(isNotNull(usage.held), isNotNull(usage.day));

  const sum = (amount: Column | SQL) => sql<number>`coalesce(sum(${amount}), 0)`.mapWith(Number);
  const scalar = (subquery: ReturnType<typeof sumOfEntries> | ReturnType<typeof sumOfUsage>) =>
    sql<number>`(${subquery})`.mapWith(Number);
  const sumOfEntries = (condition: SQL) =>
    query
      .select({ sum: sum(entries.amount) })
      .from(entries)
      .where(and(eq(entries.userId, accounts.userId), condition));
  const sumOfUsage = (amount: Column, condition: SQL) =>
    query
      .select({ sum: sum(amount) })
      .from(usage)
      .where(and(eq(usage.userId, accounts.userId), isCounted, condition));

  return {
    /** Accounts with what the ledger and the usage records say of them, in the order of their users. */
    listAccounts: (after: string, limit: number) =>
      query
        .select({
          userId: accounts.userId,
          granted: accounts.granted,
          held: accounts.held,
          spent: accounts.spent,
          absorbed: accounts.absorbed,
          grantedEntries: scalar(sumOfEntries(ne(entries.kind, 'charge'))),
          chargedEntries: scalar(sumOfEntries(eq(entries.kind, 'charge'))),
          heldUsage: scalar(sumOfUsage(usage.held, isHeldUsage(usage))),
          chargedUsage: scalar(sumOfUsage(usage.charged, eq(usage.state, 'charged'))),
          absorbedUsage: scalar(sumOfUsage(usage.absorbed, eq(usage.state, 'charged'))),
        })
        .from(accounts)
        .where(gt(accounts.userId, after))
        .orderBy(asc(accounts.userId))
        .limit(limit),

    /** Users that the ledger has entries for, each with whether there is an account. */
    listEntryHolders: (after: string, limit: number) =>
      query
        .selectDistinct({ userId: entries.userId, account: accounts.userId })
        .from(entries)
        .leftJoin(accounts, eq(accounts.userId, entries.userId))
        .where(gt(entries.userId, after))
        .orderBy(asc(entries.userId))
        .limit(limit),

    /** Usage records, each with its entry in the ledger and its generation where that is live. */
    listUsage: (after: string, limit: number) =>
      query
        .select({
          id: usage.usageId,
          userId: usage.userId,
          state: usage.state,
          held: usage.held,
          charged: usage.charged,
          day: usage.day,
          entry: entries.amount,
          liveGeneration: generations.id,
        })
        .from(usage)
        .leftJoin(entries, and(eq(entries.userId, usage.userId), eq(entries.key, sql`'charge:' || ${usage.usageId}`)))
        .leftJoin(generations, and(eq(generations.id, usage.usageId), isLiveGeneration(generations)))
        .where(gt(usage.usageId, after))
        .orderBy(asc(usage.usageId))
        .limit(limit),

    /** Generations that were admitted, each with the state of its usage record. */
    listAdmitted: (after: string, limit: number) =>
      query
        .select({ id: generations.id, status: generations.status, usage: usage.state })
        .from(generations)
        .leftJoin(usage, eq(usage.usageId, generations.id))
        .where(and(gt(generations.id, after), isNotNull(generations.admittedAt)))
        .orderBy(asc(generations.id))
        .limit(limit),

    /** The oldest of what the Accounting Service has refused too often. */
    listParked: (limit: number) =>
      query
        .select({
          usageId: accountingOutbox.usageId,
          body: accountingOutbox.body,
          lastStatus: accountingOutbox.lastStatus,
        })
        .from(accountingOutbox)
        .where(eq(accountingOutbox.state, 'parked'))
        .orderBy(asc(accountingOutbox.createdAt))
        .limit(limit),

    /** What waits for the Accounting Service, by state. */
    readOutbox: () =>
      query
        .select({
          state: accountingOutbox.state,
          rows: count(),
          oldest: min(accountingOutbox.createdAt),
          now: dialect.now(),
        })
        .from(accountingOutbox)
        .groupBy(accountingOutbox.state),
  };
}
